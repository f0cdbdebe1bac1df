"""Read TOML that people write."""

from __future__ import annotations

from tomllib import loads
from typing import Any, Final

__all__ = ["parse_toml"]

MOST_CHARS: Final = 50_000


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises: ValueError if it is not TOML, or so long or so deeply nested that reading it would not end.
    """
    if len(text) > MOST_CHARS:
        raise ValueError(f"it has {len(text):,} characters, more than {MOST_CHARS:,}")
    try:
        return loads(text.removeprefix("\ufeff"))  # some editors begin a file with a byte-order mark
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
