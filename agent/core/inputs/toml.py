"""Read TOML that people write."""

from __future__ import annotations

import re
from tomllib import loads
from typing import Any, Final

__all__ = ["parse_toml"]

MOST_CHARS: Final = 50_000
MOST_PARTS: Final = 500  # tomllib looks at all parts of a dotted key anew for each of them
# A part of a dotted key: ".b" in `a.b.c = 1`. Numbers and rows of dots have none.
_PART: Final = re.compile(r"\.[ \t]*[\"'A-Za-z_]")


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises: ValueError if it is not TOML, or so long or so deeply nested that reading it would not end.
    """
    if len(text) > MOST_CHARS:
        raise ValueError(f"it has {len(text):,} characters, more than {MOST_CHARS:,}")
    for number, line in enumerate(text.split("\n"), 1):
        if len(_PART.findall(line)) > MOST_PARTS:
            raise ValueError(f"line {number} has a key of more than {MOST_PARTS} parts")
    try:
        return loads(text.removeprefix("\ufeff"))  # some editors begin a file with a byte-order mark
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
