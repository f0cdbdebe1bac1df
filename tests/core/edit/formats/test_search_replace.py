from __future__ import annotations

import pytest

from agent.core.edit.apply import Reason, apply_reply
from agent.core.text.lexer import read_lines
from tests.core.edit.formats.reading import find_blocks

EDITABLE = ["experiment.py", "plot.py", "notes.txt", "lib/util.py"]
BODY = "<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n"


def names(reply: str) -> list[str | None]:
    return [b.name for b in find_blocks(reply, EDITABLE)]


@pytest.mark.parametrize(
    "head",
    [
        "experiment.py\n```python\n",
        "experiment.py\n\n```python\n",
        "**experiment.py**\n```\n",
        "`experiment.py`:\n````python\n",
        "### experiment.py\n~~~python\n",
        "### 1. `experiment.py`\n```python\n",
        "1. **experiment.py:**\n```python\n",
        "- experiment.py (updated)\n```python\n",
        "File: experiment.py\n```python\n",
        "**File:** `experiment.py`\n```python\n",
        "# File: experiment.py\n```python\n",
        "In `experiment.py`:\n```python\n",
        "Changes to experiment.py:\n```python\n",
        "`experiment.py`: adds a memory\n```python\n",
        "```python experiment.py\n",
        "```experiment.py\n",
        "```python:experiment.py\n",
        '```python title="experiment.py"\n',
        "```python\nexperiment.py\n",
        "```python\n# experiment.py\n",
        "experiment.py\n```python\n# the loss\n",
        "./experiment.py\n```python\n",
        "experiment.py\n",
        "### experiment.py\n\nThe loss is wrong, so:\n\n```python\n",
    ],
)
def test_a_file_name_is_recognised(head: str):
    reply = head + BODY + "```\n"
    assert names(reply) in (["experiment.py"], ["./experiment.py"])
    result = apply_reply({"experiment.py": "a = 1\n", "plot.py": "a = 1\n"}, reply, editable=EDITABLE)
    assert result.files == {"experiment.py": "a = 2\n", "plot.py": "a = 1\n"}


@pytest.mark.parametrize(
    "head",
    [
        "Here is the change:\n```python\n",
        "```python\n",
        "Now torch.nn.Linear:\n```\n",
        "e.g.\n```\n",
        "Encoder/decoder:\n```\n",
    ],
)
def test_prose_is_no_file_name(head: str):
    assert names(head + BODY + "```\n") == [None]


def test_a_name_in_another_fence_does_not_count():
    assert names("```bash\n# plot.py\npython plot.py\n```\n\n```python\n" + BODY + "```\n") == [None]


def test_a_list_of_files_names_none_of_them():
    assert names("Files:\n- experiment.py\n- plot.py\n\nNow the change.\n```python\n" + BODY + "```\n") == [None]


def test_files_that_are_not_editable_are_names_too():
    assert names("docs/plan.md\n```\n" + BODY + "```\n") == ["docs/plan.md"]
    assert names("../x.py\n```\n" + BODY + "```\n") == ["../x.py"]


def test_several_blocks_may_share_a_fence():
    assert names("experiment.py\n```python\n" + BODY + BODY + "```\n") == ["experiment.py", None]


# reasoning


@pytest.mark.parametrize("tag", ["think", "thinking", "reasoning", "Thought"])
def test_reasoning_is_never_parsed(tag: str):
    hidden = f"<{tag}>\nplot.py\n```\n{BODY}```\n</{tag}>\n"
    blocks = find_blocks(hidden + "experiment.py\n```\n" + BODY + "```\n", EDITABLE)
    assert [(b.name, b.line) for b in blocks] == [("experiment.py", 13)]


def test_reasoning_that_is_not_closed_runs_to_the_end():
    assert find_blocks("<think>\nexperiment.py\n" + BODY) == []


def test_reasoning_whose_opening_tag_is_missing_ends_at_the_closing_one():
    reply = "plot.py\n" + BODY + "<<<<<<< SEARCH\nhalf a thought\n</think>\n\nexperiment.py\n" + BODY
    assert [(b.name, b.line, b.problem) for b in find_blocks(reply, EDITABLE)] == [("experiment.py", 12, "")]


def test_text_after_the_closing_tag_counts():
    assert names("<think>hm</think>experiment.py\n" + BODY) == ["experiment.py"]


def test_a_tag_in_prose_or_in_a_body_is_text():
    assert names("I keep the `<think>` tag.\nexperiment.py\n" + BODY) == ["experiment.py"]
    assert names("A stray <think> in a sentence.\nexperiment.py\n" + BODY) == ["experiment.py"]
    reply = "notes.txt\n<<<<<<< SEARCH\n<think>\n=======\n</think>\n>>>>>>> REPLACE\n"
    assert find_blocks(reply, EDITABLE)[0].splits == ((("<think>",), ("</think>",)),)


