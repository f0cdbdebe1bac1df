"""scientist stop: end the work on a workspace, whichever host it is on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.app import app, say
from agent.errors import IntegrityError, UsageError


@app.command()
def stop(path: Annotated[Path, typer.Argument(metavar="WS", help="Workspace or batch.")]) -> None:
    """Stop the orchestrator and the run of a workspace; resume goes on."""
    from agent.edges.workspace.layout import find_workspaces, read_state

    found = find_workspaces(path)
    if not found:
        raise UsageError(str(path), "holds no workspace", "see: scientist status")
    code = 0
    for workspace in found:
        try:
            if read_state(workspace).ended:
                typer.echo(f"{workspace.path}: has ended already")
                continue
        except (IntegrityError, OSError) as error:  # it may be at work all the same
            say(f"scientist: {error}")
        try:
            workspace.stop_file.touch()
        except OSError as error:
            problem = f"cannot be written: {error.strerror}"
            refused = UsageError(str(workspace.path), problem, "press Ctrl-C where it is at work")
            say(f"scientist: {refused}")
            code = refused.exit_code
            continue
        typer.echo(f"{workspace.path}: asked to stop; go on: scientist resume {shlex.quote(str(workspace.path))}")
    raise typer.Exit(code)
