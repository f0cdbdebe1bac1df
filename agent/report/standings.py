"""Standings of workspaces, read from their folders."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.core.journal.fold import fold
from agent.core.journal.state import State
from agent.edges.run.choose_runner import runner_for
from agent.edges.run.runner import HEARTBEAT_LIMIT_S, Queued, Running, StepStatus, say_silence
from agent.edges.system.faults import say_fault
from agent.edges.workspace.layout import GONE, Workspace, find_missing, find_workspaces, frozen_template
from agent.edges.workspace.lock import read_holder
from agent.errors import ScientistError
from agent.report.status import Activity, Standing, stand

__all__ = ["find_standings", "nearby", "poll_step", "read_standing", "read_standings"]


def nearby(path: Path) -> str:
    """The path as it can be typed where one stands: relative, if that is shorter and leads up one folder at most."""
    try:
        relative = os.path.relpath(path)
    except OSError:  # the folder in which one stands was removed
        return str(path)
    if relative.startswith("../.."):
        return str(path)
    return min(f"./{relative}" if relative.startswith("-") else relative, str(path), key=len)


def find_standings(folder: Path, name: Callable[[Path], str] = str) -> tuple[list[Standing], list[str]]:
    """How the workspaces at or below a folder stand, and a line for each that is gone or cannot be read.

    name: writes the path of a workspace.
    """
    gone = [f"{missing}: {GONE}" for missing in find_missing(folder)]
    found, damaged = read_standings(find_workspaces(folder), name)
    return found, gone + damaged


def read_standings(
    workspaces: Sequence[Workspace], name: Callable[[Path], str] = str
) -> tuple[list[Standing], list[str]]:
    """How workspaces stand, and a line for each that cannot be read."""
    found, damaged = [], []
    for workspace in workspaces:
        try:
            found.append(read_standing(workspace, name))
        except ScientistError as error:
            damaged.append(str(error))
        except OSError as error:
            damaged.append(say_fault(error, workspace.path))
    return found, damaged


def read_standing(workspace: Workspace, name: Callable[[Path], str] = str) -> Standing:
    """How a workspace stands.

    Raises: IntegrityError if its journal or the template's copy is damaged; OSError.
    """
    events = workspace.journal().events
    state = fold(events)
    template = frozen_template(workspace, state.launched)
    holder = read_holder(workspace.agent)
    is_held = holder is not None and holder.is_alive() is not False
    step = poll_step(workspace, state)
    path = name(workspace.path)
    activity = Activity(
        is_held,
        fresh=len(events) == 1,
        silence=_find_silence(path, state, step),
        step_goes_on=isinstance(step, Queued | Running),
    )
    return stand(path, state, template.spec, template.baselines, activity)


def poll_step(workspace: Workspace, state: State) -> StepStatus | None:
    """The state of the step at work. None if there is none, or if it cannot be asked from here."""
    if not state.going:
        return None
    try:
        return runner_for(state.launched).poll(workspace.step_folder(state.going.folder))
    except OSError:  # another host's, and nothing can be written here; or a batch system that does not answer
        return None


def _find_silence(path: str, state: State, step: StepStatus | None) -> str:
    """Warning that the supervisor of the step at work is alive without a heartbeat, and the commands that help.

    It is empty if the heartbeat is recent.
    """
    if not (state.going and isinstance(step, Running) and step.heartbeat_age_s > HEARTBEAT_LIMIT_S):
        return ""
    ways = f"wake it: kill -CONT {step.pid}, or end it: scientist stop {shlex.quote(path)}"
    return f"{state.going.folder}: {say_silence(step)}; {ways}"
