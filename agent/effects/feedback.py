"""Curves and diagnostics of the newest run, read from the disk for the next request to a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from agent.core.code.switches import describe_switches
from agent.core.decide import folder_of
from agent.core.evidence.curve import MAX_BYTES, summarise_curves
from agent.core.evidence.diagnostics import describe_diagnostics
from agent.core.failure.diagnose import FailureKind
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.kinds import Purpose, Step
from agent.core.journal.state import State
from agent.core.prompt.view import Traces, TurnView
from agent.edges.run.prepare_step import EVALUATION
from agent.edges.system.reader import Unread, read_apart
from agent.edges.system.untrusted import Untrusted, read_untrusted
from agent.edges.workspace.layout import Workspace
from agent.edges.workspace.refs import read_refs

CURVES = "metrics.jsonl"
FINAL_INFO = "final_info.json"
JSON_CAP_BYTES = 8 << 20


def add_feedback(view: TurnView, workspace: Workspace, files: Mapping[str, str]) -> TurnView:
    """The view with reference texts and, after a run or a failure of code, with curves, diagnostics and settings.

    files: texts of the newest commit. The reviewer, who is shown no code, sees the state of its components.
    """
    if view.purpose in (Purpose.PLOT, Purpose.NOTES):
        return view
    view = replace(view, refs=read_refs(workspace.agent))
    if view.purpose not in (Purpose.NEXT, Purpose.FIX, Purpose.REVIEW):
        return view
    left = read_feedback(workspace, view.state, view.spec, view.purpose)
    said = [*(item.text for item in reversed(view.state.plan)), *(str(v) for v in view.idea.details().values())]
    code = [files[name] for name in view.spec.run_files if name in files]
    return replace(view, traces=replace(left, switches=describe_switches(code, said)))


def read_feedback(workspace: Workspace, state: State, spec: TemplateSpec, purpose: Purpose) -> Traces:
    """Feedback of the run that was published last or, in a repair, of the attempt that failed. Empty if it left
    nothing.
    """
    if purpose is Purpose.FIX:
        place = failed_outputs(workspace, state)
    elif state.rows and state.rows[-1].completed:
        place = workspace.run_folder(state.rows[-1].run)
    else:
        place = None
    if place is None:
        return Traces()
    names = [m.name for m in sorted(spec.metrics, key=lambda m: not m.primary)]
    curves = _read_curves(workspace, place, [*(d.name for d in spec.diagnostics), *names])
    outputs = {"final_info": _read_json(place / FINAL_INFO), "evaluation": _read_json(place / EVALUATION)}
    return Traces(curves, describe_diagnostics(spec.diagnostics, outputs))


def failed_outputs(workspace: Workspace, state: State) -> Path | None:
    """Folder into which the run of the last failed attempt wrote, or None if its code never ran.

    That attempt's folder has the number before the next one's.
    """
    failure = state.run.failure
    if (
        failure is None
        or failure.kind in (FailureKind.EDIT, FailureKind.LINT, FailureKind.SMOKE)
        or state.attempt.serial < 2
    ):
        return None
    folder = workspace.step_folder(folder_of(state.run.number, state.attempt.serial - 1, Step.RUN))
    return folder / "work" / f"run_{state.run.number}"


def _read_curves(workspace: Workspace, place: Path, first: list[str]) -> tuple[str, ...]:
    content = read_untrusted(place / CURVES, MAX_BYTES)
    if isinstance(content, Untrusted):
        return (f"{CURVES} {content.problem}",)
    text = (content or b"").decode("utf-8", "replace")
    found = read_apart(workspace.is_stopped, summarise_curves, text, first) if text else ()
    return (f"{CURVES} {found.why}",) if isinstance(found, Unread) else found


def _read_json(path: Path) -> object:
    content = read_untrusted(path, JSON_CAP_BYTES)
    if not isinstance(content, bytes):
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
