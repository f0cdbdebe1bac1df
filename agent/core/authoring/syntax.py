"""A syntax tree with the way up: the statement, function and loop that a node is in, and places between statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(frozen=True, slots=True)
class Place:
    """Between two lines: after line `line` (0: at the very top), indented by `indent`."""

    line: int
    indent: str


class Tree:
    """A module and its lines; iteration is in source order."""

    def __init__(self, module: ast.Module, text: str) -> None:
        self.module = module
        self.lines = text.split("\n")
        self._parents: dict[ast.AST, ast.AST] = {}
        self._all: list[ast.AST] = []
        waiting: list[ast.AST] = [module]
        while waiting:
            node = waiting.pop()
            self._all.append(node)
            children = list(ast.iter_child_nodes(node))
            self._parents |= dict.fromkeys(children, node)
            waiting += reversed(children)

    def nodes(self, *kinds: type[Node]) -> Iterator[Node]:
        return (node for node in self._all if isinstance(node, kinds))

    def calls(self, attribute: str) -> Iterator[ast.Call]:
        """Calls of a method of that name."""
        for call in self.nodes(ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr == attribute:
                yield call

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The node and all that it is in, innermost first."""
        current: ast.AST | None = node
        while current is not None:
            yield current
            current = self._parents.get(current)

    def statement_of(self, node: ast.AST) -> ast.stmt:
        return next(n for n in self.above(node) if isinstance(n, ast.stmt))

    def function_node(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function whose body holds the node."""
        return next((n for n in self.above(node) if isinstance(n, _FUNCTIONS) and n is not node), None)

    def function_of(self, node: ast.AST) -> str:
        """The name of the function that the node is in; "" for the module's own level."""
        function = self.function_node(node)
        return function.name if function else ""

    def loop_of(self, node: ast.AST) -> ast.stmt | None:
        """The outermost loop around the node within its function."""
        found: ast.stmt | None = None
        for outer in self.above(node):
            if isinstance(outer, _FUNCTIONS):
                break
            if isinstance(outer, _LOOPS) and outer is not node:
                found = outer
        return found

    def block_of(self, node: ast.AST) -> ast.AST:
        """What the names of the node's statement are local to: its function, or the module."""
        return self.function_node(node) or self.module

    def is_alone(self, statement: ast.stmt) -> bool:
        """Whether it is one line of which it is all but a comment."""
        if statement.lineno != statement.end_lineno:
            return False
        raw = self.lines[statement.lineno - 1].encode("utf-8", "surrogatepass")
        rest = raw[statement.end_col_offset :].strip()
        return not raw[: statement.col_offset].strip() and (not rest or rest.startswith(b"#"))

    def before(self, statement: ast.stmt) -> Place | None:
        """The place before a statement that begins its line."""
        indent = self._indent(statement)
        first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
        return None if indent is None else Place(first - 1, indent)

    def after(self, statement: ast.stmt) -> Place | None:
        """The place after a statement that has its last line for itself."""
        indent, end = self._indent(statement), statement.end_lineno or statement.lineno
        last = self.lines[end - 1].encode("utf-8", "surrogatepass")[statement.end_col_offset :].strip()
        return Place(end, indent) if indent is not None and (not last or last.startswith(b"#")) else None

    def after_imports(self) -> Place:
        """After the last import of the module's own level, else after its docstring."""
        line = 0
        for number, node in enumerate(self.module.body):
            is_docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
                line = node.end_lineno or node.lineno
        return Place(line, "")

    def _indent(self, statement: ast.stmt) -> str | None:
        raw = self.lines[statement.lineno - 1].encode("utf-8", "surrogatepass")
        head = raw[: statement.col_offset]
        if head.strip() or raw[statement.col_offset :].startswith(b"elif"):
            return None
        return head.decode("ascii", "replace")


def bound_modules(module: ast.Module) -> frozenset[str]:
    """Modules that the first level imports under their own names."""
    imports = [alias for node in module.body if isinstance(node, ast.Import) for alias in node.names]
    return frozenset(alias.name for alias in imports if alias.asname in (None, alias.name))
