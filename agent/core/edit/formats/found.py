"""The values that every format of replies gives to the edit engine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import OwnMarks

__all__ = ["Format", "FoundBlock", "FoundText", "HunkPlace", "OwnBlock", "Split", "own_blocks", "read_hunk"]

Split = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class HunkPlace:
    """Where a hunk of a diff says that it stands, which decides between several places that it fits.

    form: the format, in words. at: the line at which it begins once those above it are applied, 0 if unknown.
    anchors: lines further up in the file, the outermost first. is_counted: its head counts its lines right.
    """

    form: str
    at: int = 0
    anchors: tuple[str, ...] = ()
    is_counted: bool = False


@dataclass(frozen=True, slots=True)
class FoundBlock:
    """Lines to be put in place of others, as the reply has them."""

    # Number of the block's first line in the reply.
    line: int
    # The path on a line of its own beside the block.
    name: str | None
    # Editable files that the words between the edit above and this one name.
    mentions: tuple[str, ...]
    # Each way to divide the body into SEARCH and REPLACE lines, in order.
    splits: tuple[Split, ...]
    # The fault in its form, "" if there is none.
    problem: str = ""
    # For a hunk of a diff: what it says of its place. Blank lines at the ends of its halves are text.
    place: HunkPlace | None = None


@dataclass(frozen=True, slots=True)
class FoundText:
    """A whole file, or whole functions and classes of one, as the reply has it."""

    # Number of the reply's line at which its fence opens.
    line: int
    # The path that heads it, "" if there is none.
    name: str
    # Its lines.
    body: tuple[str, ...]
    # The fault in its form, "" if there is none.
    problem: str = ""
    # Whether the model was asked for whole texts. If not, functions are not enough.
    is_asked: bool = True
    # Whether it stands under the name. If not, a sentence above mentions the file.
    is_named: bool = True
    # Whether the words above call it an example.
    is_example: bool = False


@dataclass(frozen=True, slots=True)
class OwnBlock:
    """A block between markers of a format's own. line: number of its first line. words: those behind the marker."""

    line: int
    words: str
    body: tuple[str, ...]
    # The fault in its form, "" if there is none.
    problem: str


def own_blocks(lines: Sequence[Line], own: Sequence[OwnMarks]) -> Iterator[OwnBlock]:
    """The blocks of a reply between these markers, in order."""
    held: dict[int, list[Line]] = {line.number: [] for line in lines if line.kind is Kind.OWN and line.opens}
    for line in lines:
        number = line.fence if line.fence in held else line.block
        if number in held:
            held[number].append(line)
    for block in held.values():
        if not block:  # it stands in another, which is refused for it
            continue
        head, is_closed = block[0], block[0].is_closed
        words = next((said for marks in own if (said := marks.read(head.text)) is not None), None)
        if words is None:
            continue
        is_mixed = any(line.block != head.number or line.kind is not Kind.OWN for line in block)
        problem = "" if is_closed else "it is not closed"
        problem = problem or ("reasoning or another edit stands in it" if is_mixed else "")
        body = tuple(line.text for line in (block[1:-1] if is_closed else block[1:]))
        yield OwnBlock(head.number, words, body, problem)


def read_hunk(lines: Sequence[str]) -> Split | None:
    """Old and new lines of a hunk, without empty ones at its end. None if a line of it is none of a hunk."""
    old: list[str] = []
    new: list[str] = []
    stop = len(lines)
    while stop and not lines[stop - 1]:
        stop -= 1
    for line in lines[:stop]:
        if line[:1] not in ("", " ", "+", "-", "\\"):
            return None
        if line[:1] in ("", " ", "-"):
            old.append(line[1:])
        if line[:1] in ("", " ", "+"):
            new.append(line[1:])
    return tuple(old), tuple(new)


class Format(Protocol):
    """One way to write edits into a reply.

    A format whose edits stand between markers of its own declares them, and finds them with `own_blocks`: then their
    lines are neither prose nor code to any other reader of the reply. Without markers, a bare line such as
    "+ALL_COMPLETED" may be read as a command or as part of a plan.
    """

    # One edit of this format, as messages to the model call it.
    name: str
    # Several of them.
    plural: str

    @property
    def own_marks(self) -> tuple[OwnMarks, ...]:
        """Markers of its own, () if it is written in fences, blocks or diffs that the lexer knows."""

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> Sequence[FoundBlock | FoundText]:
        """The edits in the lines of a reply, in order, those that are malformed too, so that none is silently lost."""

    def explain(self, *, in_part: bool = False) -> str:
        """Instructions for the model. in_part: it has seen only a part of some file."""
