"""Foreign text in a place of a terminal: as wide as it is counted, whatever letters it holds."""

from __future__ import annotations

import textwrap
import unicodedata
from typing import Final

from rich.cells import cell_len, set_cell_size

from agent.core.text.plain import plain_line

__all__ = ["cut", "pad", "settle", "wrap"]

MOST_CHARS: Final = 2000
MARKS: Final = 2  # that stand above or below one letter
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")  # letters without a picture
_VARIANTS: Final = range(0xFE00, 0xFE10)  # of a picture: terminals disagree about their width
_SKIN: Final = range(0x1F3FB, 0x1F400)
_FLAGS: Final = range(0x1F1E6, 0x1F200)  # two of them make one picture, in some terminals


def settle(text: str) -> str:
    """The text in one line, of letters about whose width terminals agree. A flag becomes its two letters."""
    line = plain_line(text[:MOST_CHARS])
    if line.isascii():
        return line
    kept: list[str] = []
    marks = 0
    for letter in line:
        code, category = ord(letter), unicodedata.category(letter)
        if category in ("Mn", "Me"):
            marks += 1
            if kept and marks <= MARKS and code not in _VARIANTS:
                kept.append(letter)
        elif category not in ("Cc", "Cf", "Cn", "Co", "Cs") and letter not in _FILLERS and code not in _SKIN:
            marks = 0
            kept.append(chr(code - _FLAGS.start + ord("A")) if code in _FLAGS else letter)
    return "".join(kept)


def cut(text: str, width: int) -> str:
    """The settled text in at most `width` columns, the last of them an ellipsis if some is left out."""
    line = settle(text)
    if cell_len(line) <= width:
        return line
    return set_cell_size(line, width - 1).rstrip() + "…" if width > 0 else ""


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text with blanks behind it, or before it, so that it takes `width` columns."""
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks


def wrap(text: str, width: int | None, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most `width` columns, broken between words alone. None: one line.

    first, rest: what stands before the first line, and before the others.
    """
    if width is None:
        return [first + text]
    wide = cell_len(text) - len(text)  # letters of two columns: the lines are made so much shorter
    lines = textwrap.wrap(
        text,
        max(width - (min(wide, width // 2) if wide > 0 else 0), len(rest) + 8),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [first.rstrip()]
