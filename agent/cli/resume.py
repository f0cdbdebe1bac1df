"""scientist resume: go on where the journals stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.app import app, say
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
    from agent.cli.drive import announce_model, drive_all, load_keys
    from agent.edges.workspace import find_workspaces, read_state

    if bool(paths) == all_:
        raise UsageError("resume", "name workspaces, or --all", "see: scientist status")
    for root in paths or []:
        if not find_workspaces(root):
            raise UsageError(str(root), "holds no workspace", "see: scientist status")
    found = [w for root in paths or [workspaces] for w in find_workspaces(root)]
    states = {w.path: read_state(w) for w in found}
    due = [w for w in found if not states[w.path].ended]
    for workspace in found:
        if workspace not in due:
            say(f"{workspace.path}: has ended already")
    load_keys()
    for name in sorted({states[w.path].launched.model for w in due}):
        announce_model(name)
    raise typer.Exit(drive_all(due))
