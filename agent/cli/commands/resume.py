"""scientist resume: go on from the last event of each journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.drive import drive_all, load_keys, worst
from agent.cli.environment import check_variables, require_git
from agent.cli.options import ResumeSettings, spread_settings
from agent.cli.places import choose_workspaces
from agent.cli.terminal import say
from agent.core.journal.events import Resumed
from agent.core.journal.state import State
from agent.edges.workspace.layout import GONE, Workspace, find_missing, read_state
from agent.errors import IntegrityError


@spread_settings
def resume(
    settings: ResumeSettings,
    paths: Annotated[list[Path] | None, typer.Argument(metavar="WS...", help="Workspaces or batches.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every workspace that has not ended.")] = False,
) -> None:
    """Go on with ideas that paused, crashed or wait for you.

    An edit or plan that waited for approval has it.
    """
    require_git()
    check_variables()
    found = choose_workspaces("resume", paths, all_, settings.workspaces)
    missing = [path for root in paths or [settings.workspaces] for path in find_missing(root)]
    for path in missing:
        say(f"scientist: {path}: {GONE}")
    if all_:
        found = [w for w in found if not has_ended(w)]
        if not found:
            say(f"{settings.workspaces}: nothing to resume")
    load_keys()

    def change(state: State) -> Resumed:
        limits = settings.change(state.limits)
        wanted = settings.sandbox
        return Resumed(
            limits=None if limits == state.limits else limits,
            pause_before=None if settings.pause_before is None else settings.pause_before.setting,
            sandbox=None if wanted is None or wanted.value == state.launched.sandbox else wanted.value,
        )

    code = drive_all(found, resumed=change, discards_edits=settings.discard_edits)
    raise typer.Exit(worst([code, 6]) if missing else code)


def has_ended(workspace: Workspace) -> bool:
    """Whether the idea has ended. A damaged workspace counts as not ended, because its resume says what is wrong."""
    try:
        return read_state(workspace).ended is not None
    except (IntegrityError, OSError):
        return False
