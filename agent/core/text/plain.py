"""Foreign text without control characters and escape sequences, which a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

__all__ = ["CONTROL", "ESCAPE", "map_texts", "plain", "plain_line", "without_surrogates"]

ESCAPE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, as "\x1b[31m"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # OSC: titles, links, clipboard, as "\x1b]0;title\x07"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # DCS, SOS, PM, APC, as "\x1bPq\x1b\\"
    r"|\x1b[ -/]*[0-~]"  # others, as "\x1bc"
)
# All control characters but newline, tab, return and backspace, and those that are invisible, end a line or reorder it.
CONTROL: Final = re.compile(
    "[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
# "\r" and "\b", which write over a line
_RETURNS: Final = re.compile("[\r\x08]")


def plain(text: str) -> str:
    """The text in lines: no control character but newline and tab, no escape sequence, no half a character."""
    whole = without_surrogates(text).replace("\r\n", "\n")
    return CONTROL.sub("", _RETURNS.sub(" ", ESCAPE.sub("", whole)))


def plain_line(text: str, limit: int | None = None, *, whole_words: bool = False) -> str:
    """The text in one line, of at most `limit` characters, the last of them an ellipsis if some are left out."""
    line = " ".join(plain(text).split())
    if limit is None or len(line) <= limit:
        return line
    kept = line[: limit - 1]
    return (kept.rsplit(" ", 1)[0] if whole_words else kept.rstrip()) + "…"


def without_surrogates(text: str) -> str:
    """Halves of a surrogate pair that stand together become the character they mean, the others U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """JSON values with every text in them changed, keys of objects too."""
    match value:
        case str():
            return change(value)
        case list():
            return [map_texts(item, change) for item in value]
        case dict():
            return {change(key): map_texts(item, change) for key, item in value.items()}
        case _:
            return value
