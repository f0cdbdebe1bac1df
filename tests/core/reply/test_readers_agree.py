"""Plans, commands, edits, misses and reviews are read from one division of a reply into prose, code and blocks."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.edit.apply import apply_reply
from agent.core.edit.formats.whole_texts import WHOLE_TEXTS
from agent.core.reply.misses import find_misses
from agent.core.reply.plan import parse_reply
from agent.core.reply.review import Judgement, Review, read_review
from agent.core.text.lexer import Kind, Line, read_lines
from agent.core.text.reasoning import strip_reasoning
from tests.core.edit.formats.reading import find_blocks
from tests.examples import examples

FILES = {"experiment.py": "a = 1\n", "notes.txt": "Notes\n"}
REPLY = st.lists(
    st.sampled_from(
        [
            "```", "```python", "1. ```python", "   ```", "~~~", "````", "```text",
            "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE", ">>>>>>> REPLACE # done", ">>>>>>> REPLACE```", "a = 1",
            "### notes.txt", "experiment.py", "I add a remark.", "", "<think>", "</think>",
            "REPLICATE", "ALL_COMPLETED", "JUDGEMENT: supported", "REASON: it holds",
        ]
    ),
    max_size=16,
).map(lambda lines: "".join(f"{line}\n" for line in lines))  # fmt: skip


def said(lines: tuple[Line, ...], word: str, *kinds: Kind) -> bool:
    return any(line.text == word and line.kind in kinds for line in lines)


@examples(500)
@given(REPLY)
@example("1. ```python\n   ```\n### notes.txt\nI add a remark.\n<<<<<<< SEARCH\n=======\na = 1\n>>>>>>> REPLACE\n")
@example("<<<<<<< SEARCH\na = 1\n=======\n>>>>>>> REPLACE # done\nREPLICATE\n")
def test_every_reader_sees_the_same_prose_code_and_blocks(reply: str) -> None:
    lines = read_lines(reply)
    assert [line.text for line in lines] == strip_reasoning(reply).split("\n")
    parsed = parse_reply(reply)
    assert parsed.replicate == said(lines, "REPLICATE", Kind.PROSE)
    assert parsed.all_completed == said(lines, "ALL_COMPLETED", Kind.PROSE)
    blocks = [block for block in find_blocks(reply, FILES) if block.splits]
    assert [block.line for block in blocks] == [line.number for line in lines if line.block and line.opens]
    assert not {found.line for found in WHOLE_TEXTS.find(lines, FILES)} - {
        line.number for line in lines if line.kind is Kind.FENCE and line.opens
    }
    fence = next((line.number for line in lines if line.kind is Kind.FENCE), 0)
    assert [m.line for m in find_misses(reply) if "fence" in m.problem] == ([fence] if fence else [])
    outside = said(lines, "JUDGEMENT: supported", Kind.PROSE), said(lines, "REASON: it holds", Kind.PROSE)
    if all(outside):
        review = read_review(reply)
        assert isinstance(review, Review) and review.judgement is Judgement.SUPPORTED
    elif not said(lines, "JUDGEMENT: supported", Kind.PROSE, Kind.CODE):
        assert not isinstance(read_review(reply), Review)


REMARK = "### notes.txt\nI add a remark at the end.\n<<<<<<< SEARCH\n=======\nfine\n>>>>>>> REPLACE\n"


def test_a_block_after_a_fence_in_a_list_keeps_the_file_of_its_heading() -> None:
    for fence in ("1. ```python\n   x = 1\n   ```\n", "```python\nx = 1\n```\n", "- ~~~\nx\n~~~\n"):
        result = apply_reply(FILES, fence + REMARK, editable=list(FILES))
        assert not result.rejected and result.files["notes.txt"] == "Notes\nfine\n"


def test_a_block_after_a_fenced_block_keeps_the_file_of_its_heading() -> None:
    first = "experiment.py\n```python\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n```\n"
    result = apply_reply(FILES, first + REMARK, editable=list(FILES))
    assert result.files == {"experiment.py": "a = 2\n", "notes.txt": "Notes\nfine\n"}


def test_a_remark_behind_the_closing_marker_is_none_of_the_text_for_any_reader() -> None:
    reply = "experiment.py\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE # done\nREPLICATE\n"
    assert apply_reply(FILES, reply, editable=list(FILES)).files["experiment.py"] == "a = 2\n"
    assert parse_reply(reply).replicate
