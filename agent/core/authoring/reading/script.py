"""A training script as values: its tree, walked once, with the place of each call and the names that imports give."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from agent.core.code.source import BadPython, parse

__all__ = [
    "MOST_CHARS",
    "Function",
    "Loop",
    "Script",
    "Site",
    "below_imports",
    "full_name",
    "imported",
    "read_script",
    "read_scripts",
    "read_tree",
]

MOST_CHARS: Final = 200_000  # of a script, whose tree is walked several times

# "\r" in "a\rb", not in "a\r\n"
_LONE_RETURN: Final = re.compile(r"\r(?!\n)")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.AsyncFor | ast.While


@dataclass(frozen=True, slots=True)
class Site:
    """A node of a script and what stands around it."""

    # The node itself.
    node: ast.AST
    # The statement that holds it, which may be the node itself.
    statement: ast.stmt
    # The innermost function around it.
    function: Function | None
    # The innermost loop around it, inside that function.
    loop: Loop | None
    # The innermost call around it, in the same statement.
    call: ast.Call | None
    # The condition of the innermost `if` around it, inside that function.
    condition: ast.expr | None


@dataclass(frozen=True, slots=True)
class Script:
    """One Python file of a template."""

    file: str
    text: str
    tree: ast.Module
    # Every node in the order of the source.
    sites: tuple[Site, ...]
    # Full names by the names that imports give: np -> numpy, default_rng -> numpy.random.default_rng.
    names: Mapping[str, str]

    @property
    def modules(self) -> set[str]:
        """Top-level modules that it imports."""
        return {full.split(".")[0] for full in self.names.values()}

    def calls(self) -> Iterator[tuple[Site, ast.Call, str]]:
        """Each call with its full name."""
        for site in self.sites:
            if isinstance(site.node, ast.Call):
                yield site, site.node, full_name(site.node.func, self.names)


@lru_cache(maxsize=4)  # each change looks at the same few texts again
def read_tree(text: str) -> ast.Module | BadPython:
    """The tree of a file. One that is very long, or has a line end for Python alone, is left as it is."""
    if len(text) > MOST_CHARS or _LONE_RETURN.search(text):
        return BadPython(1, "it is left as it is")
    return parse(text)


def read_scripts(files: Mapping[str, str]) -> list[Script]:
    """The files that are Python and not too long."""
    found = [read_script(file, text) for file, text in files.items() if file.endswith(".py")]
    return [script for script in found if script]


@lru_cache(maxsize=64)
def read_script(file: str, text: str) -> Script | None:
    """The file as a value, None if it is no Python or too long."""
    tree = read_tree(text)
    if not isinstance(tree, ast.Module):
        return None
    return Script(file, text, tree, tuple(_walk(tree)), imported(tree))


def _walk(tree: ast.Module) -> Iterator[Site]:
    """Every node below the module, depth first, without recursion."""
    waiting: list[Site] = [Site(node, node, None, None, None, None) for node in reversed(tree.body)]
    while waiting:
        site = waiting.pop()
        yield site
        node, function, loop, call, condition = site.node, site.function, site.loop, site.call, site.condition
        if isinstance(node, Function):
            function, loop, condition = node, None, None
        elif isinstance(node, Loop):
            loop = node
        elif isinstance(node, ast.Call):
            call = node
        elif isinstance(node, ast.If):
            condition = node.test
        for child in reversed(list(ast.iter_child_nodes(node))):
            is_statement = isinstance(child, ast.stmt)
            statement = child if isinstance(child, ast.stmt) else site.statement
            waiting.append(Site(child, statement, function, loop, None if is_statement else call, condition))


def imported(tree: ast.Module) -> dict[str, str]:
    """Full names by the names that imports give."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: _module(alias) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _module(alias: ast.alias) -> str:
    return alias.name if alias.asname else alias.name.split(".")[0]


def full_name(node: ast.expr, names: Mapping[str, str]) -> str:
    """The dotted name that an expression means. Empty if it is none."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return f"?.{'.'.join(reversed(parts))}" if parts else ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def below_imports(tree: ast.Module) -> int:
    """The number of lines up to the end of the imports at the top."""
    ends = [0]
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_docstring or isinstance(node, ast.Import | ast.ImportFrom)):
            break
        ends.append(node.end_lineno or 0)
    return ends[-1]
