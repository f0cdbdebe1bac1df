"""scientist baseline: run a template's baselines and store their results in it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.environment import (
    check_data,
    check_python,
    check_variables,
    choose_interpreter,
    give,
    hold_own_code,
    known_origin,
    prepare,
)
from agent.cli.options import DataOption, PythonOption, TemplateArg
from agent.cli.places import digest_store, environment_cache, is_installed, template_roots, writing_cache
from agent.cli.terminal import say
from agent.core.evidence.baseline import primary_metric
from agent.core.failure.diagnose import Failure
from agent.core.prompt.render import number
from agent.edges.run.baselines import Bench, Made, Row, RowState, make_all, plan_rows, undeclared_files
from agent.edges.run.baselines import vouch as vouch_rows
from agent.edges.template.cache.claim import claim
from agent.edges.template.load import Template, find_template, load_template
from agent.edges.template.origin import data_digest, given_origin
from agent.errors import ScientistError, UsageError


def baseline(
    template: TemplateArg,
    profile: Annotated[str, typer.Option("--profile", envvar="SCIENTIST_PROFILE", help="Scale of the runs.")] = "",
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=256, help="Runs at the same time.")] = 1,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this baseline, as topk or topk-6; may be repeated.")
    ] = None,
    python: PythonOption = None,
    data: DataOption = None,
    redo: Annotated[bool, typer.Option("--redo", help="Make rows again that other code or data made.")] = False,
    vouch: Annotated[
        bool, typer.Option("--vouch", help="Declare that rows which do not say so came of the template as it is.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the rows and run nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="List the rows as JSON and run nothing.")] = False,
) -> None:
    """Run a template's baselines and store their results in it.

    Rows that exist are kept, so a call can be repeated after any end. Several calls at once share the work. A row
    records what made it: code, sealed/, profile, data and packages. If one changes, it judges no run.
    """
    found = load_template(find_template(template, template_roots()), profile)
    named = check_python(python) if python else None
    folder = check_data(data)
    if vouch:
        return vouch_for(found, known_origin(found, named, folder))
    rows = plan_rows(found, only or (), {"data": data_digest(folder, digest_store()) if folder else ""})
    if dry_run or as_json:
        return list_rows(found, rows, as_json)

    check_variables()
    refuse_stale(rows, redo)
    require_writable(rows[0].path.parent)
    sandbox = hold_own_code()
    interpreter = named or choose_interpreter(found)
    scratch = environment_cache() / "baselines"
    bench = Bench(found, interpreter, dict(os.environ), scratch, lambda: prepare(found, interpreter), sandbox, folder)
    raise typer.Exit(make_rows(bench, parallel, only or (), redo=redo))


def make_rows(bench: Bench, parallel: int, only: Sequence[str], *, redo: bool) -> int:
    """Make what is missing, and with `redo` what is stale. Return the exit code."""
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, end)
    template = bench.template
    given = give(bench.interpreter, bench.data, bench.prepare())  # before any row, so that its trouble is told once
    origin = given_origin(given, template.folder, template.spec, template.files)
    if parallel > 1 and "clock" in origin:  # runs at the same time slow each other down
        origin["clock"] += f"; {parallel} at a time"
    rows = plan_rows(template, only, origin)
    refuse_stale(rows, redo)
    with writing_cache(bench.place):
        bench.place.mkdir(parents=True, exist_ok=True)
    claim(bench.place)  # also between two rows, when no process of a run names it
    return run_rows(bench, rows, parallel, redo)


def vouch_for(template: Template, brought: Mapping[str, str]) -> None:
    """Record, on a person's word, the making of rows that do not tell it. brought: as given_origin has it."""
    folder = template.folder / "baselines" / template.profile
    require_writable(folder)
    changed = vouch_rows(template, brought)
    typer.echo(f"{folder}: {len(changed)} rows now say that this template made them")


