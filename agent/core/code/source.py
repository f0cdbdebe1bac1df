"""Python source as a syntax tree, or the fault that keeps it from being one. The only place that parses."""

from __future__ import annotations

import ast
import re
import symtable
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

__all__ = [
    "MOST_CHARS",
    "BadPython",
    "constants_in",
    "dump_tree",
    "find_bad_python",
    "parse",
    "python_lines",
    "show_code",
]

MOST_CHARS: Final = 500_000  # more is refused: its tree would take seconds


@dataclass(frozen=True, slots=True)
class BadPython:
    """The fault of a text that is no Python. line: 1-based, at most the number of lines of the text."""

    line: int
    message: str


def parse(text: str) -> ast.Module | BadPython:
    """The syntax tree of a text, without a byte order mark and without warnings."""
    text = text.removeprefix("\ufeff")
    if len(text) > MOST_CHARS:
        return BadPython(1, f"it has more than {MOST_CHARS:,} characters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except SyntaxError as error:
            return BadPython(min(max(error.lineno or 1, 1), text.count("\n") + 1), error.msg)
        except ValueError as error:
            return BadPython(1, str(error))
        except (RecursionError, MemoryError, SystemError):
            return BadPython(1, "it is nested too deeply")


@lru_cache(maxsize=32)
def find_bad_python(text: str) -> BadPython | None:
    """The fault of a text, None if it is Python. Faster than `parse`, since it makes no tree."""
    bare = text.removeprefix("\ufeff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if len(bare) <= MOST_CHARS:
                symtable.symtable(bare, "<edit>", "exec")
                return None
        except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
            pass
    fault = parse(text)  # symtable refuses more than the grammar does
    return fault if isinstance(fault, BadPython) else None


# "\r\n"; Python ends a line at a lone "\r" too, and never at a form feed
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


def python_lines(text: str) -> list[str]:
    """The lines of a source as Python counts them, without their ends."""
    return _LINE_END.split(text)


def show_code(node: ast.expr) -> str:
    """An expression as source, "" if it cannot be written: it is nested too deeply, or a number has too many digits."""
    try:
        return ast.unparse(node)
    except (RecursionError, ValueError):
        return ""


def dump_tree(node: ast.AST) -> str:
    """The meaning of a part of a tree, without its layout, "" if it cannot be written, as in `show_code`."""
    try:
        return ast.dump(node)
    except (RecursionError, ValueError):
        return ""


def constants_in(tree: ast.Module) -> list[tuple[str, ast.expr]]:
    """(name, value) of each assignment to one name at the top level, in order."""
    found: list[tuple[str, ast.expr]] = []
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.append((name, value))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found.append((name, value))
            case _:
                pass
    return found
