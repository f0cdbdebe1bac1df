"""Where the code of each line of a Python file ends, and its comment begins."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from agent.core.code.source import MOST_CHARS

__all__ = ["LineEnd", "line_ends", "read_ends", "without_comment"]

# Tokens around the parts of an f-string since Python 3.12, and of a template string since 3.14.
_OPENS, _CLOSES = ([getattr(tokenize, f"{kind}STRING_{end}", -1) for kind in "FT"] for end in ("START", "END"))
# A quote, "#", a backslash
_SIGN = re.compile(r"['\"#\\]")


@dataclass(frozen=True, slots=True)
class LineEnd:
    """How a line ends. comment: the column of its comment, None if it has none.

    is_open: it ends inside a string or with a backslash, so that no comment can be put behind it.
    """

    comment: int | None = None
    is_open: bool = False


def line_ends(lines: Sequence[str]) -> tuple[LineEnd, ...] | None:
    """The end of each line of a Python file, None if it cannot be divided into tokens."""
    return read_ends("\n".join(lines), len(lines))


@lru_cache(maxsize=16)
def read_ends(text: str, count: int) -> tuple[LineEnd, ...] | None:
    """The same of a text of so many lines."""
    if len(text) > MOST_CHARS or "\r" in text or "\f" in text:
        return None
    ends = [LineEnd(is_open=line.endswith("\\")) for line in text.split("\n")]
    try:
        for token in _tokens(text):
            for row in range(token.start[0], token.end[0]):
                ends[row - 1] = LineEnd(is_open=True)
            if token.type == tokenize.COMMENT:
                ends[token.start[0] - 1] = LineEnd(token.start[1])
    except (tokenize.TokenError, SyntaxError, ValueError, IndexError, RecursionError):
        return None
    return tuple(ends[:count])


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """The strings and comments of a text. All parts of an f-string are one token, as before Python 3.12."""
    depth, start = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text, newline="\n").readline):
        if token.type in _OPENS:
            depth, start = depth + 1, start if depth else token.start
        elif token.type in _CLOSES:
            depth -= 1
            if not depth:
                yield token._replace(start=start)
        elif not depth and token.type in (tokenize.STRING, tokenize.COMMENT):
            yield token


def without_comment(line: str) -> str:
    """A line up to the first `#` outside of quotes, if it begins outside of a string."""
    if "#" not in line:
        return line
    quote, skipped = "", -1
    for found in _SIGN.finditer(line):
        sign, at = found[0], found.start()
        if at == skipped:
            continue
        if sign == "\\":
            skipped = at + 1
        elif not quote and sign == "#":
            return line[:at]
        elif not quote:
            quote = sign
        elif sign == quote:
            quote = ""
    return line
