"""Digests of code that tell a change of its meaning from a new layout."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Mapping
from functools import lru_cache

from agent.core.code.source import dump_tree, parse


def digest_code(files: Mapping[str, str], names: Collection[str]) -> str:
    """SHA-256 over the named files: Python by its syntax tree (comments and layout do not count), others by bytes."""
    total = hashlib.sha256()
    for name in sorted(names):
        total.update(name.encode() + b"\0" + _meaning(name, files.get(name)).encode("utf-8", "replace") + b"\0")
    return total.hexdigest()


def _meaning(name: str, text: str | None) -> str:
    if text is None:
        return "absent"
    tree = parse(text) if name.endswith(".py") else None
    return (dump_tree(tree) if isinstance(tree, ast.Module) else "") or "text:" + text


@lru_cache(maxsize=64)  # asked for the same files at every event
def imported_modules(text: str) -> frozenset[str]:
    """Top-level names of the modules that Python text imports, none if it does not parse."""
    tree = parse(text)
    names: set[str] = set()
    for node in ast.walk(tree) if isinstance(tree, ast.Module) else ():
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and (module := _imported_by_call(node)):
            names.add(module.split(".")[0])
    return frozenset(names)


def _imported_by_call(node: ast.Call) -> str:
    """The module of importlib.import_module("a.b") or __import__("a.b"), "" if it is no such call."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0] if node.args else None
    if name not in ("import_module", "__import__") or not isinstance(first, ast.Constant):
        return ""
    return first.value if isinstance(first.value, str) and not first.value.startswith(".") else ""
