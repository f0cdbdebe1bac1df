"""The components of an idea as the code has them: constants that plan or idea name, and their present values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from agent.core.code.source import BadPython, constants_in, parse, show_code
from agent.core.text.plain import plain_line

__all__ = ["describe_switches"]

MAX_SWITCHES = 8
_VALUE_CHARS = 40
# "ORTHO_WEIGHT"
_CONSTANT = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b")
_OFF = frozenset(["", "off", "none", "no", "false", "disabled"])
_WORDS = frozenset(["ALL_COMPLETED", "REPLICATE", "PLAN", "SEARCH", "REPLACE"])


def describe_switches(code: Iterable[str], said: Iterable[str]) -> tuple[str, ...]:
    """`ORTHO_WEIGHT = 0.0 (off)` for every module-level constant that the texts name, in the order of the newest text.

    said: texts, the one that counts most first. Of more than MAX_SWITCHES the first are shown.
    """
    values: dict[str, str] = {}
    for text in code:
        values |= _constants(text)
    named = [name for text in said for name in _CONSTANT.findall(text)]
    shown = [name for name in dict.fromkeys(named) if name in values and name not in _WORDS]
    return tuple(f"{name} = {values[name]}" for name in shown[:MAX_SWITCHES])


def _constants(text: str) -> Mapping[str, str]:
    """Module-level names in capitals with their literal values, as shown."""
    tree = parse(text)
    if isinstance(tree, BadPython):
        return {}
    return {name: _say_value(value) for name, value in constants_in(tree) if name.isupper()}


def _say_value(node: ast.expr) -> str:
    shown = plain_line(show_code(node), _VALUE_CHARS)
    if not shown:
        return "(too long to show)"
    try:
        value = ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return shown
    is_off = value.lower() in _OFF if isinstance(value, str) else not value
    return f"{shown} (off)" if is_off else shown
