"""Digests of code that tell a change of its meaning from a new layout."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Mapping

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


def imported_modules(text: str) -> frozenset[str]:
    """Top-level names of the modules that Python text imports, none if it does not parse."""
    tree = parse(text)
    names: set[str] = set()
    for node in ast.walk(tree) if isinstance(tree, ast.Module) else ():
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return frozenset(names)
