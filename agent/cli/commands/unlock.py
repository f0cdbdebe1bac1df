"""scientist unlock: forget an orchestrator that is gone for good."""

from __future__ import annotations

import typer

from agent.cli.app import app
from agent.cli.options import WorkspaceArg


@app.command()
def unlock(path: WorkspaceArg) -> None:
    """Forget the holder of a workspace's lock, when its host is gone."""
    from agent.edges.workspace.layout import open_workspace
    from agent.edges.workspace.lock import break_lock

    holder = break_lock(open_workspace(path).agent)
    typer.echo(f"{path}: no longer held by {holder}" if holder else f"{path}: was not held")
