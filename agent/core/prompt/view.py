"""Everything that one request shows, before it is put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.core.code.search_marks import Setting, settings_of
from agent.core.edit.seen import Ranges
from agent.core.evidence.baseline import Baseline, BaselineRow, judge_run, primary_metric, reach_of, summarise
from agent.core.evidence.verdict import Verdict
from agent.core.failure.diagnose import Failure, FailureKind
from agent.core.inputs.brief import split_brief
from agent.core.inputs.idea import Idea
from agent.core.inputs.refs import Reference
from agent.core.inputs.spec import Control, Metric, StepLimits, TemplateSpec
from agent.core.journal.events import Purpose, Reviewed, Stage
from agent.core.journal.kinds import PlanItem
from agent.core.journal.state import RunRow, State
from agent.core.journal.words import earlier_words, fresh_words
from agent.core.prompt.excerpt import Focus
from agent.core.prompt.last_run import bars_of_last, read_last
from agent.core.prompt.notes import end_of_notes
from agent.core.reply.expectation import Reading
from agent.core.reply.outcome import editable_at

NOTES_END_CHARS = 1500


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
    item: PlanItem | None = None
    review: Reviewed | None = None


@dataclass(frozen=True, slots=True)
class TurnView:
    """What the model may know at this turn. `files` are the texts shown, the rest of `editable` only named.

    code_failure: what is still wrong with the code, where `failure` is a reply that could not be used. frontier: the
    metric along which baselines are interpolated, `reach` where on it runs compare. told: the researcher's words that
    no request has held, `told_before` those that an earlier one of this run number held. set_aside: the subject of an
    edit that a researcher's word kept from running. focus: what of the files matters, `shown` the lines of those that
    are shown in part, `whole` texts that a repair shows. left_out: how many rows, baselines and plan items are not.
    instruction: of the planner to the editor. notes: the end of notes.txt, for the reviewer. readings: what the last
    run's plan item expected, and what would refute it, held against its results. revised: the last review changed the
    idea. brief: the task; background: the brief's other part, where a plan is to be made, and else `untold`, the names
    of its headings. explains: metrics are shown with how to read them. is_over: no run comes any more.
    bars: of other metrics than the primary one, the best baseline at the last run's place.
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
    network: bool = False
    controls: tuple[Control, ...] = ()
    smoke: bool = False
    figures: bool = True
    frontier: str = ""
    reach: tuple[float, float] | None = None
    settings: dict[str, Setting] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    told_before: tuple[str, ...] = ()
    set_aside: str = ""
    set_aside_diff: str = ""
    refs: tuple[Reference, ...] = ()
    curves: tuple[str, ...] = ()
    diagnostics: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    focus: dict[str, Focus] = field(default_factory=dict)
    shown: dict[str, Ranges] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    separate_editor: bool = False
    instruction: str = ""
    notes: str = ""
    readings: dict[str, Reading] = field(default_factory=dict)
    revised: bool = False
    background: str = ""
    untold: tuple[str, ...] = ()
    explains: bool = True
    is_over: bool = False
    bars: dict[str, float] = field(default_factory=dict)

    @property
    def due(self) -> PlanItem | None:
        """The plan item that comes next."""
        return next((item for item in self.plan if item.number not in self.done_items), None)

    @property
    def makes_plan(self) -> bool:
        """Whether a plan is to be made: at first, and where the present one cannot simply go on."""
        if self.purpose is not Purpose.NEXT:
            return self.purpose is Purpose.PLAN
        return self.due is None or self.revised or (bool(self.rows) and not self.rows[-1].completed)


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
    instruction: str = "",
    set_aside_diff: str = "",
    limits: StepLimits | None = None,
) -> TurnView:
    """The view of the turn that is due. `files` are all texts of the newest commit."""
    seen = next((row.values for row in state.rows if row.completed), None)
    reference = reference_of(state, baselines)
    primary = primary_metric(spec, seen or (reference[0].values if reference else None))
    view = TurnView(
        purpose=purpose,
        workspace=state.launched.workspace,
        run=state.run.number,
        max_runs=state.limits.max_runs,
        attempt=state.run.attempt,
        max_attempts=state.limits.attempts if state.stage is Stage.EXPERIMENTS else state.limits.plot_attempts,
        idea=idea,
        brief="",
        command=command,
        run_files=spec.run_files,
        editable=editable_at(state.stage, spec.editable),
        metrics=spec.metrics,
        primary=primary,
        baselines=summarise(reference, spec.frontier),
        plan=state.plan,
        done_items=state.done_items,
        rows=tuple(view_row(row, spec, primary, reference) for row in state.rows),
        files={},
        limits=limits or spec.limits,
        network=spec.sandbox.network,
        is_over=state.stage in (Stage.PLOT, Stage.NOTES),
    )
    view = _with_texts(_with_template(view, spec, reference), state, spec, files)
    view = _with_attempts(view, state, failed_diff, feedback, instruction)
    view = replace(view, readings=read_last(state, spec, reference), bars=bars_of_last(state, spec, reference))
    view = _with_words(view, state, set_aside_diff)
    return _with_brief(view, brief)


