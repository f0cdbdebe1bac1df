"""Everything that one request shows, before it is put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.core.code.places import lines_at
from agent.core.edit.seen import Ranges, lines_of, ranges_of
from agent.core.evidence.baseline import (
    RUN_0,
    Baseline,
    BaselineRow,
    doubt_of,
    primary_metric,
    reach_of,
    summarise,
    verdict_of,
)
from agent.core.evidence.verdict import Verdict, say_luck
from agent.core.failure.diagnose import Failure, FailureKind
from agent.core.inputs.brief import Brief, split_brief
from agent.core.inputs.idea import Idea
from agent.core.inputs.refs import Reference
from agent.core.inputs.spec import Metric, StepLimits, TemplateSpec
from agent.core.journal.kinds import PlanItem, Purpose, Stage
from agent.core.journal.state import RunRow, State
from agent.core.journal.words import earlier_words, fresh_words
from agent.core.prompt.excerpt import Focus
from agent.core.prompt.last_run import LastRun, read_last
from agent.core.prompt.notes import end_of_notes
from agent.core.reply.example import Example
from agent.core.reply.turn import editable_at

NOTES_END_CHARS = 1500


@dataclass(frozen=True, slots=True)
class Study:
    """An idea and its template, as one turn finds them."""

    spec: TemplateSpec
    idea: Idea
    # The template's brief.md.
    brief: str = ""
    baselines: Sequence[Baseline] = ()
    # Limits of the profile at work. None: those of the template.
    limits: StepLimits | None = None


@dataclass(frozen=True, slots=True)
class TurnTexts:
    """Texts that one turn shows and that neither the files nor the journal's events hold."""

    # Result of the last reply: the reason why it was refused, with the real lines.
    feedback: str = ""
    # Instruction of the planner to the editor.
    instruction: str = ""
    # Diff of the edit that failed.
    failed_diff: str = ""
    # Diff of an edit that a word of the researcher kept from running.
    set_aside_diff: str = ""
    # The planner's last reply about the whole study, if it had ended and now goes on.
    last_words: str = ""