def list_rows(template: Template, rows: Sequence[Row], as_json: bool) -> None:
    """Print each row with its state on disk."""
    listed = [(row.task, row.path, row.state().value, row.code) for row in rows]
    if as_json:
        fields = [
            {"name": t.name, "setting": t.setting, "seed": t.seed, "constants": t.constants}
            | {"state": state, "path": str(path), "code": code}
            for t, path, state, code in listed
        ]
        head = {"schema_version": 1, "template": template.spec.name, "profile": template.profile}
        typer.echo(json.dumps(head | {"rows": fields}, indent=2))
        return
    for task, _, state, _ in listed:
        constants = " ".join(f"{name}={value}" for name, value in task.constants.items())
        typer.echo(f"{state:8} {task.stem}  {constants}".rstrip())
    counts = Counter(state for *_, state, _ in listed)
    typer.echo(f"{len(listed)} rows: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    say_undeclared(template)


def say_undeclared(template: Template) -> None:
    for path in undeclared_files(template):
        say(f"{path}: no declared baseline makes it, and it counts as one; delete it if it is out of date")


def refuse_stale(rows: Sequence[Row], redo: bool) -> None:
    """Raises: UsageError if rows came of something else, or do not say of what, and --redo was not given."""
    if redo:
        return
    states = [(row, row.state()) for row in rows]
    for wanted, remedy in (
        (RowState.STALE, "make them again with --redo, or bring that back"),
        (RowState.UNRECORDED, "make them again with --redo, or if nothing has changed since, say so with --vouch"),
    ):
        found = [row for row, state in states if state is wanted]
        if found:
            others = f" and {len(found) - 1} more" if len(found) > 1 else ""
            what = f"came of {found[0].differs()}" if wanted is RowState.STALE else "record their code alone"
            raise UsageError(f"{found[0].path}{others}", what, remedy)


def require_writable(folder: Path) -> None:
    """Raises: UsageError if no row could be stored, before hours are spent on one."""
    if is_installed(folder):
        raise UsageError(str(folder), "belongs to the installed package", "copy the template first: scientist init")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(str(folder), f"cannot be made: {error.strerror}", "use a copy of the template") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(str(folder), "cannot be written", "use a copy of the template")


def run_rows(bench: Bench, rows: Sequence[Row], parallel: int, redo: bool) -> int:
    """Make the missing rows, `parallel` at a time. Return the exit code, which is 1 if a row failed."""
    todo = [row for row in rows if row.state() is not RowState.THERE]
    kept = len(rows) - len(todo)
    say(f"{len(todo)} of {len(rows)} rows to make, {parallel} at a time" + (f"; {kept} are there" if kept else ""))
    clock = Clock(len(todo))
    counts: Counter[str] = Counter()
    try:
        for done in make_all(bench, todo, parallel, redo):
            clock.count(done)
            counts[tell(bench.template, done, clock)] += 1
    except (KeyboardInterrupt, SystemExit):
        say("ended, and the runs that were going with it; what is made is kept; the same call goes on from there")
        raise
    say_undeclared(bench.template)
    busy = f", {counts['busy']} left to another process that is at them" if counts["busy"] else ""
    kept += counts["kept"]
    typer.echo(f"{rows[0].path.parent}: {counts['made']} made, {counts['failed']} failed, {kept} kept{busy}")
    return 1 if counts["failed"] else 0


def end(number: int, _frame: object) -> None:
    """A request to end, or a terminal that closed: unlike those of ideas, runs of baselines end too."""
    sys.exit(128 + number)


class Clock:
    """Guesses the time that is left from the runs that are done."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.ran = total, 0, 0
        self.started = time.monotonic()

    def count(self, done: Made | ScientistError | OSError) -> None:
        self.done += 1
        self.ran += isinstance(done, Made) and done.trial is not None

    def left(self) -> str:
        waiting = self.total - self.done
        if not waiting or not self.ran:
            return ""
        return f"; about {say_seconds((time.monotonic() - self.started) / self.ran * waiting)} left"


def say_seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def tell(template: Template, done: Made | ScientistError | OSError, clock: Clock) -> str:
    """Print the result of a row, and return it as one word."""
    head = f"[{clock.done}/{clock.total}] "
    if isinstance(done, ScientistError | OSError):
        say(f"{head}{done}")
        return "failed"
    if done.trial is None:
        return "busy" if done.busy else "kept"
    if done.trial.failure:
        say(head + describe_failure(done, done.trial.failure))
        return "failed"
    say(head + describe_row(template, done) + clock.left())
    return "made"


def describe_row(template: Template, made: Made) -> str:
    """The row with its primary metric and its place on the axis."""
    assert made.trial
    values = made.trial.values
    primary = primary_metric(template.spec, values)
    names = dict.fromkeys([primary.name if primary else "", template.spec.frontier])
    shown = " ".join(f"{name}={number(values[name])}" for name in names if name in values)
    return f"{made.row.task.stem}: {shown} in {say_seconds(sum(made.trial.seconds.values()))}"


def describe_failure(made: Made, failure: Failure) -> str:
    assert made.trial and made.trial.failed
    indented = "\n".join("    " + line for line in failure.detail.strip().splitlines())
    where = f"\n    its files are kept: {made.folder}" if made.folder else ""
    return f"{made.row.task.stem}: {made.trial.failed.value} failed: {failure.summary}\n{indented}{where}"
