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


@pytest.mark.parametrize(
    "unit",
    [
        "<think></think>",
        "<think>",
        "<think>\n",
        "x <think>a\n</think> y\n",
        "x\n</think>\n",
        "</think> x ",
        "<think x</think",
    ],
)
def test_many_tags_take_time_linear_in_their_number(unit: str) -> None:
    strip_reasoning(unit * 20_000)  # a quarter of an hour if each tag read the text anew