@dataclass(frozen=True, slots=True)
class Traces:
    """Lines about the inside of the newest run: its curves, its diagnostics, and the switches of the present code."""

    curves: tuple[str, ...] = ()
    diagnostics: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowView:
    """One past run as the model sees it, with the verdict of the primary metric."""

    row: RunRow
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class TurnView:
    """Everything that the model may know at this turn."""

    # Why the model is asked.
    purpose: Purpose
    # The idea as its journal tells it.
    state: State
    # The template's settings.
    spec: TemplateSpec
    # The idea in its newest version.
    idea: Idea
    # The metric that runs are judged by; None if there is none.
    primary: Metric | None = None
    # Time, memory and disk of a step at this profile.
    limits: StepLimits = field(default_factory=StepLimits)
    # The baselines' means and spreads, a row a setting.
    baselines: tuple[BaselineRow, ...] = ()
    # Ends of the part of the frontier on which runs compare; None if there is no frontier.
    reach: tuple[float, float] | None = None
    # Run numbers that are spent, each with its verdict.
    rows: tuple[RowView, ...] = ()
    # The last completed run, held against its plan item and the baselines.
    last: LastRun = field(default_factory=LastRun)
    # The parts of the brief that this turn shows: `headings` are those of a background that it only names.
    brief: Brief = field(default_factory=lambda: Brief(""))
    # Texts for reference that the idea was launched with.
    refs: tuple[Reference, ...] = ()
    # Curves and diagnostics of the newest run.
    traces: Traces = field(default_factory=Traces)
    # Texts of the files of this stage. All other files that may be changed are only named.
    files: dict[str, str] = field(default_factory=dict)
    # By file: the places that matter at this turn.
    focus: dict[str, Focus] = field(default_factory=dict)
    # By file: the lines that the model asked to see at this run number.
    asked: dict[str, Ranges] = field(default_factory=dict)
    # Files of code that may be asked for and not changed.
    readable: tuple[str, ...] = ()
    # By file: the lines that are shown of a file shown in part.
    shown: dict[str, Ranges] = field(default_factory=dict)
    # Whole texts that a repair shows.
    whole: dict[str, str] = field(default_factory=dict)
    # The end of notes.txt, for the reviewer.
    notes: str = ""
    # Feedback, diffs and instructions that this turn shows.
    texts: TurnTexts = field(default_factory=TurnTexts)
    # The example in the rules, which stays for the whole idea.
    example: Example | None = None
    # How many "rows", "baselines" and plan "items" are left out for the model's window.
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The command of a run, as the model is shown it."""
        return self.spec.command.replace("{out_dir}", "run_N")

    @property
    def editable(self) -> tuple[str, ...]:
        """The files that may be changed at this stage."""
        return editable_at(self.state.stage, self.spec.editable)

    @property
    def max_attempts(self) -> int:
        limits = self.state.limits
        return limits.attempts if self.state.stage is Stage.EXPERIMENTS else limits.plot_attempts

    @property
    def plan(self) -> tuple[PlanItem, ...]:
        """The plan without those items that are over and left out."""
        over = [item.number for item in self.state.plan if item.number in self.state.done_items]
        gone = over[: self.left_out.get("items", 0)]
        return tuple(item for item in self.state.plan if item.number not in gone)

    @property
    def due(self) -> PlanItem | None:
        """The plan item that comes next."""
        return self.state.next_item

    @property
    def restored(self) -> bool:
        """Whether the files hold the last good code again, after a failure."""
        return self.state.code.clean and bool(self.state.run.failures)

    @property
    def code_failure(self) -> Failure | None:
        """The last failure of the code that the files hold, if only replies of no use came after it."""
        failures = self.state.run.failures
        if self.state.code.clean or not failures or failures[-1].kind is not FailureKind.EDIT:
            return None
        return next((f for f in reversed(failures) if f.kind is not FailureKind.EDIT), None)

    @property
    def function(self) -> str:
        """The function in which the last failure struck. Empty if it struck outside of any."""
        place = self.state.run.failure.location if self.state.run.failure else None
        return place.function if place and not place.function.startswith("<") else ""

    @property
    def told(self) -> tuple[str, ...]:
        """The researcher's words that no request has held yet."""
        return fresh_words(self.state.words)

    @property
    def told_before(self) -> tuple[str, ...]:
        """The researcher's words that an earlier request of this run number held."""
        return earlier_words(self.state.words, self.state.run.number)

    @property
    def set_aside(self) -> str:
        """Subject of an edit that a word of the researcher kept from running."""
        return self.state.attempt.set_aside.subject if self.state.attempt.set_aside else ""

    @property
    def figures(self) -> bool:
        """Whether the study has figures, or may still get them."""
        return not any(warning.startswith("no figures") for warning in self.state.warnings)

    @property
    def luck(self) -> str:
        """How often luck alone calls one of so many runs better. Empty if none is."""
        return say_luck([row.verdict.kind for row in self.rows if row.verdict])

    @property
    def is_over(self) -> bool:
        """Whether no run comes any more."""
        return self.state.stage in (Stage.PLOT, Stage.NOTES)

    @property
    def goes_on(self) -> bool:
        """Whether this turn is the first after runs were added to a study that had ended."""
        return goes_on(self.state, self.purpose)

    @property
    def revised(self) -> bool:
        """Whether the last review changed the idea."""
        rows = self.state.rows
        versions = [row.review.version for row in rows if row.review]
        last = rows[-1].review if rows else None
        return last is not None and last.version > max([1, *versions[:-1]])

    @property
    def makes_plan(self) -> bool:
        """Whether a plan is to be made: at first, and if the present one cannot simply go on."""
        if self.purpose is not Purpose.NEXT:
            return self.purpose is Purpose.PLAN
        rows = self.state.rows
        return self.due is None or self.revised or (bool(rows) and not rows[-1].completed)

    @property
    def explains(self) -> bool:
        """Whether metrics are shown with how to read them."""
        return self.makes_plan or self.purpose in (Purpose.NOTES, Purpose.REVIEW, Purpose.REFLECT)


