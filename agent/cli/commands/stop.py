"""scientist stop and unlock: end the work on a workspace, or forget an orchestrator that is gone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import WorkspaceArg, WorkspacesDir
from agent.cli.places import choose_workspaces
from agent.cli.table import DEFAULT_WORKSPACES
from agent.cli.terminal import say
from agent.core.journal.state import State
from agent.edges.run.runner import Queued, Running
from agent.edges.workspace.layout import Workspace, open_workspace, read_state
from agent.edges.workspace.lock import break_lock, read_holder
from agent.errors import IntegrityError, UsageError
from agent.report.pause import ways_on
from agent.report.standings import nearby, poll_step


def stop(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="WS...", help="Workspaces or batches.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every workspace that has not ended.")] = False,
    workspaces: WorkspacesDir = DEFAULT_WORKSPACES,
) -> None:
    """Stop the orchestrators and runs of workspaces.

    scientist resume goes on from there.
    """
    code, is_asked = 0, False
    for workspace in choose_workspaces("stop", paths, all_, workspaces):
        try:
            state: State | None = read_state(workspace)
            if state and state.ended and not state.replications.next:
                if not all_:
                    typer.echo(f"{nearby(workspace.path)}: has ended already")
                continue
        except (IntegrityError, OSError) as error:  # it may be at work all the same
            state = None
            say(f"scientist: {error}")
        is_asked = True
        try:
            workspace.stop_file.touch()
        except OSError as error:
            problem = f"cannot be written: {error.strerror}"
            refused = UsageError(str(workspace.path), problem, "press Ctrl-C where it is at work")
            say(f"scientist: {refused}")
            code = refused.exit_code
            continue
        idle = ", though nothing is at work on it" if state and is_idle(workspace, state) else ""
        path = nearby(workspace.path)
        ways = ways_on(path, state) if state and state.ended else []
        command = ways[0][1] if ways else f"scientist resume {shlex.quote(path)}"
        typer.echo(f"{path}: asked to stop{idle}; go on: {command}")
    if all_ and not is_asked:
        typer.echo(f"{workspaces}: nothing to stop")
    raise typer.Exit(code)


def is_idle(workspace: Workspace, state: State) -> bool:
    """Whether no orchestrator and no run is at work on it, as far as can be told from here."""
    holder = read_holder(workspace.agent)
    is_held = holder is not None and holder.is_alive() is not False
    return not (is_held or isinstance(poll_step(workspace, state), Queued | Running))


def unlock(path: WorkspaceArg) -> None:
    """Forget the holder of a lock, if its host is gone."""
    holder = break_lock(open_workspace(path).agent)
    typer.echo(f"{path}: no longer held by {holder}" if holder else f"{path}: was not held")
