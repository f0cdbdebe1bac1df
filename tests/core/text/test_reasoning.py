"""What of a reply is reasoning and what is code: one answer for plans, commands and blocks."""

from __future__ import annotations

import pytest

from agent.core.text.reasoning import strip_reasoning
from tests.core.edit.formats.reading import find_blocks

BODY = "<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n"


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("a<think>b</think>c", "ac"),
        ("<think>a\nb</think>c\nd", "\nc\nd"),
        ("<think>a\nb", "\n"),
        ("x\n<reasoning>\na\n</reasoning>\ny", "x\n\n\n\ny"),
        ("<think>a</think>b<thinking>c</thinking>d", "bd"),
        ("a\nb\n</think>\nc", "\n\n\nc"),
        ("<think>a <think> b</think> c\n</think>\nd", "\n\nd"),
        ("```\n<think>\n```\nx", "```\n<think>\n```\nx"),
        ("say `</think>`\nx", "say `</think>`\nx"),
        ("no <think> here", "no <think> here"),
        ("a <b>bold</b>", "a <b>bold</b>"),
    ],
)
def test_strip_reasoning(text: str, stripped: str) -> None:
    assert strip_reasoning(text) == stripped


@pytest.mark.parametrize(
    "before",
    [
        "thoughts\n```python\nnever closed\n</think>\n",
        "thoughts\n<<<<<<< SEARCH\nhalf a block\n</think>\n",
        f"<think>\nexperiment.py\n{BODY}</think>\n",
        f"thoughts with a block\n{BODY}</think>\n",
    ],
    ids=["open fence", "open block", "block in tags", "block before a lone closing tag"],
)
def test_reasoning_that_leaves_code_open_hides_no_words_after_it_and_none_of_its_blocks_count(before: str) -> None:
    text = before + "experiment.py\n" + BODY
    stripped = strip_reasoning(text)
    assert "thoughts" not in stripped and stripped.count("\n") == text.count("\n")
    (found,) = find_blocks(text, ["experiment.py"])
    assert found.line == before.count("\n") + 2 and not found.problem


def test_a_tag_in_a_fence_or_a_closed_block_is_text() -> None:
    for text in ("```\n<think>\na\n</think>\n```\nb", "<<<<<<< SEARCH\n</think>\n=======\n>>>>>>> REPLACE\nb"):
        assert strip_reasoning(text) == text


def test_a_tag_in_a_block_that_is_never_closed_is_reasoning() -> None:
    assert strip_reasoning("a\n<<<<<<< SEARCH\n<think>b</think>c") == "a\n<<<<<<< SEARCH\nc"


