"""Lines of a reply that mean something to every reader of it: fences, and the markers of a SEARCH/REPLACE block."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from typing import Final

__all__ = [
    "INVISIBLE",
    "BlockHead",
    "FenceMark",
    "OwnMarks",
    "bare_header",
    "closes_block",
    "divider_width",
    "find_bare_heads",
    "is_marker",
    "read_fence",
    "read_head",
]

# "```python experiment.py", "~~~", and in a list "1. ```"
_FENCE: Final = re.compile(r"\s*(?:(?:\d{1,3}[.)]|[-*+])[ \t]+)?(`{3,}(?!`)|~{3,}(?!~))([^`]*)$")
# Characters without width, which some models put before a name or a marker.
INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
_MARGIN: Final = INVISIBLE + " \t\r\f\v\u00a0"
_HEADS: Final = ("SEARCH", "ORIGINAL")
_CLOSERS: Final = ("REPLACE", "UPDATED")
# Marks of this length are markers whatever stands behind them, shorter and longer ones only alone on a line.
_USUAL: Final = range(5, 10)
_SHORTEST: Final = 4
_SHORTEST_RULE: Final = 5  # of "------- SEARCH"
_LONGEST_ODD: Final = 200
# "SEARCH"
_WORDS: Final = re.compile(r"\w+")
# "**<<<<<<< SEARCH**", "`>>>>>>> REPLACE`:"
_DECORATION: Final = "*_`\"'#:|" + _MARGIN


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
class OwnMarks:
    """First and last line of the blocks of one format: `<<<append FILE` and `>>>append`.

    opens: the first word of the line that opens a block. closes: the line that ends it. If `opens` is a fence, such as
    "```append", then the block ends with its fence.
    """

    opens: str
    closes: str = ""

    @property
    def is_fence(self) -> bool:
        """Whether the blocks are fences of a kind of their own."""
        return read_fence(self.opens) is not None

    def read(self, line: str) -> str | None:
        """The words behind the marker of a line that opens a block, None for any other line."""
        mark, own = read_fence(line), read_fence(self.opens)
        said, opens = (mark.info, own.info) if mark and own else (line.strip(_MARGIN), self.opens)
        word, _, rest = said.partition(" ")
        return rest.strip() if word == opens and (mark is None) == (own is None) else None

    def ends(self, line: str) -> bool:
        """Whether the line ends a block that is no fence."""
        return line.strip(_MARGIN) == self.closes


@dataclass(frozen=True, slots=True)
class BlockHead:
    """A line that opens a SEARCH/REPLACE block. `width` counts its `<`, `info` is the words after SEARCH."""

    width: int
    info: str


def read_fence(line: str) -> FenceMark | None:
    """The fence mark on a line, alone or as the text of a list item, None if there is none."""
    found = _FENCE.match(line.lstrip(INVISIBLE) if line[:1] in INVISIBLE else line)
    return FenceMark(found[1], found[2].strip()) if found else None


def read_head(line: str) -> BlockHead | None:
    """The marker that opens a block, None if the line is another: `<<<<<<< SEARCH`, `------- SEARCH`."""
    text = line.lstrip(_MARGIN)
    if text[:_SHORTEST_RULE] == "-" * _SHORTEST_RULE:
        return BlockHead(len(text) - len(text.lstrip("-")), "") if _is_rule(text, "-", "SEARCH") else None
    mark = _read_mark(text, "<", _HEADS)
    return BlockHead(mark[0], mark[1].lstrip(" :>").rstrip()) if mark else None


def bare_header(line: str) -> str:
    """SEARCH or REPLACE if the line is that word alone, as in `SEARCH:` or `**REPLACE**`, else ""."""
    text = line.strip(_DECORATION) if len(line) <= _LONGEST_ODD else ""
    return text if text in ("SEARCH", "REPLACE") else ""


def find_bare_heads(lines: Sequence[str]) -> frozenset[int]:
    """Indices of lines `SEARCH` that lack the marks, above a divider and a line that closes a block as it should."""
    found: set[int] = set()
    head, is_divided, is_open = -1, False, False
    for i, line in enumerate(lines):
        if read_head(line):
            head, is_divided, is_open = -1, False, True  # a line SEARCH within it is text
        elif bare_header(line) == "SEARCH" and not is_open:
            head, is_divided = i, False
        elif head >= 0 and divider_width(line):
            is_divided = True
        elif (head >= 0 or is_open) and closes_block(line):
            found |= {head} if is_divided else set()
            head, is_divided, is_open = -1, False, False
    return frozenset(found)


def closes_block(line: str) -> bool:
    """Whether the line closes a block: `>>>>>>> REPLACE` with any words after it, or `+++++++ REPLACE`."""
    text = line.lstrip(_MARGIN)
    if text[:1] == "+":
        return _is_rule(text, "+", "REPLACE")
    if text[:_SHORTEST] == "=" * _SHORTEST:  # "=======>>>>>>> REPLACE"
        text = text.lstrip("=").lstrip()
    return _read_mark(text, ">", _CLOSERS) is not None


def divider_width(line: str) -> int:
    """How many `=` divide SEARCH from REPLACE on this line, 0 if it is no divider."""
    text = line.strip(_MARGIN)
    return len(text) if len(text) >= _SHORTEST and not text.strip("=") else 0


def is_marker(line: str) -> bool:
    """Whether the line is a marker of a block or of a merge conflict, in whatever place or dress."""
    text = line.lstrip(_MARGIN)
    if line[:7] in ("<" * 7, ">" * 7) and (len(line) == 7 or line[7].isspace()):
        return True
    if text[:_SHORTEST] in ("<" * _SHORTEST, ">" * _SHORTEST):
        words = (*_HEADS, *_CLOSERS, "HEAD")
        return _read_mark(text, text[0], words) is not None
    if text[:1] in ("-", "+"):
        return _is_rule(text, text[0], "SEARCH") or _is_rule(text, text[0], "REPLACE")
    if ("SEARCH" in line or "REPLACE" in line) and _is_odd_marker(line):
        return True
    while text.startswith("> "):
        text = text[2:].lstrip(_MARGIN)
    bare = text.strip(_DECORATION)
    return bare != line and bool(read_head(bare) or closes_block(bare)) and len(bare.split()) <= 2


def _is_odd_marker(line: str) -> bool:
    """Whether a marker is written in other signs, escaped, or with its whole block on one line."""
    text = unescape(unicodedata.normalize("NFKC", line)) if len(line) <= _LONGEST_ODD else line
    if "<<<<< SEARCH" in text and ">>>>> REPLACE" in text and "`" not in text:
        return True
    signs = sum(text.count(sign) for sign in "<>@")
    return signs > 2 and len(text) <= _LONGEST_ODD and _WORDS.findall(text) in (["SEARCH"], ["REPLACE"])


def _read_mark(text: str, sign: str, words: Sequence[str]) -> tuple[int, str] | None:
    """Width and rest of a marker that is a run of `sign`, at most one blank, and one of the words."""
    rest = text.lstrip(sign)
    width = len(text) - len(rest)
    if width < _SHORTEST:
        return None
    rest = rest.removeprefix(" ")
    word = next((word for word in words if rest[: len(word)].upper() == word), None)
    if word is None:
        return None
    rest = rest[len(word) :]
    if rest[:1].isalnum() or rest[:1] == "_":
        return None
    is_alone = len(rest.split(None, 2)) < 2
    return (width, rest) if is_alone or (width in _USUAL and word in ("SEARCH", "REPLACE", "HEAD")) else None


def _is_rule(text: str, sign: str, word: str) -> bool:
    """Whether a line is `------- SEARCH`, or the same of another sign and word, and nothing else."""
    rest = text.lstrip(sign)
    bare = rest.strip(_MARGIN)
    return len(text) - len(rest) >= _SHORTEST_RULE and bare.removesuffix(">") == word
