"""The kinds of a reply's lines, on which all of its readers rest."""

from __future__ import annotations

import pytest

from agent.core.text.lexer import Kind, mark_lines, read_lines
from agent.core.text.markers import OwnMarks

LETTERS = {Kind.PROSE: ".", Kind.FENCE: "f", Kind.CODE: "c", Kind.BLOCK: "b", Kind.REASONING: "r"}
LETTERS |= {Kind.PATCH: "p", Kind.OWN: "o"}
OWN = (OwnMarks("<<<put", ">>>put"), OwnMarks("```put"))
BODY = "<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n"


def kinds(reply: str, own: tuple[OwnMarks, ...] = ()) -> str:
    return "".join(LETTERS[line.kind] for line in read_lines(reply.removesuffix("\n"), own))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("", "."),
        ("a\n```python\nx\n```\nb\n", ".fcf."),
        ("```\nx\n~~~\n```\na\n", "fccf."),
        ("````\n```\nx\n```\n````\na\n", "fcccf."),
        ("1. ```python\n   x\n   ```\na\n", "fcf."),
        ("- ~~~\nx\n~~~\na\n", "fcf."),
        ("say ```x``` or ```\na\n", ".."),
        (BODY + "a\n", "bbbbb."),
        ("```python\n" + BODY + "```\na\n", "fbbbbbf."),
        ("<<<<<<< SEARCH\n```\n=======\n>>>>>>> REPLACE\na\n", "bbbb."),
        ("<<<<<<< SEARCH\na\n" + BODY + "c\n", "bbbbbbb."),
        ("<<<<<<< SEARCH\na\nb\n", "bbb"),
        ("<think>\na\n</think>\nb\n", "rrr."),
        ("a\n```\nb\n</think>\nc\n", "rrrr."),
        ("a <think>b\nc</think> d\n", ".."),
        ("```\n<think>\n```\na\n", "fcf."),
    ],
)
def test_each_line_is_of_one_kind(reply: str, expected: str) -> None:
    assert kinds(reply) == expected


@pytest.mark.parametrize(
    "closer",
    [">>>>>>> REPLACE", ">>>>>>> REPLACE # done", ">>>>>>> replace`", "=======>>>>>>> REPLACE", "  >>>>> REPLACE:"],
)
def test_whatever_follows_replace_the_block_is_closed(closer: str) -> None:
    assert kinds(f"<<<<<<< SEARCH\na\n=======\nb\n{closer}\nc\n") == "bbbbb."


def test_a_fence_behind_the_closing_marker_closes_the_one_around_the_block_and_opens_none() -> None:
    ended = BODY.replace("REPLACE\n", "REPLACE```\n")
    assert kinds("```python\n" + ended + "a\n") == "fbbbbb."
    assert kinds(ended + "a\n") == "bbbbb."


def test_a_fence_with_a_language_nests_in_another_if_each_is_closed() -> None:
    assert kinds("```markdown\na\n```python\nb\n```\nc\n```\nd\n") == "fcccccf."
    assert all(line.is_closed for line in read_lines("```md\n```python\n```\n```\n"))


def test_a_fence_that_is_never_closed_hides_no_more_than_up_to_the_next_mark() -> None:
    reply = "```python\na\n\n```python\nb\n```\nc\n"
    assert kinds(reply) == "fccccf."
    assert [line.is_closed for line in read_lines(reply)] == [False] * 6 + [True] * 2


def test_lines_know_their_fence_and_their_block() -> None:
    lines = read_lines("a\n```\n" + BODY + "```\n" + BODY)
    assert [(line.fence, line.block) for line in lines] == [
        (0, 0),
        (2, 0),
        *[(2, 3)] * 5,
        (2, 0),
        *[(0, 9)] * 5,
        (0, 0),
    ]
    assert [line.number for line in lines if line.opens] == [2, 3, 9]


def test_text_and_numbers_are_those_of_the_reply_without_reasoning_and_returns() -> None:
    lines = read_lines("a\r\n<think>\r\nb</think>c\r\nd\n")
    assert [(line.number, line.text) for line in lines] == [(1, "a"), (2, ""), (3, "c"), (4, "d"), (5, "")]


def test_in_other_texts_a_tag_is_a_word() -> None:
    assert [line.kind for line in mark_lines(["<think>", "a"])] == [Kind.PROSE, Kind.PROSE]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("a\n<<<put x\n```\nALL_COMPLETED\n>>>put\nb\n", ".oooo."),
        ("  <<<put x\n--- a\n+++ b\n@@ -1 +1 @@\n  >>>put  \nb\n", "ooooo."),
        ("<<<put x\na\n" + BODY + "b\n", "oobbbbb."),
        ("<<<<<<< SEARCH\na\n<<<put x\nb\n>>>put\nb\n", "bbooo."),
        ("<<<put x\na\n", "oo"),
        ("```\n<<<put x\n```\n>>>put\n```\na\n", "fooof."),
        ("a\n~~~~put x\n```python\na\n```\n~~~~\nb\n", ".ooooo."),
        ("```markdown\n```put x\na\n```\n```\nb\n", "fcccf."),
        ("```put x\na\n", "oo"),
        ("```puts x\na\n```\n<<<puts x\n>>>put\n", "fcf.."),
    ],
)
def test_markers_that_a_format_declares_make_blocks_of_their_own(reply: str, expected: str) -> None:
    assert kinds(reply, OWN) == expected
    assert "o" not in kinds(reply)


def test_lines_of_a_declared_block_know_its_first_line_and_whether_it_is_closed() -> None:
    def places(reply: str) -> list[tuple[int, int, bool]]:
        return [(line.fence, line.block, line.is_closed) for line in read_lines(reply, OWN) if line.kind is Kind.OWN]

    assert places("a\n```put x\nb\n```") == [(2, 2, True)] * 3 and places("```put x\nb") == [(1, 1, False)] * 2
    assert places("```\n<<<put x\n>>>put\n```") == [(1, 2, True)] * 2 and places("<<<put x") == [(0, 1, False)]
