"""scientist status: how every idea stands."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import Json
from agent.cli.places import data_cache
from agent.cli.table import DEFAULT_WORKSPACES
from agent.cli.terminal import say
from agent.core.journal.fold import fold
from agent.core.journal.state import UNHELD, State
from agent.edges.run.choose_runner import runner_for
from agent.edges.run.runner import HEARTBEAT_LIMIT_S, Queued, Running, StepStatus, say_silence
from agent.edges.system.faults import say_fault
from agent.edges.template.data import store_size
from agent.edges.workspace.layout import GONE, Workspace, find_missing, find_workspaces, frozen_template
from agent.edges.workspace.lock import read_holder
from agent.errors import IntegrityError, UsageError
from agent.report.status import Activity, Standing, stand


def status(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", envvar="SCIENTIST_WORKSPACES", help="Workspace, batch, or folder of batches."),
    ] = DEFAULT_WORKSPACES,
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show again every two seconds until all have ended.")] = False,
) -> None:
    """Show how ideas stand."""
    while True:
        if folder != DEFAULT_WORKSPACES and not folder.is_dir():
            raise UsageError(str(folder), "is no folder", "name a workspace, a batch, or the folder of all batches")
        standings, damaged = read_standings(folder)
        data = find_data()
        size = store_size(data) if data else 0
        if as_json:
            found = {
                "workspaces": [asdict(s) for s in standings],
                "data": {"path": str(data) if data else None, "bytes": size},
            }
            typer.echo(json.dumps({"schema_version": 1} | found, indent=2))
        elif not standings and not damaged:
            say(f"{folder}: holds no workspace; begin with: scientist launch sae_synth")
        else:
            print_standings(standings)
            say_next(standings, folder)
        if size and not as_json:
            say(f"prepared data: {size / 2**30:.2f} GiB in {data}")
        if damaged or not watch or all(s.state in ("completed", "failed") for s in standings):
            raise typer.Exit(6 if damaged else 0)
        time.sleep(2)


def find_data() -> Path | None:
    """Folder of prepared data. None if nothing says where it is."""
    try:
        return data_cache()
    except UsageError:
        return None


def read_standings(folder: Path) -> tuple[list[Standing], bool]:
    """How the workspaces stand that can be read, and whether there are others, which are named."""
    found, damaged = [], False
    for missing in find_missing(folder):
        say(f"scientist: {missing}: {GONE}")
        damaged = True
    for workspace in find_workspaces(folder):
        try:
            found.append(read_standing(workspace))
        except IntegrityError as error:
            say(f"scientist: {error}")
            damaged = True
        except OSError as error:
            say(f"scientist: {say_fault(error, workspace.path)}")
            damaged = True
    return found, damaged


def read_standing(workspace: Workspace) -> Standing:
    events = workspace.journal().events
    state = fold(events)
    template = frozen_template(workspace, state.launched)
    holder = read_holder(workspace.agent)
    is_held = holder is not None and holder.is_alive() is not False
    step = poll_step(workspace, state)
    return stand(
        str(workspace.path),
        state,
        template.spec,
        template.baselines,
        Activity(
            is_held,
            fresh=len(events) == 1,
            silence=find_silence(workspace, state, step),
            step_goes_on=isinstance(step, Queued | Running),
        ),
    )


def poll_step(workspace: Workspace, state: State) -> StepStatus | None:
    """The state of the step at work. None if there is none, or if it cannot be asked from here."""
    if not state.opened:
        return None
    try:
        return runner_for(state.launched).poll(workspace.step_folder(state.opened.folder))
    except OSError:  # another host's, and nothing can be written here; or a batch system that does not answer
        return None


def find_silence(workspace: Workspace, state: State, step: StepStatus | None) -> str:
    """Warning that the supervisor of the step at work is alive without a heartbeat, and the commands that help.

    It is empty if the heartbeat is recent.
    """
    if not (state.opened and isinstance(step, Running) and step.heartbeat_age_s > HEARTBEAT_LIMIT_S):
        return ""
    ways = f"wake it: kill -CONT {step.pid}, or end it: scientist stop {shlex.quote(str(workspace.path))}"
    return f"{state.opened.folder}: {say_silence(step)}; {ways}"


def print_standings(standings: list[Standing]) -> None:
    """Print a line for each idea. A terminal gets columns, and below each idea what its line has no room for."""
    if not sys.stdout.isatty():
        for s in standings:
            typer.echo(
                " ".join([s.path, s.state, s.phase, f"run {s.run}/{s.max_runs}", describe_best(s), s.reason]).rstrip()
            )
            if s.spent:
                typer.echo(f"  used: {s.spent}")
    else:
        for line in lay_out(standings, shutil.get_terminal_size().columns):
            typer.echo(line)
    for doubt in sorted({s.no_verdicts for s in standings if s.no_verdicts}):
        typer.echo(f"{name_all(s for s in standings if s.no_verdicts == doubt)}: no verdicts: {doubt}")
    for caveat in sorted({s.caveat for s in standings if s.caveat}):
        typer.echo(f"{name_all(s for s in standings if s.caveat == caveat)}: {caveat}")
    for control in sorted({s.control for s in standings if s.control}):
        typer.echo(f"{name_all(s for s in standings if s.control == control)}: {control}")


def name_all(standings: Iterable[Standing]) -> str:
    """The names of the ideas, each once."""
    return ", ".join(dict.fromkeys(s.name for s in standings))


def lay_out(standings: Sequence[Standing], width: int) -> Iterator[str]:
    """Lines for a terminal of `width` columns. A line breaks between words alone."""
    wrap = textwrap.TextWrapper(
        width, initial_indent=" " * 4, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False
    ).wrap
    rows = [("idea", "state", "step", "run", "best")]
    rows += [(s.name, s.state, s.phase, f"{s.run}/{s.max_runs}", describe_best(s)) for s in standings]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row, standing in zip(rows, (None, *standings), strict=True):
        *cells, best = row
        cells = [f"{cell:{length}}" for cell, length in zip(cells, widths, strict=True)]
        line = "  ".join(cells)
        below = [f"used: {standing.spent}"] if standing and standing.spent else []
        below += [standing.reason] if standing and standing.reason else []
        if len(line) + 2 + len(best) > width and standing:
            below.insert(0, f"best: {best}")
            best = ""
        if len(line) > width:
            yield cells[0].rstrip()
            line = "    " + "  ".join(cells[1:])
        yield f"{line}  {best}".rstrip()
        together = wrap("; ".join(below))
        for paragraph in [together] if len(together) < 2 else map(wrap, below):
            yield from paragraph


def say_next(standings: Sequence[Standing], folder: Path) -> None:
    """Print the commands that go on with the ideas that nobody works on."""
    waiting = [s for s in standings if s.next]
    if len(waiting) == 1:
        typer.echo("next: " + ", or: ".join(waiting[0].next))
    elif waiting:
        where = "--all" if folder == DEFAULT_WORKSPACES else shlex.quote(str(folder))
        typer.echo(f"next: scientist resume {where} ({len(waiting)} ideas wait), or one by its path")


def describe_best(standing: Standing) -> str:
    best = standing.best
    if best is None:
        return "-"
    where = f" {best.reference}" if best.reference else ""
    against = f", baseline{where} {best.baseline:.4g}" if best.baseline is not None else ""
    trust = ("verified" if best.verified else "self-reported") + (f", {UNHELD}" if best.sandbox == "off" else "")
    verdict = best.verdict + (f" as the best of {best.chosen_from}" if best.chosen_from else "")
    return f"run {best.run} {best.metric}={best.value:.4g} ({verdict}{against}; {trust})"
