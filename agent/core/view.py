"""Everything that one request shows, before it is put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.core.baseline import Baseline, BaselineRow, judge_run, primary_metric, reach_of, summarise
from agent.core.events import Purpose, Stage
from agent.core.failure import Failure, FailureKind
from agent.core.idea import Idea
from agent.core.reply import PlanItem
from agent.core.search import Setting, settings_of
from agent.core.spec import Control, Metric, StepLimits, TemplateSpec
from agent.core.state import RunRow, State
from agent.core.turn import editable_at
from agent.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RowView:
    """One past run as the model sees it. `settings` are its searched constants, `verdict` of the primary metric.

    self_reported: why its results are no verified ones, where they said so.
    """

    run: int
    completed: bool
    subject: str
    values: dict[str, float]
    settings: dict[str, Setting]
    verdict: Verdict | None
    failures: tuple[str, ...]
    self_reported: str = ""


@dataclass(frozen=True, slots=True)
class TurnView:
    """What the model may know at this turn. `files` are the texts shown, the rest of `editable` only named.

    code_failure: what is still wrong with the code, where `failure` is a reply that could not be used. frontier: the
    metric along which baselines are interpolated, `reach` where on it runs compare.
    """

    purpose: Purpose
    workspace: str
    run: int
    max_runs: int
    attempt: int
    max_attempts: int
    idea: Idea
    brief: str
    command: str
    run_files: tuple[str, ...]
    editable: tuple[str, ...]
    metrics: tuple[Metric, ...]
    primary: Metric | None
    baselines: tuple[BaselineRow, ...]
    plan: tuple[PlanItem, ...]
    done_items: tuple[int, ...]
    rows: tuple[RowView, ...]
    files: dict[str, str]
    failure: Failure | None = None
    code_failure: Failure | None = None
    repeats: int = 0
    failed_diff: str = ""
    restored: bool = False
    feedback: str = ""
    function: str = ""
    limits: StepLimits = field(default_factory=StepLimits)
    controls: tuple[Control, ...] = ()
    smoke: bool = False
    figures: bool = True
    frontier: str = ""
    reach: tuple[float, float] | None = None
    settings: dict[str, Setting] = field(default_factory=dict)


def view_turn(
    state: State,
    spec: TemplateSpec,
    *,
    purpose: Purpose,
    idea: Idea,
    brief: str,
    command: str,
    baselines: Sequence[Baseline],
    files: Mapping[str, str],
    failed_diff: str = "",
    feedback: str = "",
    limits: StepLimits | None = None,
) -> TurnView:
    """The view of the turn that is due. `files` are all texts of the newest commit."""
    editable = editable_at(state.stage, spec.editable)
    seen = next((row.values for row in state.rows if row.completed), None)
    reference = reference_of(state, baselines)
    primary = primary_metric(spec, seen or (reference[0].values if reference else None))
    rows = summarise(reference, spec.frontier)
    return TurnView(
        purpose=purpose,
        workspace=state.launched.workspace,
        run=state.run,
        max_runs=state.limits.max_runs,
        attempt=state.attempts_spent + 1,
        max_attempts=state.limits.attempts if state.stage is Stage.EXPERIMENTS else state.limits.plot_attempts,
        idea=idea,
        brief=brief,
        command=command,
        run_files=spec.run_files,
        editable=editable,
        metrics=spec.metrics,
        primary=primary,
        baselines=rows,
        plan=state.plan,
        done_items=state.done_items,
        rows=tuple(view_row(row, spec, primary, reference) for row in state.rows),
        files={name: files[name] for name in shown_files(state.stage, spec) if name in files},
        failure=state.failure,
        code_failure=_code_failure(state),
        repeats=state.repeats,
        failed_diff=failed_diff,
        restored=state.clean and bool(state.failures),
        feedback=feedback,
        function=_failed_function(state),
        limits=limits or spec.limits,
        controls=spec.controls,
        smoke=spec.smoke,
        figures=not any(warning.startswith("no figures") for warning in state.warnings),
        frontier=spec.frontier,
        reach=reach_of(reference, spec.frontier, primary.name) if spec.frontier and primary else None,
        settings={k: v for name in spec.run_files for k, v in settings_of(files.get(name, "")).items()},
    )


def _code_failure(state: State) -> Failure | None:
    """The last failure of the code that the files hold, where a reply that led to nothing came after it."""
    if state.clean or not state.failures or state.failures[-1].kind is not FailureKind.EDIT:
        return None
    return next((f for f in reversed(state.failures) if f.kind is not FailureKind.EDIT), None)


def _failed_function(state: State) -> str:
    """The function in which the last failure struck; empty for one outside any."""
    place = state.failure.location if state.failure else None
    return place.function if place and not place.function.startswith("<") else ""


def reference_of(state: State, baselines: Sequence[Baseline]) -> tuple[Baseline, ...]:
    """What runs are compared with: the template's baselines, else the run of its own code."""
    own = (Baseline("run 0", 0, state.baseline_values),) if state.baseline_values else ()
    return tuple(baselines) or own


def view_row(row: RunRow, spec: TemplateSpec, primary: Metric | None, baselines: Sequence[Baseline]) -> RowView:
    verdict = None
    if row.completed and primary and baselines:
        verdict = judge_run(spec, primary, row.values, baselines, self_reported=row.self_reported)
    return RowView(
        row.run, row.completed, row.subject, row.values, row.settings, verdict, row.failures, row.self_reported
    )


def shown_files(stage: Stage, spec: TemplateSpec) -> tuple[str, ...]:
    """The files whose text a request carries: those of this stage. The rest would cost tokens at every turn."""
    if stage is Stage.PLOT:
        return ("plot.py",)
    if stage is Stage.NOTES:
        return ("notes.txt",)
    return spec.run_files
