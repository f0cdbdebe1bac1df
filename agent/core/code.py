"""What code means, apart from how it is written: digests that tell a change from a re-formatting."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Mapping


def digest_code(files: Mapping[str, str], names: Collection[str]) -> str:
    """SHA-256 over the named files: Python by its syntax tree (comments and layout do not count), others by bytes."""
    total = hashlib.sha256()
    for name in sorted(names):
        total.update(name.encode() + b"\0" + _meaning(name, files.get(name)).encode("utf-8", "replace") + b"\0")
    return total.hexdigest()


def _meaning(name: str, text: str | None) -> str:
    if text is None:
        return "absent"
    if name.endswith(".py"):
        try:
            return ast.dump(ast.parse(text.removeprefix("\ufeff")))
        except (SyntaxError, ValueError):
            return "text:" + text
    return "text:" + text


def imported_modules(text: str) -> frozenset[str]:
    """Top-level names of the modules that Python text imports; none where it does not parse."""
    try:
        tree = ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError):
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return frozenset(names)


def definition_of(text: str, function: str) -> str:
    """Source of the function or method of that name, with its decorators; empty where it is not found exactly once."""
    try:
        tree = ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError):
        return ""
    name = function.rpartition(".")[2]
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    if len(found) != 1 or found[0].end_lineno is None:
        return ""
    first = min([found[0].lineno, *(d.lineno for d in found[0].decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : found[0].end_lineno])
