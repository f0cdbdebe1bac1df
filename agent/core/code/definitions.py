"""Functions, methods and classes of a Python text, with the lines that each takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from agent.core.code.source import BadPython, parse

__all__ = ["Definition", "read_definitions"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.ExceptHandler)
_INNER = (ast.stmt, ast.ExceptHandler)


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, a method, or a class without its methods. Lines are 1-based."""

    # Name of the function, method or class.
    name: str
    # Name of the class of a method, or "".
    owner: str
    # Its first line, decorators included.
    first: int
    # Its last line.
    last: int
    # Lines above its body.
    signature: frozenset[int]
    # Lines of its body, without those of methods of a class.
    body: frozenset[int]
    # Names that it reads or calls.
    uses: frozenset[str]
    # Whether it is a class.
    is_class: bool

    @property
    def full_name(self) -> str:
        """The name, with that of its class in front."""
        return f"{self.owner}.{self.name}" if self.owner and not self.is_class else self.name


@lru_cache(maxsize=8)
def read_definitions(text: str) -> tuple[Definition, ...] | None:
    """The definitions of a Python text outside functions, with those of classes, or None if it does not parse."""
    tree = parse(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    if isinstance(tree, BadPython):
        return None
    found: list[Definition] = []
    for node in _statements(tree):
        if isinstance(node, _FUNCTIONS):
            found.append(_definition(node, "", ()))
        elif isinstance(node, ast.ClassDef):
            methods = [_definition(child, node.name, ()) for child in node.body if isinstance(child, _FUNCTIONS)]
            found += [_definition(node, node.name, methods), *methods]
    return tuple(found)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Statements at the top level and inside its `if`, `try` and `with`, in order."""
    waiting: list[ast.AST] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _BLOCKS):
            waiting += reversed([child for child in ast.iter_child_nodes(node) if isinstance(child, _INNER)])


def _used_names(node: ast.AST, *, but_methods: bool) -> frozenset[str]:
    """Names and attributes that stand in a definition. but_methods: not those of the functions directly in it."""
    names: set[str] = set()
    waiting = [child for child in ast.iter_child_nodes(node) if not (but_methods and isinstance(child, _FUNCTIONS))]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.Name):
            names.add(each.id)
            continue
        if isinstance(each, ast.Attribute):
            names.add(each.attr)
        for field in each._fields:
            value = getattr(each, field, None)
            if isinstance(value, list):
                waiting += [one for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST):
                waiting.append(value)
    return frozenset(names)


def _definition(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, owner: str, methods: Sequence[Definition]
) -> Definition:
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    last = node.end_lineno or node.lineno
    body = node.body[0]
    start = min([body.lineno, *(d.lineno for d in getattr(body, "decorator_list", []))])
    head = last if start <= node.lineno else start - 1  # a body on the line of its signature
    theirs = {line for method in methods for line in range(method.first, method.last + 1)}
    uses = _used_names(node, but_methods=bool(methods))
    return Definition(
        node.name,
        owner,
        first,
        last,
        frozenset(range(first, head + 1)),
        frozenset(range(head + 1, last + 1)) - theirs,
        uses,
        isinstance(node, ast.ClassDef),
    )
