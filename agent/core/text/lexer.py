"""Tell prose, code, blocks and reasoning apart. Every reader of replies starts here, so that no two disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from agent.core.text.hunks import find_patches
from agent.core.text.markers import FenceMark, OwnMarks, closes_block, find_bare_heads, read_fence, read_head
from agent.core.text.reasoning import split_reasoning

__all__ = ["Kind", "Line", "find_unreadable", "mark_lines", "read_lines"]


class Kind(StrEnum):
    """The part of a reply to which a line belongs."""

    PROSE = "prose"
    FENCE = "fence"  # the line that opens or closes a fence
    CODE = "code"  # inside a fence
    BLOCK = "block"  # of a SEARCH/REPLACE block, its markers included
    PATCH = "patch"  # of a unified diff or a *** Begin Patch, with a fence around it or without
    OWN = "own"  # of a block between markers that one format declares (OwnMarks)
    REASONING = "reasoning"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a reply."""

    # Counted from 1.
    number: int
    # Without its end. Reasoning is left out, so a line that is nothing else is empty.
    text: str
    # The part of the reply that it belongs to.
    kind: Kind
    # Number of the line that opens the fence around it, 0 outside fences. Blocks inside a fence have it too.
    fence: int = 0
    # Number of the line that opens the block or patch, 0 outside of both.
    block: int = 0
    # Whether the fence, or for a line of a block or patch this, is closed in its place. True for all other lines.
    is_closed: bool = True

    @property
    def opens(self) -> bool:
        """Whether the line opens a fence, a block or a patch."""
        return self.number == (self.block or self.fence)


@dataclass(frozen=True, slots=True)
class _Span:
    """First and last line of a fence, block or patch, as indices.

    has_end: the last line closes it. is_sure: false if fences were read without nesting.
    """

    first: int
    last: int
    has_end: bool
    is_sure: bool = True
    kind: Kind = Kind.BLOCK


MOST_CHARS: Final = 500_000
MOST_LINES: Final = 40_000


def find_unreadable(reply: str) -> str:
    """Why a reply is not read at all, worded to follow "it", or ""."""
    if len(reply) > MOST_CHARS:
        return f"has {len(reply):,} characters, more than the {MOST_CHARS:,} that are read"
    if (count := reply.count("\n") + 1) > MOST_LINES:
        return f"has {count:,} lines, more than the {MOST_LINES:,} that are read"
    return ""


@lru_cache(maxsize=16)
def read_lines(reply: str, own: tuple[OwnMarks, ...] = ()) -> tuple[Line, ...]:
    """The lines of a reply, in time linear in its length. One that is too long to be read is an empty line.

    A block opens at <<<<<<< SEARCH, or at SEARCH alone if the rest of its markers follows, and runs to >>>>>>> REPLACE,
    or if that is missing to the line before the next block or to the end. Fences inside blocks are text. Inside a
    fence, one with words after it opens another. If that leaves a fence open at the end, then from there on fences do
    not nest, and none of them counts as closed.
    own: markers of further blocks, between which all is text but the opening of another block.
    """
    parts = [("", False)] if find_unreadable(reply) else split_reasoning(reply)
    lines = mark_lines([text.rstrip("\r") for text, _ in parts], own)
    return tuple(
        replace(line, kind=Kind.REASONING) if is_reasoning and line.kind in (Kind.PROSE, Kind.OWN) else line
        for line, (_, is_reasoning) in zip(lines, parts, strict=True)
    )


def mark_lines(lines: Sequence[str], own: Sequence[OwnMarks] = ()) -> tuple[Line, ...]:
    """The same for the lines of any text, in which tags of reasoning are words like others."""
    blocks = _find_blocks(lines, [marks for marks in own if not marks.is_fence])
    block_at = _spread(blocks, len(lines))
    patch_at = _spread(_find_spans(lines, block_at), len(lines))
    inside = [block or patch for block, patch in zip(block_at, patch_at, strict=True)]
    fences = _find_fences(_fence_marks(lines, blocks, inside))
    own_fences = _own_fences(lines, fences, [marks for marks in own if marks.is_fence])
    fence_at = _spread(fences, len(lines))
    marked = []
    for i, text in enumerate(lines):
        block, patch, fence = block_at[i], patch_at[i], fence_at[i]
        around = fence.first + 1 if fence else 0
        if block:
            marked.append(Line(i + 1, text, block.kind, around, block.first + 1, block.has_end))
        elif patch:
            marked.append(Line(i + 1, text, Kind.PATCH, around, patch.first + 1, patch.has_end))
        elif fence:
            is_edge = i == fence.first or (i == fence.last and fence.has_end)
            kind = Kind.OWN if fence.first in own_fences else Kind.FENCE if is_edge else Kind.CODE
            is_closed = fence.has_end and fence.is_sure
            marked.append(Line(i + 1, text, kind, around, around if kind is Kind.OWN else 0, is_closed))
        else:
            marked.append(Line(i + 1, text, Kind.PROSE))
    return tuple(marked)