DRAFT = f"Maybe momentum, as in `<think>`:\n\nexperiment.py\n```python\n{BODY}```\nNo, that diverges.\n"
FINAL = "PLAN:\n1. Raise the rate\n\nexperiment.py\n" + BODY
FORMS = {
    "gpt-oss": ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    "gpt-oss with a comment": (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>",
        "<|end|><|start|>assistant<|channel|>final <|constrain|>markdown<|message|>",
    ),
    "gpt-oss without its first token": ("analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"),
    "gpt-oss without its first tokens": ("", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    "gpt-oss without a channel": ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|message|>"),
    "gpt-oss without tokens": ("analysis", "assistantfinal"),
    "Magistral": ("[THINK]", "[/THINK]"),
    "Magistral without its first token": ("", "[/THINK]"),
    "Sky-T1": ("<|begin_of_thought|>\n\n", "<|end_of_thought|>\n\n<|begin_of_solution|>"),
    "Command A": ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    "bars": ("<|thinking|>", "<|/thinking|>"),
    "bars of a beginning and an end": ("<|thinking_start|>", "<|thinking_end|>"),
    "Gemma": ("<|channel>thought\n", "<channel|>"),
    "MedGemma": ("<unused94>thought\n", "<unused95>"),
    "analysis": ("<analysis>\n", "</analysis>\n"),
    "reason": ("<reason>", "</reason>\n"),
    "inner monologue": ("<inner_monologue>", "</inner_monologue>\n"),
    "thought process": ("<thought_process>\n", "</thought_process>\n"),
    "Claude 3": ("<antThinking>", "</antThinking>\n"),
}
ENDS = ("", "<|return|>", "<|end|>", "<|end_of_solution|>", "<|END_RESPONSE|>", "<|im_end|>")


@pytest.mark.parametrize("form", FORMS)
def test_a_draft_in_any_form_of_reasoning_is_left_out_and_the_lines_stay(form: str) -> None:
    begin, end = FORMS[form]
    for last in ENDS:
        stripped = strip_reasoning(f"{begin}{DRAFT}{end}{FINAL}{last}")
        assert stripped.strip() == FINAL.strip(), last
        assert stripped.count("\n") == f"{begin}{DRAFT}{end}{FINAL}".count("\n")


@pytest.mark.parametrize("form", [form for form, (begin, _) in FORMS.items() if begin])
def test_reasoning_that_was_cut_is_no_answer(form: str) -> None:
    text = FORMS[form][0] + DRAFT.replace("`<think>`", "these").replace("Maybe", "Maybe the")
    assert not strip_reasoning(text).strip()


def test_a_draft_whose_last_line_is_followed_by_the_final_channel_is_left_out() -> None:
    for end in ("<|end|><|start|>assistant<|channel|>final<|message|>", "[/THINK]", "<channel|>"):
        assert strip_reasoning(f"Maybe:\n{BODY.rstrip()}{end}{FINAL}").strip() == FINAL.strip()


@pytest.mark.parametrize(
    "text",
    [
        "The analysis of run 1 shows a reason to stop.",
        "Analysis of the run: fine.",
        "analysis of the run: fine.",
        "analysis\n1. fine",
        "`assistantfinal` and `[/THINK]` are words of a tokenizer",
        "see [THINK] below",
        "an assistant final answer",
        "x = assistant_final(1)",
        "```\nTAGS = ['<|channel|>analysis', '[THINK]', '<analysis>']\n```\nx",
        "<reasons>a</reasons>",
        "[reasoning](https://example.org) is a link",
    ],
)
def test_words_that_are_like_a_tag_are_text(text: str) -> None:
    assert strip_reasoning(text) == text


ASIDES = {
    "Ollama's command line": ("Thinking...\n", "\n...done thinking.\n\n"),
    "Granite": ("Here is my thought process:\n", "\nHere is my response:\n"),
    "Granite, short": ("\nHere's my thought process: ", "Here's my response: "),
    "a folded part": ("<details><summary>Thoughts</summary>\n", "</details>\n"),
    "a folded part on lines": ("<details>\n<summary>Thinking for 8 s...</summary>\n\n", "\n</details>\n\n"),
    "a folded part with a type": ('<details type="reasoning" done="true">\n<summary>8 s</summary>\n', "</details>\n"),
    "brackets": ("[Reasoning]\n", "[/Reasoning]\n"),
    "round brackets": ("(think)\n", "(/think)\n"),
    "blanks": ("< think >", "</ think >\n"),
    "wide": ("＜think＞", "＜/think＞"),
    "one bar": ("<|think>", "<think|>"),
    "Apertus": ("<|inner_prefix|>", "<|inner_suffix|>"),
    "a token of DeepSeek's form": ("<｜thought▁begin｜>", "<｜thought▁end｜>"),
    "a fence": ("````thinking\n", "````\n"),
    "a fence as long as those in it": ("```think\n", "```\n"),
    "tildes": ("~~~reasoning\n", "~~~\n"),
    "an underscore": ("<longcat_think>", "</longcat_think>\n"),
    "the name of a field": ("<reasoning_content>", "</reasoning_content>\n"),
    "a chain": ("<cot>", "</cot>\n"),
}


@pytest.mark.parametrize("form", ASIDES)
def test_a_draft_in_a_form_that_prose_has_too_is_left_out_if_the_form_is_closed(form: str) -> None:
    begin, end = ASIDES[form]
    text = f"{begin}{DRAFT}{end}{FINAL}"
    assert strip_reasoning(text).strip() == FINAL.strip() and strip_reasoning(text).count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "Here is my thought process: the rate is too low.\n" + FINAL,
        "First a word.\nThinking...\n" + FINAL + "...done thinking.\n",
        "Thinking... the rate is too low.\n" + FINAL,
        "<details><summary>Log of run 1</summary>\na\n</details>\n" + FINAL,
        "[Reasoning] The rate is too low.\n" + FINAL,
        "(think) of it\n" + FINAL,
        "```think\nnever closed\n" + FINAL,
        "```\n<details><summary>Thoughts</summary>\n</details>\n```\n" + FINAL,
        "The parser reads <think> and </think>, and `<think>` alone.\n" + FINAL,
        "1. Strip <think>...</think> from the data\n2. and <reasoning> or </reasoning>\n" + FINAL,
    ],
)
def test_words_that_only_speak_of_reasoning_are_text(text: str) -> None:
    assert strip_reasoning(text) == text


def test_a_fence_of_thoughts_in_code_is_code() -> None:
    block = BODY.replace("a = 2", 'a = """\n```think\nx\n```\n"""')
    assert strip_reasoning(block) == block


@pytest.mark.parametrize("tail", ["...", "…", " to", " and"])
def test_reasoning_that_begins_behind_words_and_ends_below_is_no_mention(tail: str) -> None:
    text = f"I have edited it.\nNow: <think>{tail}\nALL_COMPLETED\n</think>\n{FINAL}"
    assert strip_reasoning(text) == f"I have edited it.\nNow: \n\n\n{FINAL}"
