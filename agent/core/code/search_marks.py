"""Search ranges that an experiment marks on its constants, one comment a line.

LR = 1e-3  # search: log 1e-4..1e-2
AUX_COEF = 0.03  # search: 0.0..0.2
WARMUP = 50  # search: int 0..200
DEC_NORM = "unit"  # search: one of "unit", "free"
"""

from __future__ import annotations

import ast
import json
import math
import re
from dataclasses import dataclass

from agent.core.code.source import constants_in, parse

Setting = float | int | str | bool

LONGEST_SETTING = 200
_LARGEST_SETTING = 1e300  # the digits of a greater number can be more than Python writes

# "# search:" in "LR = 1e-3  # search: log 1e-4..1e-2"
_MARK = re.compile(r"\s*#\s*search:")
# "1e-4", "-0.5", ".5"
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
# "log 1e-4..1e-2", "int 0..200", "0.0 .. 0.2"
_SPAN = re.compile(rf"(?P<kind>log|int)?\s*(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER})")


@dataclass(frozen=True, slots=True)
class SearchRange:
    """A constant with the range or the choices that it may take."""

    # Name of the constant in the code.
    name: str
    # The text of its line.
    line: str
    # At present.
    value: Setting
    # The least value, itself included. Not used if there are choices.
    low: float = 0.0
    # The greatest value, itself included. Not used if there are choices.
    high: float = 0.0
    # Whether to search on a logarithmic scale.
    log: bool = False
    # Whether only whole numbers count.
    integer: bool = False
    # The values it may take, () for a range.
    choices: tuple[Setting, ...] = ()

    def with_value(self, value: Setting) -> str:
        """The line with another value, and all else as it is."""
        marked = _read_mark(self.line)
        assert marked, self.line
        literal = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
        return self.line[: marked.start] + literal + self.line[marked.stop :]


@dataclass(frozen=True, slots=True)
class _Mark:
    """A marked constant as it is written: its value stands at start..stop of the line."""

    name: str
    value: ast.expr
    start: int
    stop: int
    range: str


def search_ranges(text: str) -> tuple[SearchRange, ...]:
    """All marked constants of a Python file. A mark that cannot be read is passed over, as any comment is."""
    found = (_range_of(line) for line in text.splitlines())
    return tuple(r for r in found if r)


def settings_of(text: str) -> dict[str, Setting]:
    """Present values of the marked constants."""
    return {r.name: r.value for r in search_ranges(text)}


def _read_mark(line: str) -> _Mark | None:
    tree = parse(line) if "search:" in line and not line[:1].isspace() else None
    found = constants_in(tree) if isinstance(tree, ast.Module) and len(tree.body) == 1 else []
    if not isinstance(tree, ast.Module) or len(found) != 1:
        return None
    name, value = found[0]
    start, stop = (len(line.encode()[:column].decode()) for column in (value.col_offset, value.end_col_offset or 0))
    mark = _MARK.match(line, stop)
    return _Mark(name, value, start, stop, line[mark.end() :].strip()) if mark else None


def _range_of(line: str) -> SearchRange | None:
    mark = _read_mark(line)
    if mark is None:
        return None
    try:
        value = ast.literal_eval(mark.value)
        if mark.range.startswith("one of "):
            choices = ast.literal_eval("(" + mark.range.removeprefix("one of ") + ",)")
            if not all(map(_is_setting, (value, *choices))):
                return None
            return SearchRange(mark.name, line, value, choices=choices)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    span = _SPAN.fullmatch(mark.range)
    if not span or not _is_setting(value) or isinstance(value, str):
        return None
    low, high, kind = float(span["low"]), float(span["high"]), span["kind"] or ""
    if not -math.inf < low < high < math.inf or (kind == "log" and low <= 0):
        return None
    return SearchRange(mark.name, line, value, low, high, log=kind == "log", integer=kind == "int")


def _is_setting(value: object) -> bool:
    """Whether prompts, notes and the journal can hold the value: a finite number, or a short text in one line."""
    if isinstance(value, str):
        return len(value) <= LONGEST_SETTING and len(value.splitlines()) <= 1
    return isinstance(value, int | float) and -_LARGEST_SETTING < value < _LARGEST_SETTING
