"""scientist resume: go on where the journals stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.drive import drive_all, load_keys
from agent.cli.environment import require_git
from agent.cli.options import (
    DEFAULT_WORKSPACES,
    BatchMaxCostUsd,
    BatchMaxTokens,
    MaxCostUsd,
    MaxTokens,
    PauseBefore,
    SandboxChoice,
    WorkspacesDir,
)
from agent.cli.terminal import say
from agent.core.journal.budget import change_limits
from agent.core.journal.events import Resumed
from agent.core.journal.state import State
from agent.edges.workspace.layout import Workspace, find_workspaces, read_state
from agent.errors import IntegrityError, UsageError


def resume(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="WS...", help="Workspaces or batches.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every workspace that has not ended.")] = False,
    max_tokens: MaxTokens = None,
    max_cost_usd: MaxCostUsd = None,
    batch_max_tokens: BatchMaxTokens = None,
    batch_max_cost_usd: BatchMaxCostUsd = None,
    pause_before: Annotated[
        PauseBefore | None, typer.Option("--pause-before", help="From now on, wait for a person there, or nowhere.")
    ] = None,
    sandbox: Annotated[
        SandboxChoice | None, typer.Option("--sandbox", help="From now on, what runs are held in.")
    ] = None,
    discard_edits: Annotated[
        bool,
        typer.Option("--discard-edits", help="Go on without what was changed by hand; git keeps it under refs/rescue."),
    ] = False,
    workspaces: WorkspacesDir = DEFAULT_WORKSPACES,
) -> None:
    """Go on with ideas that paused, crashed or wait for you.

    An edit or plan that waited for approval has it.
    """
    require_git()
    if bool(paths) == all_:
        raise UsageError("resume", "name workspaces, or --all", "see: scientist status")
    for root in paths or []:
        if not find_workspaces(root):
            raise UsageError(str(root), "holds no workspace", "see: scientist status")
    found = [w for root in paths or [workspaces] for w in find_workspaces(root)]
    if all_:
        found = [w for w in found if not has_ended(w)]
        if not found:
            say(f"{workspaces}: nothing to resume")
    load_keys()

    def change(state: State) -> Resumed:
        limits = change_limits(
            state.limits,
            max_tokens=max_tokens,
            max_cost_usd=max_cost_usd,
            batch_max_tokens=batch_max_tokens,
            batch_max_cost_usd=batch_max_cost_usd,
        )
        setting = None if pause_before is None else pause_before.setting
        held = None if sandbox is None or sandbox.value == state.launched.sandbox else sandbox.value
        return Resumed(limits=None if limits == state.limits else limits, pause_before=setting, sandbox=held)

    raise typer.Exit(drive_all(found, resumed=change, discards_edits=discard_edits))


def has_ended(workspace: Workspace) -> bool:
    """A damaged workspace has not: its resume says what is wrong."""
    try:
        return read_state(workspace).ended is not None
    except (IntegrityError, OSError):
        return False
