"""Two fences that show a place before and after a change: "Before:" and "After:", "Replace this:" and "with:"."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from agent.core.edit.formats.found import FoundBlock, HunkPlace
from agent.core.edit.formats.heads import mentioned_above, name_above
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import bare_header, read_fence

__all__ = ["FORM", "PAIRS", "Pairs", "paired_fences"]

FORM: Final = "pair of fences, before and after"
FAR: Final = 4  # lines between a fence and its label, and between the two fences
LONGEST_LABEL: Final = 200
MOST_WORDS: Final = 12
_BEFORE: Final = frozenset(("before", "old", "original", "current", "existing", "previous", "search"))
_AFTER: Final = frozenset(
    ("after", "new", "modified", "updated", "revised", "changed", "fixed", "improved", "proposed", "replacement")
)
_BEFORE_FIRST: Final = frozenset(("replace", "find", "change", "from", "search"))
_AFTER_FIRST: Final = frozenset(("with", "to", "by", "into", "becomes", "replace"))
_AFTER_LAST: Final = frozenset(("with", "to", "by", "becomes"))
# Words that label a fence on its own line, or as its first line.
_FENCE_WORDS: Final = ("search", "replace", "before", "after", "old", "new", "original", "updated")
# "Before"
_WORD: Final = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class _Fence:
    """A fence that holds no edit. label: the words of the line above it. number, last: its first and last line."""

    number: int
    last: int
    label: tuple[str, ...]
    body: tuple[str, ...]
    is_closed: bool


class Pairs:
    """The lines of the first fence are found in the file and give way to those of the second."""

    name = FORM
    plural = "pairs of fences, before and after"
    own_marks = ()

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
        found: list[FoundBlock] = []
        floor = 0
        for old, new in _pairs(lines):
            head = old.number - 1
            floor = max([floor, *(line.number for line in lines[floor:head] if line.block)])
            name = name_above(lines, head, floor, editable)
            mentions = mentioned_above(lines, head, floor, editable)
            name = name or (mentions[0] if len(mentions) == 1 else None)
            problem = "" if new.is_closed else "its second fence is not closed"
            found.append(FoundBlock(old.number, name, mentions, ((old.body, new.body),), problem, HunkPlace(FORM)))
            floor = new.last
        return found

    def explain(self, *, in_part: bool = False) -> str:
        return "Two fences under a file's name, headed Before: and After:, hold its lines and those in their place."


PAIRS: Final = Pairs()


def paired_fences(lines: Sequence[Line]) -> set[int]:
    """Numbers of the lines at which the fences of pairs open."""
    return {fence.number for pair in _pairs(lines) for fence in pair}


def _pairs(lines: Sequence[Line]) -> Iterator[tuple[_Fence, _Fence]]:
    taken = 0
    for old, new in pairwise(_fences(lines)):
        words = [line for line in lines[old.last : new.number - 1] if line.text.strip()]
        is_near = len(words) <= FAR and not any(line.block for line in words)
        if old.number > taken and is_near and _says_before(old.label) and _says_after(new.label):
            yield old, new
            taken = new.number


def _fences(lines: Sequence[Line]) -> Iterator[_Fence]:
    """The fences that hold no edit."""
    for number, part in groupby(lines, key=lambda line: line.fence):
        fence = list(part)
        if not number or fence[0].kind is not Kind.FENCE or any(line.block for line in fence):
            continue
        is_closed = fence[-1].kind is Kind.FENCE and len(fence) > 1
        body = tuple(line.text for line in (fence[1:-1] if is_closed else fence[1:]))
        headers = [bare_header(line) for line in body]
        mark = read_fence(fence[0].text)
        words = _WORD.findall(mark.info.lower()) if mark else []
        if any(headers) and headers[0] and headers.count("") == len(headers) - 1:
            words, body = [headers[0].lower()], body[1:]
        is_labelled = len(words) == 1 and words[0] in _FENCE_WORDS
        label = tuple(words) if is_labelled else _label(lines, number - 1)
        yield _Fence(number, fence[-1].number, label, body, is_closed)


def _label(lines: Sequence[Line], end: int) -> tuple[str, ...]:
    """The words of the last line of prose above index `end`."""
    above = next((line for line in reversed(lines[max(0, end - FAR) : end]) if line.text.strip()), None)
    if above is None or above.kind is not Kind.PROSE or len(above.text) > LONGEST_LABEL:
        return ()
    return tuple(_WORD.findall(above.text.lower()))


def _says_before(words: Sequence[str]) -> bool:
    return 0 < len(words) <= MOST_WORDS and (words[0] in _BEFORE_FIRST or not _BEFORE.isdisjoint(words[:5]))


def _says_after(words: Sequence[str]) -> bool:
    if not 0 < len(words) <= MOST_WORDS:
        return False
    return words[0] in _AFTER_FIRST or words[-1] in _AFTER_LAST or not _AFTER.isdisjoint(words[:5])