def _find_blocks(lines: Sequence[str], own: Sequence[OwnMarks]) -> list[_Span]:
    found: list[_Span] = []
    head, marks = -1, None
    bare = find_bare_heads(lines)
    for i, line in enumerate(lines):
        kind = Kind.OWN if marks else Kind.BLOCK
        opened = next((each for each in own if each.read(line) is not None), None)
        if opened or i in bare or read_head(line):
            if head >= 0:
                found.append(_Span(head, i - 1, has_end=False, kind=kind))
            head, marks = i, opened
        elif head >= 0 and (marks.ends(line) if marks else closes_block(line)):
            found.append(_Span(head, i, has_end=True, kind=kind))
            head = -1
    last = _Span(head, len(lines) - 1, has_end=False, kind=Kind.OWN if marks else Kind.BLOCK)
    return found if head < 0 else [*found, last]


def _find_spans(lines: Sequence[str], block_at: Sequence[_Span | None]) -> list[_Span]:
    patches = find_patches(lines, [span is not None for span in block_at])
    return [_Span(patch.first, patch.last, patch.has_end) for patch in patches]


def _fence_marks(
    lines: Sequence[str], blocks: Sequence[_Span], inside: Sequence[_Span | None]
) -> list[FenceMark | None]:
    """Fence mark of each line outside blocks and patches, and of a `>>>>>>> REPLACE` line that ends with a fence."""
    marks = [None if span else read_fence(line) for line, span in zip(lines, inside, strict=True)]
    for block in blocks:
        end = lines[block.last].rstrip()
        if block.has_end and end.endswith(("```", "~~~")):
            marks[block.last] = FenceMark(end[-1] * (len(end) - len(end.rstrip(end[-1]))), "", can_open=False)
    return marks


def _find_fences(marks: Sequence[FenceMark | None]) -> list[_Span]:
    found: list[_Span] = []
    opened: list[tuple[int, FenceMark]] = []
    for i, mark in enumerate(marks):
        if mark is None:
            continue
        if not opened:
            opened += [(i, mark)] if mark.can_open else []
        elif mark.is_like(opened[-1][1]):
            if mark.info:
                opened.append((i, mark))
            else:
                first, _ = opened.pop()
                if not opened:
                    found.append(_Span(first, i, has_end=True))
    return found + _find_flat(marks, opened[0][0]) if opened else found


def _own_fences(lines: Sequence[str], fences: Sequence[_Span], own: Sequence[OwnMarks]) -> set[int]:
    """The first line of each fence that is a block of a format."""
    heads = {fence.first for fence in fences}
    return {head for head in heads if any(marks.read(lines[head]) is not None for marks in own)}


def _find_flat(marks: Sequence[FenceMark | None], start: int) -> list[_Span]:
    """The fences from `start` on, none inside another: the first line of marks alone closes each."""
    found: list[_Span] = []
    opened: tuple[int, FenceMark] | None = None
    for i in range(start, len(marks)):
        mark = marks[i]
        if mark and opened is None:
            opened = (i, mark) if mark.can_open else None
        elif mark and opened and mark.ends(opened[1]):
            found.append(_Span(opened[0], i, has_end=True, is_sure=False))
            opened = None
    return [*found, _Span(opened[0], len(marks) - 1, has_end=False)] if opened else found


def _spread(spans: Sequence[_Span], count: int) -> list[_Span | None]:
    """For each line the span that holds it."""
    held: list[_Span | None] = [None] * count
    for span in spans:
        held[span.first : span.last + 1] = [span] * (span.last + 1 - span.first)
    return held
