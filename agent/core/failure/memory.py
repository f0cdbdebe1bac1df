"""Advice when memory ran out: how much was asked for, by which line, and how to use less."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from agent.core.failure.folding import cut_line

__all__ = ["advise_on_memory"]

LOWER: Final = (
    "The sizes in profile.json (batch_size, d_sae and the like) are the profile's and stay, or the run compares with "
    "nothing. Lower what this code adds to them: work in pieces, sample pairs instead of taking all, use "
    "torch.no_grad() where no gradient is needed, keep no tensors (nor losses with their graph) from step to step."
)

_UNITS: Final = {"bytes": 1.0, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30, "tib": 2.0**40, "pib": 2.0**50}
# "Tried to allocate 2.00 GiB"
_ASKED: Final = re.compile(
    r"(?:[Tt]ried to allocate|Unable to allocate) (?P<number>\d+(?:\.\d+)?) (?P<unit>bytes|[KMGTP]iB)"
)
# "of which 1.5 GiB is free"
_FREE: Final = re.compile(r"of which (?P<free>\d+(?:\.\d+)? [KMGTP]?i?B) is free")
# "an array with shape (100, 100) and data type float64"
_ARRAY: Final = re.compile(r"an array with shape (?P<shape>\([\d, ]*\)) and data type (?P<type>\w+)")


def advise_on_memory(texts: Sequence[str], code: str) -> str:
    """A paragraph for the model. `texts` are the messages, last first. `code` is the own line that failed, if known."""
    asked = next((_say_asked(text) for text in texts if _ASKED.search(text)), "")
    line = f"The line `{cut_line(code, 160)}`" if code else ""
    told = f"{line or 'It'} asked for {asked}. " if asked else f"{line} ran out of memory. " if line else ""
    return told + LOWER


def _say_asked(text: str) -> str:
    """The size that was asked for, as a shape if one is known or a square one fits."""
    asked = _ASKED.search(text)
    assert asked
    size = float(asked["number"]) * _UNITS[asked["unit"].lower()]
    said = _say_size(size)
    array, free = _ARRAY.search(text), _FREE.search(text)
    if array:
        said += f", for an array of shape {array['shape']} ({array['type']})"
    elif size % 4 == 0 and asked["unit"] == "bytes":
        count = int(size) // 4
        side = math.isqrt(count)
        square = f", a matrix of {side:,} x {side:,}" if side * side == count else ""
        said += f", as {count:,} float32 values take{square}"
    return said + (f", and {free['free']} was free" if free else "")


def _say_size(size: float) -> str:
    unit = next(u for u in ("TiB", "GiB", "MiB", "KiB", "bytes") if size >= _UNITS[u.lower()] or u == "bytes")
    return f"{size / _UNITS[unit.lower()]:,.4g} {unit}"
