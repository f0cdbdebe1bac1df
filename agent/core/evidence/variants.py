"""The runs of a profile's baselines, and the code of each: constants set at the top of a file."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from agent.core.code.source import BadPython, constants_in, parse
from agent.core.evidence.baseline import say_setting
from agent.core.evidence.origin import COPIED, HELD, MISNAMED, PARTS, Provenance, compare, find_move, is_whole
from agent.core.inputs.spec import BaselineVariant, Constant
from agent.errors import UsageError

__all__ = [
    "FIRST_SEED",
    "BaselineTask",
    "Bearings",
    "hash_code",
    "hash_with",
    "plan_tasks",
    "set_constant",
    "set_constants",
    "trace_row",
    "trace_rows",
]

FIRST_SEED: Final = 1001  # runs of ideas count from 1: no baseline shares a seed with one


@dataclass(frozen=True, slots=True)
class BaselineTask:
    """One run of a baseline: `constants` as they are in its code, the varied one among them."""

    name: str
    setting: str
    seed: int
    constants: dict[str, Constant] = field(default_factory=dict)

    @property
    def point(self) -> str:
        """Name and setting, as a part of a file name."""
        # " = " of "width = 8"
        return re.sub(r"[^\w.+-]+", "_", f"{self.name}-{self.setting}" if self.setting else self.name)

    @property
    def stem(self) -> str:
        return f"{self.point}-seed{self.seed}"

    def made(self, row: Mapping[str, object]) -> bool:
        """Whether the stored row says that it is this run's."""
        said = row.get("name"), str(row.get("setting", "")), row.get("seed", 0)
        return said == (self.name, self.setting, self.seed)


def plan_tasks(variants: Sequence[BaselineVariant], where: str) -> tuple[BaselineTask, ...]:
    """Every run: variants in order, their values in order, seeds from FIRST_SEED on. `where` names the file in errors.

    Raises: UsageError if a variant has several values and varies nothing, or if two would share a file.
    """
    tasks: list[BaselineTask] = []
    for variant in variants:
        if bool(variant.vary) != bool(variant.values):
            problem = f"baseline {variant.name}: `vary` and `values` are given together or not at all"
            raise UsageError(where, problem, 'write vary = "K" and values = [4, 8, 16]')
        middle = len(variant.values) // 2
        settings: Sequence[Constant | None] = variant.values or (None,)
        for nth, value in enumerate(settings):
            constants = dict(variant.constants) | ({} if value is None else {variant.vary: value})
            setting = "" if value is None else say_setting(value)
            count = variant.middle_seeds if nth == middle else variant.seeds
            tasks += [BaselineTask(variant.name, setting, FIRST_SEED + n, constants) for n in range(count)]
    stems = [task.stem for task in tasks]
    if repeated := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise UsageError(where, f"two baselines would be stored as {repeated}.json", "give each its own name or value")
    return tuple(tasks)


def hash_code(files: Mapping[str, str], run_files: Sequence[str]) -> str:
    """SHA-256 of the files that are run, one after the other."""
    total = hashlib.sha256()
    for name in run_files:
        total.update(files[name].encode("utf-8", "surrogateescape"))
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class Bearings:
    """The template at one profile, as far as rows are held against it."""

    files: Mapping[str, str]
    run_files: Sequence[str]
    # Name of the profile; empty if the template has none.
    profile: str
    # Its origin, but for the code. Empty if no row records one.
    origin: Mapping[str, str]


def trace_row(raw: Mapping[str, object], task: BaselineTask | None, here: Bearings) -> Provenance:
    """What is known of the making of a stored row. task: the declared run whose file it is, if there is one."""
    code, held, constants = raw.get("code"), raw.get(HELD), raw.get("constants", {})
    differs: list[str] = []
    if task:
        constants = task.constants
        if not task.made(raw):
            differs.append(MISNAMED)
    if not isinstance(held, dict) and raw.get("profile", here.profile) != here.profile:
        differs.append(PARTS["profile"])
    if code is None and not task:
        return Provenance(tuple(differs), given=True)
    if code != hash_with(constants, here):
        differs.append(PARTS["code"])
    differs += compare(held, here.origin) if isinstance(held, dict) else ()
    moved = find_move(held, here.origin) if isinstance(held, dict) else ""
    return Provenance(tuple(dict.fromkeys(differs)), incomplete=not is_whole(held), moved=moved)


