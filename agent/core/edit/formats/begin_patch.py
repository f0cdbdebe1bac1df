"""Patches from *** Begin Patch to *** End Patch, as OpenAI's models write them: fenced, bare or behind a shell's <<."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Final

from agent.core.edit.formats.found import FoundBlock, HunkPlace, read_hunk
from agent.core.text.hunks import BEGIN, END, read_hunk_head
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import INVISIBLE

__all__ = ["BEGIN_PATCH", "BeginPatch"]

FORM: Final = f"{BEGIN} patch"
UPDATE: Final = "*** Update File: "
ADD: Final = "*** Add File: "
DELETE: Final = "*** Delete File: "
MOVE: Final = "*** Move to: "
END_OF_FILE: Final = "*** End of File"
UNCLOSED: Final = f"no line {END} closes the patch"


class BeginPatch:
    """Sections for files, each with hunks whose heads are lines of the file further up."""

    name = FORM
    plural = f"{BEGIN} patches"
    own_marks = ()

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
        found: list[FoundBlock] = []
        for number, part in groupby(lines, key=lambda line: line.block if line.kind is Kind.PATCH else 0):
            span = list(part)
            if number and span[0].text.lstrip(INVISIBLE).startswith("*** "):
                found += _read_patch(lines, span)
        return found

    def explain(self, *, in_part: bool = False) -> str:
        return "A patch from *** Begin Patch to *** End Patch names each file in a line *** Update File: NAME."


BEGIN_PATCH: Final = BeginPatch()


def _read_patch(lines: Sequence[Line], span: Sequence[Line]) -> Iterator[FoundBlock]:
    body = [line for line in span if line.text.lstrip(INVISIBLE).rstrip() not in (BEGIN, END)]
    last = span[-1].number
    is_ended = span[0].is_closed or (last < len(lines) and lines[last].kind is Kind.FENCE and span[0].fence > 0)
    problem = "" if is_ended else UNCLOSED
    starts = [i for i, line in enumerate(body) if line.text.lstrip(INVISIBLE).startswith((UPDATE, ADD, DELETE))]
    if not starts or any(line.text.strip() for line in body[: starts[0]]):
        yield FoundBlock(span[0].number, None, (), (), problem or f"no line {UPDATE}NAME begins it", HunkPlace(FORM))
        return
    for start, stop in zip(starts, [*starts[1:], len(body)], strict=True):
        yield from _read_section(body[start:stop], problem)


def _read_section(section: Sequence[Line], problem: str) -> Iterator[FoundBlock]:
    """The hunks of one file."""
    head, held = section[0].text.lstrip(INVISIBLE), section[1:]
    verb, _, name = head.partition(": ")
    name, line = name.strip(), section[0].number
    moves = any(part.text.startswith(MOVE) for part in held)
    if head.startswith(DELETE) or moves:
        said = "it moves a file" if moves else "it deletes a file"
        yield FoundBlock(line, name, (), (), problem or said, HunkPlace(FORM))
        return
    if head.startswith(ADD):
        added = [part.text for part in held if part.text]
        if any(not text.startswith("+") for text in added):
            problem = problem or f"a line below {verb} does not begin with +"
        yield FoundBlock(line, name, (), (((), tuple(text[1:] for text in added)),), problem, HunkPlace(FORM, at=1))
        return
    hunks = list(_hunks(held))
    if not hunks:
        yield FoundBlock(line, name, (), (), problem or "it holds no hunk", HunkPlace(FORM))
    for number, texts, place in hunks:
        split = read_hunk(texts)
        said = "" if split is not None else "a line of it begins with neither a blank nor + nor -"
        yield FoundBlock(number, name, (), (split or ((), ()),), problem or said, place)


def _hunks(lines: Sequence[Line]) -> Iterator[tuple[int, list[str], HunkPlace]]:
    """Number of the first line, lines and place of every hunk."""
    held: list[str] = []
    anchors: tuple[str, ...] = ()
    at = number = 0
    for line in lines:
        head = read_hunk_head(line.text)
        if head is None and line.text.rstrip() == END_OF_FILE:
            continue
        if head is None:
            number = number or line.number
            held.append(line.text)
            continue
        if any(held):
            yield number, held, HunkPlace(FORM, at, anchors)
            anchors, number = (), 0
        held, at = [], head.at
        number = number or line.number
        anchors = (*anchors, head.anchor) if head.anchor else anchors
    if any(held):
        yield number, held, HunkPlace(FORM, at, anchors)