def view_turn(
    state: State, study: Study, purpose: Purpose, files: Mapping[str, str], texts: TurnTexts | None = None
) -> TurnView:
    """The view of the turn that is due. `files` are all texts of the newest commit."""
    spec = study.spec
    seen = next((row.values for row in state.rows if row.completed), None)
    reference = reference_of(state, study.baselines)
    primary = primary_metric(spec, seen or (reference[0].values if reference else None))
    in_review = purpose in (Purpose.REVIEW, Purpose.REFLECT)
    asked = {} if in_review else asked_lines(state.run.wanted, files)
    shown = () if in_review else tuple(dict.fromkeys((*shown_files(state.stage, spec), *asked)))
    view = TurnView(
        purpose=purpose,
        state=state,
        spec=spec,
        idea=study.idea,
        primary=primary,
        limits=study.limits or spec.limits,
        baselines=summarise(reference, spec.frontier),
        reach=reach_of(reference, spec.frontier, primary.name) if spec.frontier and primary else None,
        rows=tuple(view_row(row, spec, primary, reference) for row in state.rows),
        last=read_last(state, spec, reference),
        files={name: files[name] for name in shown if name in files},
        asked=asked,
        readable=tuple(n for n in files if n.endswith(".py") and n not in (*shown, *spec.editable)),
        notes=end_of_notes(files.get("notes.txt", ""), NOTES_END_CHARS) if in_review else "",
        texts=texts or TurnTexts(),
    )
    return replace(view, brief=_brief_of(view, study.brief))


def asked_lines(places: Sequence[str], files: Mapping[str, str]) -> dict[str, Ranges]:
    """By file: the lines of the places that a model asked to see."""
    found: dict[str, set[int]] = {}
    for place in places:
        if at := lines_at(place, files):
            found.setdefault(at[0], set()).update(lines_of(at[1]))
    return {name: ranges_of(lines) for name, lines in found.items()}


def goes_on(state: State, purpose: Purpose) -> bool:
    """Whether a request for this purpose is the first after runs were added to a study that had ended."""
    return purpose in (Purpose.PLAN, Purpose.NEXT) and 0 < state.went_on_at == state.run.number


def _brief_of(view: TurnView, text: str) -> Brief:
    """The parts of the brief that the turn's purpose needs: a background is shown only to make a plan with."""
    brief = split_brief(text)
    if view.purpose in (Purpose.PLOT, Purpose.NOTES, Purpose.EDIT):
        return Brief("")
    if view.purpose in (Purpose.REVIEW, Purpose.REFLECT):
        return Brief(brief.task)
    if view.makes_plan:
        return Brief(brief.task, brief.background)
    return Brief(brief.task, headings=brief.headings)


def reference_of(state: State, baselines: Sequence[Baseline]) -> tuple[Baseline, ...]:
    """The runs that others are compared with: the template's baselines, else the run of its own code.

    A run 0 that calls its results self-reported does not count: verified results are not ranked with it. If the
    template's baselines are in doubt, or run 0's own replications, so is every verdict, but run 0 is shown.
    """
    usable = state.baseline.values and not state.baseline.self_reported
    doubt = doubt_of(baselines)
    if not usable or (baselines and not doubt):
        return tuple(baselines)
    again = {seed: m for seed, m in state.replications.results_of(0).items() if not m.self_reported}
    runs = {0: state.baseline, **again}  # with fresh seeds of the same code it has a band
    doubt = doubt or next((f"run 0 with seed {seed}: {m.doubt}" for seed, m in again.items() if m.doubt), "")
    return tuple(Baseline(RUN_0, seed, m.values, doubt=doubt) for seed, m in runs.items())


def view_row(row: RunRow, spec: TemplateSpec, primary: Metric | None, baselines: Sequence[Baseline]) -> RowView:
    return RowView(row, verdict_of(spec, primary, row.measured, baselines) if row.completed else None)


def shown_files(stage: Stage, spec: TemplateSpec) -> tuple[str, ...]:
    """The files of this stage, whose text a request carries. All others would cost tokens at every turn.

    Files that a run uses and nobody may edit are shown when the model asks for them.
    """
    if stage is Stage.PLOT:
        return ("plot.py",)
    if stage is Stage.NOTES:
        return ("notes.txt",)
    return tuple(name for name in spec.run_files if name in spec.editable)
