"""Definitions that a prompt shows before all others: where a program begins, where it trains, and what was named."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from agent.core.code.source import BadPython, parse
from agent.core.edit.lines import split_lines
from agent.core.prompt.excerpt import Focus, Unit, read_units

__all__ = ["find_vital"]

_ENTRIES = frozenset({"main", "train"})
_TRAINS = frozenset({"backward", "fit", "zero_grad", "value_and_grad", "training_step", "GradientTape"})
_MOST = 40  # definitions
# "evaluate"
_WORD = re.compile(r"[A-Za-z_]\w+")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def find_vital(text: str, focus: Focus, about: str = "") -> tuple[int, ...]:
    """First lines of the vital definitions of a Python text, the most important first.

    Those are: definitions with a line in focus, the entry functions, the longest function, definitions with a name in
    focus, those that take steps of training, and those that the words of plan and idea name.

    about: these words.
    """
    said = frozenset(_WORD.findall(about))
    units = read_units(text)
    if not units:
        return ()
    functions = [unit for unit in units if not unit.is_class]
    entries = _ENTRIES | _called_at_start(text)
    longest = max(functions, key=lambda unit: len(unit.body), default=None)
    ranks: tuple[Callable[[Unit], bool], ...] = (
        lambda unit: bool((unit.signature | unit.body) & focus.lines),
        lambda unit: unit.name in entries,
        lambda unit: unit is longest,
        lambda unit: unit.name in focus.names and not unit.name.startswith("__"),
        lambda unit: bool(unit.uses & _TRAINS),
        lambda unit: unit.name in said,
    )
    ordered = dict.fromkeys(unit.first for holds in ranks for unit in units if holds(unit))
    return tuple(ordered)[:_MOST]


@lru_cache(maxsize=8)
def _called_at_start(text: str) -> frozenset[str]:
    """Names that `if __name__ == "__main__"` reads or, if there is none, that lines outside definitions call."""
    tree = parse("\n".join(split_lines(text).text))
    if isinstance(tree, BadPython):
        return frozenset()
    guards = [node for node in tree.body if isinstance(node, ast.If) and "__name__" in _names([node.test])]
    if guards:
        return frozenset(_names(guards))
    plain = [node for node in tree.body if not isinstance(node, _DEFINITIONS)]
    calls = (node.value for node in _walk(plain) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    return frozenset(_names(calls))


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in _walk(nodes):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _walk(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield from ast.walk(node)