def test_line_numbers_are_those_of_the_reply():
    lines = read_lines("a\n<think>\nb\n</think>\nc\n" + BODY)
    assert [line.text for line in lines[:5]] == ["a", "", "", "", "c"]
    assert [line.number for line in lines if line.block] == [6, 7, 8, 9, 10]


# markers


@pytest.mark.parametrize("n", [5, 6, 7, 8, 9])
def test_markers_of_five_to_nine_characters(n: int):
    reply = f"experiment.py\n{'<' * n} SEARCH\na = 1\n{'=' * n}\na = 2\n{'>' * n} REPLACE\n"
    assert apply_reply({"experiment.py": "a = 1\n"}, reply, editable=EDITABLE).files["experiment.py"] == "a = 2\n"


def test_a_divider_run_into_the_closing_marker_closes():
    reply = "experiment.py\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n=======>>>>>>> REPLACE\n"
    assert apply_reply({"experiment.py": "a = 1\n"}, reply, editable=EDITABLE).files["experiment.py"] == "a = 2\n"


def test_an_underline_of_another_length_is_text():
    reply = "notes.txt\n<<<<<<< SEARCH\nRun 1\n=====\nold\n=======\nRun 1\n=====\nnew\n>>>>>>> REPLACE\n"
    result = apply_reply({"notes.txt": "Run 1\n=====\nold\n"}, reply, editable=EDITABLE)
    assert result.files["notes.txt"] == "Run 1\n=====\nnew\n"


@pytest.mark.parametrize(
    ("search", "replace", "before", "after"),
    [
        ("old", "Title\n=======\nnew", "old\n", "Title\n=======\nnew\n"),
        ("Title\n=======\nold", "new", "Title\n=======\nold\n", "new\n"),
        ("Title\n=======\nold", "Title\n=======\nnew", "Title\n=======\nold\n", "Title\n=======\nnew\n"),
        ("", "Title\n=======\nnew", "old\n", "old\nTitle\n=======\nnew\n"),
    ],
)
def test_an_underline_like_the_divider_does_not_truncate(search: str, replace: str, before: str, after: str):
    head = f"{search}\n" if search else ""
    reply = f"notes.txt\n<<<<<<< SEARCH\n{head}=======\n{replace}\n>>>>>>> REPLACE\n"
    assert apply_reply({"notes.txt": before}, reply, editable=EDITABLE).files["notes.txt"] == after


def test_a_heading_search_in_a_body_is_text():
    new = "Intro\n\nSEARCH\n======\nThe rate was searched.\n"
    reply = f"notes.txt\n<<<<<<< SEARCH\nIntro\n=======\n{new}>>>>>>> REPLACE\n"
    result = apply_reply({"notes.txt": "Intro\n"}, reply, editable=EDITABLE)
    assert (result.files["notes.txt"], result.rejected) == (new, [])


def test_fences_in_a_body_are_text_and_fences_around_both_bodies_are_not():
    reply = "notes.txt\n````\n<<<<<<< SEARCH\nRun:\n=======\nRun:\n```bash\npython x\n```\n>>>>>>> REPLACE\n````\n"
    assert (
        apply_reply({"notes.txt": "Run:\n"}, reply, editable=EDITABLE).files["notes.txt"]
        == "Run:\n```bash\npython x\n```\n"
    )
    wrapped = "experiment.py\n<<<<<<< SEARCH\n```python\na = 1\n```\n=======\n```python\na = 2\n```\n>>>>>>> REPLACE\n"
    assert apply_reply({"experiment.py": "a = 1\n"}, wrapped, editable=EDITABLE).files["experiment.py"] == "a = 2\n"


def test_an_unclosed_block_does_not_swallow_the_next():
    reply = "experiment.py\n```\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n```\n\nplot.py\n```\n" + BODY + "```\n"
    found = find_blocks(reply, EDITABLE)
    assert [(b.name, bool(b.problem)) for b in found] == [("experiment.py", True), ("plot.py", False)]
    result = apply_reply({"experiment.py": "a = 1\n", "plot.py": "a = 1\n"}, reply, editable=EDITABLE)
    assert [r.reason for r in result.rejected] == [Reason.MALFORMED] and result.staged["plot.py"] == "a = 2\n"
    assert result.files["plot.py"] == "a = 1\n"


def test_an_unclosed_block_is_told_with_the_line_at_which_its_end_was_missed():
    first = "experiment.py\n```\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n```\n"
    two = find_blocks(first + "\nplot.py\n" + BODY, EDITABLE)
    assert two[0].problem == "no line >>>>>>> REPLACE closes it before line 10, '<<<<<<< SEARCH', opens another"
    (one,) = find_blocks(first + "So much.\n\n", EDITABLE)
    assert one.problem == "no line >>>>>>> REPLACE closes it before the reply ends at line 8, 'So much.'"
