"""A format of replies is a value with `find` and `explain`; the edit engine takes any list of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from agent.core.edit import apply
from agent.core.edit.apply import FORMATS, LAST_FORMATS, TAUGHT, WHOLE_FORMATS, apply_reply, explain_edits, name_edits
from agent.core.edit.formats.found import Format, FoundBlock, own_blocks
from agent.core.edit.formats.search_replace import SEARCH_REPLACE
from agent.core.edit.formats.whole_texts import WHOLE_FILES, WHOLE_TEXTS
from agent.core.reply.misses import find_misses
from agent.core.reply.plan import parse_reply
from agent.core.text.lexer import Kind, Line, read_lines
from agent.core.text.markers import OwnMarks

FILES = {"experiment.py": "a = 1\n", "notes.txt": "Notes\n"}
BLOCK = "experiment.py\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n"


class Appending:
    """A third format: "+notes.txt: words" appends a line to a file."""

    name = "appended line"
    plural = "appended lines"
    own_marks = ()

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
        said = [line for line in lines if line.kind is Kind.PROSE and line.text.startswith("+")]
        parts = [(line.number, *line.text[1:].split(": ", 1)) for line in said]
        return [FoundBlock(number, name, None, (((), (words,)),)) for number, name, words in parts]

    def explain(self, *, in_part: bool = False) -> str:
        return "+FILE: WORDS appends a line."


def test_a_third_format_is_one_more_value_in_the_list() -> None:
    third: Format = Appending()
    reply = f"+notes.txt: It fell.\n{BLOCK}```\n+notes.txt: in code\n```\n"
    result = apply_reply(FILES, reply, editable=list(FILES), formats=(*FORMATS, third))
    assert result.files == {"experiment.py": "a = 2\n", "notes.txt": "Notes\nIt fell.\n"} and not result.rejected
    assert apply_reply(FILES, reply, editable=list(FILES)).files["notes.txt"] == "Notes\n"


def test_blocks_are_applied_in_the_order_of_the_reply_whatever_their_format() -> None:
    block = "experiment.py\n<<<<<<< SEARCH\nb = 1\n=======\nb = 2\n>>>>>>> REPLACE\n"
    for formats in ((*FORMATS, Appending()), (Appending(), *FORMATS)):
        first = apply_reply(FILES, f"+experiment.py: b = 1\n{block}", editable=list(FILES), formats=formats)
        assert first.files["experiment.py"].endswith("b = 2\n") and not first.rejected
        last = apply_reply(FILES, f"{block}+experiment.py: b = 1\n", editable=list(FILES), formats=formats)
        assert [str(r.reason) for r in last.rejected] == ["SEARCH not found"]


def test_whole_texts_come_before_blocks_for_the_same_file() -> None:
    reply = f"{BLOCK}\nexperiment.py\n```python\na = 3\n```\n"
    result = apply_reply(FILES, reply, editable=list(FILES), formats=WHOLE_FORMATS)
    assert [str(r.reason) for r in result.rejected] == ["neither a whole file nor whole functions"]
    assert result.staged["experiment.py"] == "a = 3\n" and result.files == FILES


def test_a_text_whose_fence_is_not_closed_for_certain_is_malformed() -> None:
    for reply in ("notes.txt\n```\na\n", "notes.txt\n```markdown\na\n```python\nb\n```\nc\n"):
        (found,) = WHOLE_TEXTS.find(read_lines(reply), FILES)
        assert found.problem == "its fence is not closed"


def test_a_block_with_too_many_dividers_is_malformed_in_time_linear_in_its_length() -> None:
    body = "=======\n" * 10_000
    (found,) = SEARCH_REPLACE.find(read_lines(f"notes.txt\n<<<<<<< SEARCH\n{body}>>>>>>> REPLACE\n"), FILES)
    assert found.problem == "more than 40 lines of ======= divide it" and len(found.splits) == 1


def test_each_format_explains_itself() -> None:
    assert "SEARCH holds lines exactly as they stand" in SEARCH_REPLACE.explain()
    assert "the complete file" in WHOLE_TEXTS.explain() and "been shown" in WHOLE_TEXTS.explain(in_part=True)


def test_the_model_is_told_of_every_format() -> None:
    third = Appending()
    assert explain_edits((*TAUGHT, third)) == f"{explain_edits()} +FILE: WORDS appends a line."
    assert explain_edits().startswith(SEARCH_REPLACE.explain())
    assert name_edits((SEARCH_REPLACE, third), several=True) == "SEARCH/REPLACE blocks or appended lines"
    assert name_edits() == " or ".join(each.name for each in TAUGHT)
    assert {*WHOLE_FORMATS} == {*FORMATS, *LAST_FORMATS} - {WHOLE_FILES}


class Putting:
    """A format with markers of its own, bare or as a fence: the lines between them are appended to a file."""

    name = "block of lines"
    plural = "blocks of lines"
    own_marks = (OwnMarks("<<<put", ">>>put"), OwnMarks("```put"))

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
        found = own_blocks(lines, self.own_marks)
        return [FoundBlock(own.line, own.words, (), (((), own.body),), own.problem) for own in found]

    def explain(self, *, in_part: bool = False) -> str:
        return "<<<put FILE appends the lines down to >>>put."


DIFF = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b"
BODIES = ("x", "ALL_COMPLETED", "PLAN:\n1. Warm up", "```python", DIFF, "experiment.py")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("above", ["", "Now I change experiment.py:\n", "experiment.py\n", "```text\nlog\n```\n"])
def test_text_between_markers_of_a_formats_own_is_read_by_no_other(
    body: str, above: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "FORMATS", (*FORMATS, Putting()))
    reply = f"{above}<<<put notes.txt\n{body}\n>>>put\nexperiment.py\n{BLOCK}"
    result = apply_reply(FILES, reply, editable=list(FILES), formats=apply.FORMATS)
    assert result.files == {"experiment.py": "a = 2\n", "notes.txt": f"Notes\n{body}\n"} and not result.rejected
    said = parse_reply(reply)
    assert not said.all_completed and said.plan is None and apply.has_blocks(reply)
    assert all("fence" not in str(miss) for miss in find_misses(reply)) or "```text" in above


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("<<<put notes.txt\nx\n", "it is not closed"),
        ("```put notes.txt\nx\n", "it is not closed"),
        (f"```put notes.txt\n{BLOCK}```\n", "reasoning or another edit stands in it"),
        ("```put notes.txt\n<<<put notes.txt\nx\n>>>put\n```\n", "reasoning or another edit stands in it"),
        (f"<<<put notes.txt\n{BLOCK}>>>put\n", "it is not closed"),
        ("<<<put notes.txt\nx\n<think>\ny\n</think>\n>>>put\n", "reasoning or another edit stands in it"),
        ("<<<put notes.txt\nx\n<think>\ny\n>>>put\n", "it is not closed"),
    ],
)
def test_a_block_of_a_formats_own_that_is_torn_or_holds_another_edit_is_refused(reply: str, problem: str) -> None:
    third = Putting()
    assert [found.problem for found in third.find(read_lines(reply, third.own_marks), ())] == [problem]
    result = apply_reply(FILES, reply, editable=list(FILES), formats=(third, *FORMATS))
    assert result.rejected and result.staged.get("notes.txt", "Notes\n") == "Notes\n"


def test_the_file_of_a_block_is_not_looked_for_in_one_of_another_formats_own() -> None:
    reply = f"```put notes.txt\nexperiment.py\n```\n{BLOCK.partition(chr(10))[2]}"
    both = {**FILES, "other.py": "a = 1\n"}
    result = apply_reply(both, reply, editable=list(both), formats=(*FORMATS, Putting()))
    assert [str(rejected.reason) for rejected in result.rejected] == ["SEARCH is in another file"]
    assert result.files["experiment.py"] == both["experiment.py"] and result.files["other.py"] == both["other.py"]
