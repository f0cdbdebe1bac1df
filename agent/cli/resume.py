"""scientist resume: go on where the journals stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.app import app
from agent.cli.options import DEFAULT_WORKSPACES, WorkspacesDir, require_git
from agent.errors import UsageError


@app.command()
def resume(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="WS...", help="Workspaces or batches.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every workspace that has not ended.")] = False,
    workspaces: WorkspacesDir = DEFAULT_WORKSPACES,
) -> None:
    """Go on with workspaces that paused, crashed or wait."""
    require_git()
    from agent.cli.drive import drive_all, load_keys
    from agent.edges.workspace import find_workspaces

    if bool(paths) == all_:
        raise UsageError("resume", "name workspaces, or --all", "see: scientist status")
    for root in paths or []:
        if not find_workspaces(root):
            raise UsageError(str(root), "holds no workspace", "see: scientist status")
    found = [w for root in paths or [workspaces] for w in find_workspaces(root)]
    load_keys()
    raise typer.Exit(drive_all(found, resumed=True))