def trace_rows(
    rows: Mapping[str, Mapping[str, object]], tasks: Mapping[str, BaselineTask], here: Bearings
) -> dict[str, Provenance]:
    """Facts about the making of all rows, by the names of their files. A run that two files hold counts once."""
    known = {stem: trace_row(raw, tasks.get(stem), here) for stem, raw in rows.items()}
    seen: set[tuple[object, str, object]] = set()
    for stem in sorted(rows, key=lambda stem: (stem not in tasks, stem)):
        raw, found = rows[stem], known[stem]
        run = (raw["name"], str(raw.get("setting", "")), raw.get("seed"))
        if run in seen and MISNAMED not in found.differs:
            known[stem] = replace(found, differs=(*found.differs, COPIED))
        if "seed" in raw:
            seen.add(run)
    return known


def hash_with(constants: object, here: Bearings) -> str:
    """Hash of the code with these constants. Empty if it has no place for them."""
    if not isinstance(constants, dict):
        return ""
    try:
        return hash_code(set_constants(here.files, here.run_files, constants), here.run_files)
    except (UsageError, KeyError, TypeError):
        return ""


def set_constants(
    files: Mapping[str, str], run_files: Sequence[str], constants: Mapping[str, Constant]
) -> dict[str, str]:
    """The files with each constant set in the one of `run_files` that assigns it at its top level.

    Raises: UsageError that names constant and file.
    """
    changed, scripts = dict(files), [file for file in run_files if file.endswith(".py")]
    for name, value in constants.items():
        holders = [file for file in scripts if _assignments(changed[file], name, file)]
        if not holders:
            where = ", ".join(scripts or run_files)
            raise UsageError(where, f"assigns no {name} at its top level", f"add a line {name} = {_literal(value)}")
        if len(holders) > 1:
            raise UsageError(", ".join(holders), f"each assign {name}", "keep one of them")
        changed[holders[0]] = set_constant(changed[holders[0]], name, value, holders[0])
    return changed


def set_constant(text: str, name: str, value: Constant, where: str) -> str:
    """Python text in which the one top-level `name = literal` has another right-hand side. All else is kept.

    Raises: UsageError that names `where` and the constant.
    """
    found = _assignments(text, name, where)
    if not found:
        raise UsageError(where, f"assigns no {name} at its top level", f"add a line {name} = {_literal(value)}")
    if len(found) > 1:
        raise UsageError(where, f"assigns {name} {len(found)} times", "keep one assignment")
    try:
        ast.literal_eval(found[0])
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        problem = f"line {found[0].lineno}: {name} is no literal, so that it cannot be set"
        raise UsageError(where, problem, f"write {name} = {_literal(value)}") from error
    raw = text.encode("utf-8", "surrogateescape")
    begins = [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", raw))]
    bom = 3 if text.startswith("\ufeff") else 0

    def place(line: int, column: int) -> int:
        return begins[line - 1] + column + (bom if line == 1 else 0)

    node = found[0]
    assert node.end_lineno is not None and node.end_col_offset is not None
    start, end = place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)
    literal = _literal(value).encode()
    return (raw[:start] + literal + raw[end:]).decode("utf-8", "surrogateescape")


def _assignments(text: str, name: str, where: str) -> list[ast.expr]:
    """The right-hand sides of the top-level assignments of one name."""
    found = _read_constants(text)
    if isinstance(found, BadPython):
        raise UsageError(where, f"is not Python: line {found.line}: {found.message}")
    return [value for target, value in found if target == name]


@functools.lru_cache(maxsize=32)  # the rows of a profile ask for the same few texts again and again
def _read_constants(text: str) -> tuple[tuple[str, ast.expr], ...] | BadPython:
    tree = parse(text)
    return tree if isinstance(tree, BadPython) else tuple(constants_in(tree))


def _literal(value: Constant) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError("template.toml", f"a baseline's constant is {value}", "name a finite number")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
