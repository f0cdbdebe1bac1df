"""Baselines of a template as files: which are there, which are to be made, and the run that makes one."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from agent.core.evidence.origin import HELD, MISNAMED, PARTS, Lineage, compare, is_whole, say_doubt
from agent.core.evidence.variants import BaselineTask, Bearings, hash_code, hash_with, plan_tasks, set_constants
from agent.core.text.remark import Remark
from agent.edges.run.choose_runner import runner_for
from agent.edges.run.prepare_step import Equipment
from agent.edges.run.trial import Trial, run_trial
from agent.edges.system.files import write_durably
from agent.edges.template.data import Prepared
from agent.edges.template.load import TEMPLATE_FILE, Template, load_template, origin_of
from agent.edges.template.origin import Given, given_origin
from agent.errors import ScientistError, UsageError

__all__ = [
    "Bench",
    "Made",
    "Row",
    "RowState",
    "check_plan",
    "make_all",
    "make_row",
    "plan_rows",
    "undeclared_files",
    "vouch",
    "weigh",
]


class RowState(StrEnum):
    """State of a row on disk: no file, a result of what is here, one of something else, or nobody knows."""

    MISSING = "missing"
    THERE = "there"
    STALE = "stale"
    UNRECORDED = "unrecorded"


@dataclass(frozen=True, slots=True)
class Row:
    """One run of a baseline and its file.

    files: with the constants in them. code: their SHA-256. origin: all else that makes the run, as far as it is known.
    """

    task: BaselineTask
    path: Path
    files: Mapping[str, str]
    code: str
    origin: Mapping[str, str]

    def state(self) -> RowState:
        """Raises: UsageError if the file is no baseline."""
        try:
            stored = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return RowState.MISSING
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(str(self.path), f"cannot be read: {error}", "delete it; it is made again") from error
        if self._compare(stored):
            return RowState.STALE
        return RowState.THERE if is_whole(stored.get(HELD)) else RowState.UNRECORDED

    def differs(self) -> str:
        """The parts in which a stale row differs, in words."""
        return ", ".join(self._compare(json.loads(self.path.read_text("utf-8"))))

    def _compare(self, stored: object) -> tuple[str, ...]:
        if not isinstance(stored, dict) or stored.get("code") != self.code:
            return (PARTS["code"],)
        if not self.task.made(stored):
            return (MISNAMED,)
        held = stored.get(HELD)
        return compare(held, self.origin) if isinstance(held, dict) else ()


@dataclass(frozen=True, slots=True)
class Bench:
    """Template, interpreter and folders that every run of a baseline needs."""

    # The template at the profile of the baseline.
    template: Template
    # Python that runs the experiment.
    interpreter: Path
    # Environment that a run may draw from, by an allow-list.
    inherited: Mapping[str, str]
    # Holds the runs' folders and locks, apart from the template.
    scratch: Path
    # Finds the profile's data or, if it was evicted since, makes it again. None: the template prepares none.
    prepare: Callable[[], Prepared | None] = lambda: None
    # As --sandbox takes it.
    sandbox: str = "off"
    # Folder that the experiment finds as ./data.
    data: Path | None = None

    @property
    def place(self) -> Path:
        """The scratch folder of this template at this profile."""
        key = hashlib.sha256(f"{self.template.folder}\0{self.template.profile}".encode()).hexdigest()
        return self.scratch / key[:16]


@dataclass(frozen=True, slots=True)
class Made:
    """End of a row. trial: its run, or None if another process has it or made it.

    folder: keeps a failed run's files.
    """

    row: Row
    busy: bool = False
    trial: Trial | None = None
    folder: Path | None = None


def plan_rows(
    template: Template, only: Sequence[str] = (), brought: Mapping[str, str] | None = None
) -> tuple[Row, ...]:
    """Every row of the profile's baselines, or those of the names (topk) and points (topk-6) in `only`.

    brought: the parts of the origin that options and the machine bring.

    Raises: UsageError naming file and field, if there are none or a constant cannot be set.
    """
    where = str(template.folder / TEMPLATE_FILE)
    declared = template.spec.profiles.get(template.profile)
    if not declared or not declared.baselines:
        problem = f"declares no baselines at profile {template.profile!r}"
        raise UsageError(where, problem, f"add a [[profiles.{template.profile or 'NAME'}.baselines]]")
    tasks = plan_tasks(declared.baselines, where)
    known = {name for task in tasks for name in (task.name, task.point)}
    if unknown := [name for name in only if name not in known]:
        names = ", ".join(dict.fromkeys(task.name for task in tasks))
        raise UsageError(f"--only {unknown[0]}", "is no baseline of this profile", f"there are: {names}")
    folder = template.folder / "baselines" / template.profile
    rows, origin = [], origin_of(template) | dict(brought or {})
    for task in tasks:
        if not only or task.name in only or task.point in only:
            files = set_constants(template.files, template.spec.run_files, task.constants)
            code = hash_code(files, template.spec.run_files)
            rows.append(Row(task, folder / f"{task.stem}.json", files, code, origin))
    return tuple(rows)


def check_plan(template: Template) -> list[Remark]:
    """The fault for which the profile's declared baselines cannot be made; empty if there is none."""
    declared = template.spec.profiles.get(template.profile)
    try:
        if declared and declared.baselines:
            plan_rows(template)
    except UsageError as error:
        return [Remark("mend", str(error))]
    return []


