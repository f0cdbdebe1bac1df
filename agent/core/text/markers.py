"""Lines of a reply that mean something to every reader of it: fences, and the markers of a SEARCH/REPLACE block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["BlockHead", "FenceMark", "closes_block", "divider_width", "is_marker", "read_fence", "read_head"]

# "```python experiment.py", "~~~", and in a list "1. ```"
_FENCE: Final = re.compile(r"\s*(?:(?:\d{1,3}[.)]|[-*+])[ \t]+)?(`{3,}(?!`)|~{3,}(?!~))([^`]*)$")
# "<<<<<<< SEARCH", "<<<<<<< SEARCH experiment.py"
_HEAD: Final = re.compile(r"\s*(<{5,9}) ?SEARCH\b", re.IGNORECASE)
# "======="
_DIVIDER: Final = re.compile(r"\s*(={5,9})\s*")
# ">>>>>>> REPLACE", ">>>>>>> REPLACE # done", "=======>>>>>>> REPLACE"
_CLOSER: Final = re.compile(r"\s*(?:={5,9}\s*)?>{5,9} ?REPLACE\b", re.IGNORECASE)
# ">>>>>>> HEAD", "<<<<<<< ORIGINAL", "<<<<<<< experiment.py"
_MARKER: Final = re.compile(
    r"\s*(?:<{5,9}|>{5,9}) ?(?:SEARCH|REPLACE|ORIGINAL|UPDATED|HEAD)\b|(?:<{7}|>{7})(?:\s|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FenceMark:
    """A line that opens or closes a fence. `mark` is its backticks or tildes, `info` the words after them.

    can_open: false for a mark behind the end of a block, which can only close the fence around it.
    """

    mark: str
    info: str
    can_open: bool = True

    def ends(self, opening: FenceMark) -> bool:
        """Whether this line closes the fence that `opening` opens."""
        return not self.info and self.is_like(opening)

    def is_like(self, other: FenceMark) -> bool:
        """Whether it is of the same character and no shorter."""
        return self.mark.startswith(other.mark)


@dataclass(frozen=True, slots=True)
class BlockHead:
    """A line that opens a SEARCH/REPLACE block. `width` counts its `<`, `info` is the words after SEARCH."""

    width: int
    info: str


def read_fence(line: str) -> FenceMark | None:
    """The fence mark on a line, alone or as the text of a list item, None if there is none."""
    found = _FENCE.match(line)
    return FenceMark(found[1], found[2].strip()) if found else None


def read_head(line: str) -> BlockHead | None:
    """The marker that opens a block, None if the line is another."""
    found = _HEAD.match(line)
    return BlockHead(len(found[1]), line[found.end() :].lstrip(" :>").rstrip()) if found else None


def closes_block(line: str) -> bool:
    """Whether the line closes a block, whatever stands after REPLACE."""
    return _CLOSER.match(line) is not None


def divider_width(line: str) -> int:
    """How many `=` divide SEARCH from REPLACE on this line, 0 if it is no divider."""
    found = _DIVIDER.fullmatch(line)
    return len(found[1]) if found else 0


def is_marker(line: str) -> bool:
    """Whether the line is a marker of a block or of a merge conflict, in whatever place."""
    return _MARKER.match(line) is not None
