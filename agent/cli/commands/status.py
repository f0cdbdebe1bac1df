"""scientist status: how every idea stands."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli.options import Json
from agent.cli.places import data_cache
from agent.cli.table import DEFAULT_WORKSPACES
from agent.cli.terminal import clean, say
from agent.core.journal.fold import fold
from agent.core.journal.state import UNHELD, State
from agent.edges.run.choose_runner import runner_for
from agent.edges.run.runner import HEARTBEAT_LIMIT_S, Running, say_silence
from agent.edges.system.faults import say_fault
from agent.edges.template.data import store_size
from agent.edges.workspace.layout import BATCH_FILE, Workspace, find_missing, find_workspaces, frozen_template
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
        data = data_cache()
        size = store_size(data)
        if as_json:
            found = {"workspaces": [asdict(s) for s in standings], "data": {"path": str(data), "bytes": size}}
            typer.echo(json.dumps({"schema_version": 1} | found, indent=2))
        elif not standings and not damaged:
            say(f"{folder}: holds no workspace; begin with: scientist launch sae_synth")
        else:
            print_standings(standings)
        if size and not as_json:
            say(f"prepared data: {size / 2**30:.2f} GiB in {data}")
        if damaged or not watch or all(s.state in ("completed", "failed") for s in standings):
            raise typer.Exit(6 if damaged else 0)
        time.sleep(2)


def read_standings(folder: Path) -> tuple[list[Standing], bool]:
    """How the workspaces stand that can be read, and whether there are others, which are named."""
    found, damaged = [], False
    for missing in find_missing(folder):
        say(f"scientist: {missing}: is gone, though {BATCH_FILE} lists it; put it back, or take its name out there")
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
    return stand(
        str(workspace.path),
        state,
        template.spec,
        template.baselines,
        Activity(is_held, fresh=len(events) == 1, silence=find_silence(workspace, state)),
    )


def find_silence(workspace: Workspace, state: State) -> str:
    """Warning that the supervisor of the current step is alive without a heartbeat, and the commands that help.

    It is empty if the heartbeat is recent.
    """
    if not state.opened:
        return ""
    try:
        step = runner_for(state.launched).poll(workspace.step_folder(state.opened.folder))
    except OSError:  # another host's, and nothing can be written here
        return ""
    if not isinstance(step, Running) or step.heartbeat_age_s <= HEARTBEAT_LIMIT_S:
        return ""
    ways = f"wake it: kill -CONT {step.pid}, or end it: scientist stop {shlex.quote(str(workspace.path))}"
    return f"{state.opened.folder}: {say_silence(step)}; {ways}"


def print_standings(standings: list[Standing]) -> None:
    console = Console()
    if not console.is_terminal:
        for s in standings:
            typer.echo(
                " ".join([s.path, s.state, s.phase, f"run {s.run}/{s.max_runs}", describe_best(s), s.reason]).rstrip()
            )
            if s.spent:
                typer.echo(f"  used: {s.spent}")
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("idea", "state", "phase", "run", "best", "used", "reason"):
            table.add_column(column, overflow="fold")
        for s in standings:
            cells = (s.name, s.state, s.phase, f"{s.run}/{s.max_runs}", describe_best(s), s.spent or "-", s.reason)
            table.add_row(*(Text(clean(str(cell))) for cell in cells))  # brackets in a reason are no markup
        console.print(table)
    for control in sorted({s.control for s in standings if s.control}):
        typer.echo(f"{', '.join(s.name for s in standings if s.control == control)}: {control}")


def describe_best(standing: Standing) -> str:
    best = standing.best
    if best is None:
        return "-"
    where = f" {best.reference}" if best.reference else ""
    against = f", baseline{where} {best.baseline:.4g}" if best.baseline is not None else ""
    trust = ("verified" if best.verified else "self-reported") + (f", {UNHELD}" if best.sandbox == "off" else "")
    return f"run {best.run} {best.metric}={best.value:.4g} ({best.verdict}{against}; {trust})"
