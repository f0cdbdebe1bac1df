"""The components of an idea as the code has them: constants that plan or idea name, and their present values."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Mapping

__all__ = ["describe_switches"]

MAX_SWITCHES = 8
_VALUE_CHARS = 40
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, str] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if len(targets) != 1 or not isinstance(targets[0], ast.Name) or not targets[0].id.isupper():
            continue
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if value is not None:
            found[targets[0].id] = _say_value(value)
    return found


def _say_value(node: ast.expr) -> str:
    shown = " ".join(ast.unparse(node).split())
    shown = shown if len(shown) <= _VALUE_CHARS else shown[: _VALUE_CHARS - 1] + "…"
    try:
        value = ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return shown
    is_off = value.lower() in _OFF if isinstance(value, str) else not value
    return f"{shown} (off)" if is_off else shown
