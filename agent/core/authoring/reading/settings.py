"""Settings of a script, wherever it keeps them: constants, options of argparse and click, fields, parameters."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent.core.authoring.reading.script import Function, Script, read_scripts
from agent.core.code.source import constants_in

__all__ = ["Setting", "find_settings"]

MOST_CHARS: Final = 60  # of a name

# Calls that declare an option with a default.
_DECLARES: Final = re.compile(r".*\b(add_argument|option|DEFINE_float|DEFINE_integer|Option|field|Field)")
_DASHES: Final = re.compile(r"--?[A-Za-z][\w-]*")  # --weight-decay


@dataclass(frozen=True, slots=True)
class Setting:
    """A number of the script that has a name."""

    # As a variable is named: "weight_decay".
    name: str
    # At present.
    value: int | float
    # "constant", "option", "field" or "keyword".
    kind: str
    # "experiment.py"
    file: str
    # The line of the number, counted from 1.
    line: int
    # The column where the number begins, in bytes.
    start: int
    # The column behind it.
    stop: int
    # Options: as it is typed. Empty for the others.
    option: str = ""


def find_settings(files: Mapping[str, str]) -> list[Setting]:
    """Every number that has a name, in the order of the files."""
    return [setting for script in read_scripts(files) for setting in _settings_in(script)]


def _settings_in(script: Script) -> Iterator[Setting]:
    stored = Counter(
        site.node.id
        for site in script.sites
        if isinstance(site.node, ast.Name) and isinstance(site.node.ctx, ast.Store)
    )
    for name, value in constants_in(script.tree):
        if stored[name] == 1 and (found := _make(script, name, value, "constant")):
            yield found
    for site in script.sites:
        match site.node:
            case ast.Call() as call:
                yield from _of_call(script, call)
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=[number])):
                yield from _one(script, name, number, "keyword")
            case ast.ClassDef(body=body):
                for node in body:
                    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                        yield from _one(script, node.target.id, node.value, "field")
            case ast.FunctionDef(args=args) | ast.AsyncFunctionDef(args=args) if _is_entry(site.node):
                defaults = (
                    [*zip(args.args[-len(args.defaults) :], args.defaults, strict=False)] if args.defaults else []
                )
                defaults += [(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d]
                for argument, default in defaults:
                    yield from _one(script, argument.arg, default, "field")
            case _:
                pass


def _is_entry(node: ast.AST) -> bool:
    return isinstance(node, Function) and node.name in ("main", "train", "run", "fit")


def _of_call(script: Script, call: ast.Call) -> Iterator[Setting]:
    """An option that the call declares, else the numbers that it is given by name."""
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    names = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    options = [name for name in names if _DASHES.fullmatch(name)]
    if _DECLARES.fullmatch(f".{last}") and names:
        typed = next((o for o in options if o.startswith("--")), options[0] if options else "")
        name = (typed or names[0]).lstrip("-").replace("-", "_")
        default = next((k.value for k in call.keywords if k.arg == "default"), None)
        if default is None and last.startswith("DEFINE_") and len(call.args) > 1:
            default = call.args[1]
        if default is not None:
            yield from _one(script, name, default, "option", typed or f"--{name}")
        return
    for keyword in call.keywords:
        if keyword.arg:
            yield from _one(script, keyword.arg, keyword.value, "keyword")


def _one(script: Script, name: str, value: ast.expr, kind: str, option: str = "") -> Iterator[Setting]:
    if found := _make(script, name, value, kind, option):
        yield found


def _make(script: Script, name: str, value: ast.expr, kind: str, option: str = "") -> Setting | None:
    match value:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            if len(name) > MOST_CHARS or abs(number) > 1e300 or value.lineno != value.end_lineno:
                return None
            stop = value.end_col_offset or 0
            return Setting(name, number, kind, script.file, value.lineno, value.col_offset, stop, option)
        case _:
            return None
