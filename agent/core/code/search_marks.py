"""Search ranges that an experiment marks on its constants, one comment a line.

LR = 1e-3  # search: log 1e-4..1e-2
AUX_COEF = 0.03  # search: 0.0..0.2
WARMUP = 50  # search: int 0..200
DEC_NORM = "unit"  # search: one of "unit", "free"
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass

Setting = float | int | str | bool

_LINE = re.compile(
    r"^(?P<name>[A-Za-z_]\w*)(?:\s*:[^=]+)?\s*=\s*"
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^#\n]+?)\s*#\s*search:\s*(?P<range>.+?)\s*$"""
)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SPAN = re.compile(rf"^(?P<kind>log|int)?\s*(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER})$")


@dataclass(frozen=True, slots=True)
class SearchRange:
    """One constant: its line (with the line's text), present value, and the range or the choices it may take."""

    name: str
    line: str
    value: Setting
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False
    choices: tuple[Setting, ...] = ()

    def with_value(self, value: Setting) -> str:
        """The line with another value; all else in it is kept."""
        match = _LINE.match(self.line)
        assert match, self.line
        start, end = match.span("value")
        literal = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
        return self.line[:start] + literal + self.line[end:]


def search_ranges(text: str) -> tuple[SearchRange, ...]:
    """All marked constants of a Python file. A mark that cannot be read is passed over, as any comment is."""
    found = (_range_of(line) for line in text.splitlines())
    return tuple(r for r in found if r)


def settings_of(text: str) -> dict[str, Setting]:
    """Present values of the marked constants."""
    return {r.name: r.value for r in search_ranges(text)}


def _range_of(line: str) -> SearchRange | None:
    match = _LINE.match(line)
    if not match:
        return None
    try:
        value = ast.literal_eval(match["value"])
        if match["range"].startswith("one of "):
            choices = ast.literal_eval("(" + match["range"].removeprefix("one of ") + ",)")
            if not all(isinstance(scalar, int | float | str) for scalar in (value, *choices)):
                return None
            return SearchRange(match["name"], line, value, choices=choices)
    except (ValueError, SyntaxError):
        return None
    span = _SPAN.match(match["range"])
    if not span or not isinstance(value, int | float) or float(span["low"]) >= float(span["high"]):
        return None
    kind = span["kind"] or ""
    if kind == "log" and float(span["low"]) <= 0:
        return None
    return SearchRange(
        match["name"], line, value, float(span["low"]), float(span["high"]), log=kind == "log", integer=kind == "int"
    )
