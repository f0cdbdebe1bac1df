"""What code means, apart from how it is written: digests that tell a change from a re-formatting."""

from __future__ import annotations

import ast
import hashlib
import warnings
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
            tree = _parse(text)
            return ast.dump(tree) if tree else "text:" + text
        except RecursionError:
            return "text:" + text
    return "text:" + text


def _parse(text: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text.removeprefix("\ufeff"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def imported_modules(text: str) -> frozenset[str]:
    """Top-level names of the modules that Python text imports; none where it does not parse."""
    tree = _parse(text)
    names: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return frozenset(names)
