"""scientist resume: go on from the last event of each journal, or with more runs after an end."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.display import say_batch
from agent.cli.drive import drive_all, load_keys, worst
from agent.cli.environment import check_variables, require_git
from agent.cli.options import ResumeSettings, spread_settings
from agent.cli.places import choose_workspaces
from agent.cli.terminal import read_redactor, say
from agent.core.journal.approval import is_closing, refuse_runs
from agent.core.journal.events import Resumed
from agent.core.journal.state import State
from agent.edges.workspace.inbox import put_word
from agent.edges.workspace.layout import GONE, Workspace, find_missing, read_state
from agent.errors import IntegrityError, UsageError
from agent.report.standings import nearby


@spread_settings
def resume(
    settings: ResumeSettings,
    paths: Annotated[list[Path] | None, typer.Argument(metavar="WS...", help="Workspaces or batches.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every workspace that has not ended.")] = False,
) -> None:
    """Go on with ideas that paused, crashed or wait for you.

    An edit or plan that waited for approval has it. With --max-runs an idea that has ended goes on.
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
    check_runs(found, settings)
    if settings.tell:
        leave_word(found, settings)
    code = drive_all(found, resumed=lambda state: change(settings, state), discards_edits=settings.discard_edits)
    say_batch(found, code)
    raise typer.Exit(worst([code, 6]) if missing else code)


def change(settings: ResumeSettings, state: State) -> Resumed:
    """The changes that these options make to an idea.

    Raises: UsageError if the total of runs cannot be that.
    """
    limits, wanted, max_runs = settings.change(state.limits), settings.sandbox, settings.max_runs
    more_runs = False
    if max_runs is not None and not (problem := refuse_runs(state, max_runs)):
        limits, more_runs = replace(limits, max_runs=max_runs), is_closing(state) and max_runs > len(state.rows)
    elif max_runs is not None and not state.ended:
        raise UsageError(f"{state.launched.workspace}: --max-runs", problem)
    return Resumed(
        limits=None if limits == state.limits else limits,
        pause_before=None if settings.pause_before is None else settings.pause_before.setting,
        sandbox=None if wanted is None or wanted.value == state.launched.sandbox else wanted.value,
        more_runs=more_runs,
        run_s=settings.run_s,
        smoke_s=settings.smoke_s,
        memory_gib=settings.memory_gib,
    )


def check_runs(found: Sequence[Workspace], settings: ResumeSettings) -> None:
    """Refuse a total of runs before anything begins. Of several ideas, those that have that many already are passed
    over.

    Raises: UsageError naming the first idea that cannot have it.
    """
    if settings.max_runs is None:
        return
    problems = {w: refuse_runs(state, settings.max_runs) for w in found if (state := try_state(w))}
    going = [w for w, problem in problems.items() if problem and not has_ended(w)]
    refused = going or [w for w, problem in problems.items() if problem]
    if going or (refused and len(refused) == len(found)):
        raise UsageError(f"{nearby(refused[0].path)}: --max-runs", problems[refused[0]])


def leave_word(found: Sequence[Workspace], settings: ResumeSettings) -> None:
    """Tell each idea that goes on the words of --tell.

    Raises: UsageError if none does, or if the text cannot be used.
    """
    states = {workspace: try_state(workspace) for workspace in found}
    heard = [w for w, state in states.items() if state and (not state.ended or change(settings, state).more_runs)]
    if found and not heard:
        remedy = f"add runs: scientist resume {shlex.quote(nearby(found[0].path))} --max-runs N --tell ..."
        raise UsageError("--tell", "no model would read it, since no named idea goes on", remedy)
    for workspace in heard:
        try:
            put_word(workspace.agent, read_redactor()(settings.tell), now=time.time(), token=secrets.token_hex(4))
        except OSError as error:
            raise UsageError(str(workspace.path), f"cannot be written: {error.strerror}", "mend it") from error


def try_state(workspace: Workspace) -> State | None:
    """The state of an idea, None if its workspace is damaged: its resume says what is wrong."""
    try:
        return read_state(workspace)
    except (IntegrityError, OSError):
        return None


def has_ended(workspace: Workspace) -> bool:
    """Whether the idea has ended. A damaged workspace counts as not ended, because its resume says what is wrong."""
    state = try_state(workspace)
    return state is not None and state.ended is not None