def _with_brief(view: TurnView, text: str) -> TurnView:
    """The view with the brief and the metrics' readings, as far as its purpose needs them."""
    brief = split_brief(text)
    if view.purpose in (Purpose.PLOT, Purpose.NOTES, Purpose.EDIT):
        return replace(view, explains=view.purpose is Purpose.NOTES)
    view = replace(view, brief=brief.task)
    if view.purpose in (Purpose.REVIEW, Purpose.REFLECT):
        return view
    if view.makes_plan:
        return replace(view, background=brief.background)
    return replace(view, untold=brief.headings, explains=False)


def _with_template(view: TurnView, spec: TemplateSpec, baselines: Sequence[Baseline]) -> TurnView:
    """The view with how runs compare, and what comes before one."""
    primary = view.primary
    return replace(
        view,
        controls=spec.controls,
        smoke=spec.smoke,
        frontier=spec.frontier,
        reach=reach_of(baselines, spec.frontier, primary.name) if spec.frontier and primary else None,
    )


def _with_texts(view: TurnView, state: State, spec: TemplateSpec, files: Mapping[str, str]) -> TurnView:
    """The view with the files of its stage; a reviewer sees none of them, but the end of notes.txt."""
    in_review = view.purpose in (Purpose.REVIEW, Purpose.REFLECT)
    shown = () if in_review else shown_files(state.stage, spec)
    return replace(
        view,
        files={name: files[name] for name in shown if name in files},
        settings={k: v for name in spec.run_files for k, v in settings_of(files.get(name, "")).items()},
        notes=end_of_notes(files.get("notes.txt", ""), NOTES_END_CHARS) if in_review else "",
    )


def _with_attempts(view: TurnView, state: State, failed_diff: str, feedback: str, instruction: str) -> TurnView:
    """The view with what was tried of the run number at work, and by whom."""
    return replace(
        view,
        failure=state.run.failure,
        code_failure=_code_failure(state),
        repeats=state.run.repeats,
        failed_diff=failed_diff,
        restored=state.code.clean and bool(state.run.failures),
        feedback=feedback,
        function=_failed_function(state),
        figures=not any(warning.startswith("no figures") for warning in state.warnings),
        separate_editor=state.launched.separate_editor,
        instruction=instruction,
    )


def _with_words(view: TurnView, state: State, set_aside_diff: str) -> TurnView:
    """The view with what people and the reviewer said."""
    versions = [row.review.version for row in state.rows if row.review]
    last = state.rows[-1].review if state.rows else None
    return replace(
        view,
        told=fresh_words(state.words),
        told_before=earlier_words(state.words, state.run.number),
        set_aside=state.attempt.set_aside.subject if state.attempt.set_aside else "",
        set_aside_diff=set_aside_diff,
        revised=last is not None and last.version > max([1, *versions[:-1]]),
    )


def _code_failure(state: State) -> Failure | None:
    """The last failure of the code that the files hold, where a reply that led to nothing came after it."""
    if state.code.clean or not state.run.failures or state.run.failures[-1].kind is not FailureKind.EDIT:
        return None
    return next((f for f in reversed(state.run.failures) if f.kind is not FailureKind.EDIT), None)


def _failed_function(state: State) -> str:
    """The function in which the last failure struck; empty for one outside any."""
    place = state.run.failure.location if state.run.failure else None
    return place.function if place and not place.function.startswith("<") else ""


def reference_of(state: State, baselines: Sequence[Baseline]) -> tuple[Baseline, ...]:
    """What runs are compared with: the template's baselines, else the run of its own code.

    A run 0 that called its results self-reported is none: verified results are not ranked with it.
    """
    usable = state.baseline.values and not state.baseline.self_reported
    own = (Baseline("run 0", 0, state.baseline.values),) if usable else ()
    return tuple(baselines) or own


def view_row(row: RunRow, spec: TemplateSpec, primary: Metric | None, baselines: Sequence[Baseline]) -> RowView:
    verdict = None
    if row.completed and primary and baselines:
        verdict = judge_run(spec, primary, row.values, baselines, self_reported=row.self_reported)
    return RowView(
        row.run,
        row.completed,
        row.subject,
        row.values,
        row.settings,
        verdict,
        row.failures,
        row.self_reported,
        row.item,
        row.review,
    )


def shown_files(stage: Stage, spec: TemplateSpec) -> tuple[str, ...]:
    """The files whose text a request carries: those of this stage. The rest would cost tokens at every turn."""
    if stage is Stage.PLOT:
        return ("plot.py",)
    if stage is Stage.NOTES:
        return ("notes.txt",)
    return spec.run_files
