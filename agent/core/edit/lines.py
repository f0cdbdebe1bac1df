"""A file as lines that can be spliced without losing its byte order mark, line ends or final newline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Lines", "Splice", "splice", "split_body", "split_lines"]

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Splice:
    """Lines start..stop (0-based, stop excluded) become new."""

    start: int
    stop: int
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a file. text: without their ends. ends: "\\n", "\\r\\n", or "" for a last line without newline."""

    text: tuple[str, ...]
    ends: tuple[str, ...]
    bom: bool

    def join(self) -> str:
        body = "".join(part for pair in zip(self.text, self.ends, strict=True) for part in pair)
        return _BOM + body if self.bom else body


@lru_cache(maxsize=32)
def split_lines(text: str) -> Lines:
    bom = text.startswith(_BOM)
    lines = text[len(_BOM) * bom :].split("\n")
    ends = ["\n"] * (len(lines) - 1)
    if "\r" in text:
        for i, line in enumerate(lines[:-1]):
            if line.endswith("\r"):
                lines[i], ends[i] = line[:-1], "\r\n"
    if lines[-1]:
        ends.append("")
    else:
        lines.pop()
    return Lines(tuple(lines), tuple(ends), bom)


def split_body(body: str) -> tuple[str, ...]:
    """Lines of a SEARCH or REPLACE text, which ends with a newline unless empty."""
    return tuple(body.split("\n")[:-1])


def splice(lines: Lines, splices: Sequence[Splice]) -> Lines:
    """Put new lines in place of old ones, with the line ends of the lines they replace.

    The splices are in order and do not overlap. A last line without newline stays so unless replaced or followed.
    """
    newline = "\r\n" if lines.ends.count("\r\n") > lines.ends.count("\n") else "\n"
    text: list[str] = []
    ends: list[str] = []
    done = 0
    for s in splices:
        text += lines.text[done : s.start]
        ends += lines.ends[done : s.start]
        near = lines.ends[s.start] if s.start < s.stop else newline
        text += s.new
        ends += [near or newline] * len(s.new)
        done = s.stop
    text += lines.text[done:]
    ends += lines.ends[done:]
    ends[:-1] = [end or newline for end in ends[:-1]]
    return Lines(tuple(text), tuple(ends), lines.bom)