def weigh(template: Template, given: Given) -> tuple[Lineage, str]:
    """What is known of the template's baselines, held against what a launch brings, and why they judge none of its
    runs.

    Raises: UsageError if the data cannot be read.
    """
    lineage = template.lineage
    if lineage.recorded:
        brought = given_origin(given, template.folder, template.spec, template.files)
        lineage = load_template(template.folder, template.profile, brought).lineage
    return lineage, say_doubt(lineage, strict=True)


def vouch(template: Template, brought: Mapping[str, str]) -> list[Path]:
    """Record in each row that does not say what made it that the template as it is here did. Return their files.

    Raises: UsageError if a row is known to come of something else; OSError.
    """
    changed: list[tuple[Path, dict[str, object]]] = []
    here = Bearings(template.files, template.spec.run_files, template.profile, {})
    for path in sorted((template.folder / "baselines" / template.profile).glob("*.json")):
        raw = json.loads(path.read_bytes())
        if is_whole(raw.get(HELD)):
            continue
        code = hash_with(raw.get("constants", {}), here)
        if raw.get("code", code) != code or raw.get("profile", here.profile) != here.profile:
            raise UsageError(str(path), "came of other code or another profile", "make it again with --redo")
        held = origin_of(template) | dict(brought) | {"vouched": "a person said so"}
        first = [key for key in ("name", "setting", "seed", "profile", "constants") if key in raw]
        rest = {key: value for key, value in raw.items() if key != HELD}
        changed.append((path, {key: raw[key] for key in first} | {"code": code, HELD: held} | rest))
    for path, row in changed:
        write_durably(path, json.dumps(row, indent=1).encode() + b"\n")
    return [path for path, _ in changed]


def undeclared_files(template: Template) -> list[Path]:
    """Baselines of the profile that no declared variant makes. They count as baselines all the same."""
    stems = {row.task.stem for row in plan_rows(template)}
    return sorted(p for p in (template.folder / "baselines" / template.profile).glob("*.json") if p.stem not in stems)


def make_row(bench: Bench, row: Row, sleep: Callable[[float], None], *, redo: bool = False) -> Made:
    """Run the row and store its result, unless another process runs it or it is stored already. `redo` replaces a stale
    one.

    At return, or if the call is interrupted, no process of the run is left.

    Raises: OSError; UsageError if the row is stale, or the template is changed meanwhile; any exception of `sleep`.
    """
    bench.place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(bench.place / f"{row.task.stem}.lock", fallback_to_soft=False)
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        return Made(row, busy=True)
    with held:
        state = row.state()
        if state is RowState.THERE:
            return Made(row)
        if state is not RowState.MISSING and not redo:
            raise UsageError(str(row.path), f"came of {row.differs() or 'nobody knows what'}", "use --redo")
        return _run_row(bench, row, sleep)


def _run_row(bench: Bench, row: Row, sleep: Callable[[float], None]) -> Made:
    folder = bench.place / row.task.stem
    for step in folder.glob(".agent/attempts/*.*"):  # a call that was killed outright may have left its run behind
        runner_for(None).kill(step)
    shutil.rmtree(folder, ignore_errors=True)
    trial = run_trial(
        folder,
        bench.template,
        row.files,
        Equipment(bench.interpreter, bench.inherited, bench.sandbox, bench.data, bench.prepare()),
        seed=row.task.seed,
        sleep=sleep,
    )
    if trial.failure:
        return Made(row, trial=trial, folder=folder)
    if compare(row.origin, origin_of(bench.template)):
        raise UsageError(str(bench.template.folder), "was changed while a baseline was made", "make it again")
    task, evaluate = row.task, bench.template.spec.evaluate
    reason = trial.evaluation.get("self_reported")
    if reason and evaluate and not evaluate.runs_experiment_code:
        raise UsageError(f"baseline {task.stem}", f"is self-reported ({reason})", "a baseline must be verified")
    stored = {
        "name": task.name,
        "setting": task.setting,
        "seed": task.seed,
        "profile": bench.template.profile,
        "constants": task.constants,
        "code": row.code,
        HELD: dict(row.origin),
        "final_info": trial.final_info,
        "evaluation": trial.evaluation,
    }
    row.path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(row.path, json.dumps(stored, indent=1).encode() + b"\n")
    shutil.rmtree(folder, ignore_errors=True)
    return Made(row, trial=trial)


class _Stopped(Exception):
    """The call that makes rows is ending."""


def make_all(bench: Bench, rows: Sequence[Row], parallel: int, redo: bool) -> Iterator[Made | ScientistError | OSError]:
    """Each row's end as it comes. Closing it, or Ctrl-C, ends the runs that are going."""
    stop = threading.Event()

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise _Stopped

    def work(row: Row) -> Made | ScientistError | OSError | None:
        try:
            return None if stop.is_set() else make_row(bench, row, sleep, redo=redo)
        except (ScientistError, OSError) as error:  # one row's trouble must not end the others
            return error
        except _Stopped:
            return None

    pool = ThreadPoolExecutor(max_workers=parallel)
    try:
        for future in as_completed([pool.submit(work, row) for row in rows]):
            made = future.result()
            if made is not None:
                yield made
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
