"""Where a Python program begins, and where it trains."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from agent.core.code.definitions import Definition, read_definitions
from agent.core.code.source import BadPython, parse

__all__ = ["entry_names", "takes_steps", "training_places"]

_ENTRIES = frozenset({"main", "train"})
_TRAINS = frozenset({"backward", "fit", "zero_grad", "value_and_grad", "training_step", "GradientTape"})
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@lru_cache(maxsize=8)
def entry_names(text: str) -> frozenset[str]:
    """Names of entry functions: main, train, and all names in `if __name__ == "__main__"`. If there is none, those that
    lines outside definitions call.
    """
    tree = parse(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    if isinstance(tree, BadPython):
        return _ENTRIES
    guards = [node for node in tree.body if isinstance(node, ast.If) and "__name__" in _names([node.test])]
    if guards:
        return _ENTRIES | frozenset(_names(guards))
    plain = [node for node in tree.body if not isinstance(node, _DEFINITIONS)]
    calls = (node.value for node in _walk(plain) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    return _ENTRIES | frozenset(_names(calls))


def takes_steps(definition: Definition) -> bool:
    """Whether a definition takes steps of training, judged by the names that it uses."""
    return bool(definition.uses & _TRAINS)


def training_places(files: Mapping[str, str]) -> tuple[str, ...]:
    """Places of the definitions that take steps of training, else of those at which the program begins."""
    known = [(path, each) for path, text in files.items() for each in read_definitions(text) or () if not each.is_class]
    found = [(path, each) for path, each in known if takes_steps(each)]
    found = found or [(path, each) for path, each in known if each.name in entry_names(files[path])]
    return tuple(dict.fromkeys(f"{path}:{each.full_name}" for path, each in found))


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in _walk(nodes):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _walk(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield from ast.walk(node)
