"""The standing of an idea, as one value for the terminal and for `status --json`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath

from agent.core.evidence.baseline import Baseline, doubt_of, primary_metric, verdict_of
from agent.core.evidence.verdict import COMPARED, Verdict, judge_best
from agent.core.inputs.spec import Metric, TemplateSpec
from agent.core.journal.kinds import Stage
from agent.core.journal.state import RunRow, State
from agent.core.prompt.view import reference_of
from agent.report.pause import ways_on
from agent.report.spending import say_batch_limits, say_cost, say_tokens

__all__ = ["Activity", "Best", "Standing", "WorkState", "best_run", "stand"]


class WorkState(StrEnum):
    """The states of a workspace."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    STALLED = "stalled"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Activity:
    """Signs of work on an idea that its journal does not hold."""

    # A live orchestrator has the lock.
    is_held: bool
    # Nothing has happened since the launch.
    fresh: bool
    # Why the supervisor of the step at work is silent, and the way to go on. Empty if it is not.
    silence: str = ""
    # Whether the step at work goes on: its supervisor is alive, or its job waits.
    step_goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Best:
    """The best completed run by the primary metric."""

    # Run number.
    run: int
    # Name of the primary metric.
    metric: str
    # In the metric's own unit.
    value: float
    # The mean of the baseline's seeds, or of the frontier at the run's own place, which `reference` names.
    baseline: float | None
    # As "better" or "no difference"; "no verdict" without a baseline.
    verdict: str
    # Whether the sealed evaluator alone measured it.
    verified: bool
    # The baseline that it was compared with; empty if there is but one.
    reference: str = ""
    # The weakest that held one of the run's steps.
    sandbox: str = ""
    # The numbers compared, or why there is no verdict.
    reason: str = field(default="", compare=False)
    # How many runs it was chosen from, if that took the word "better" from it; else 0.
    chosen_from: int = 0
    # Value less baseline, in the metric's own unit; None without a baseline.
    delta: float | None = field(default=None, compare=False)
    # Whether a higher or a lower value is better: "higher" or "lower".
    direction: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of status."""

    # Name of the idea's workspace.
    name: str
    # Folder of the workspace.
    path: str
    # Whether it runs, waits or has ended.
    state: WorkState
    # The step at work, in one word.
    phase: str
    # The run number at work; of an idea that has ended, the last one that it used.
    run: int
    # Run numbers that the idea may use.
    max_runs: int
    # Why it paused, was interrupted, stalled or failed.
    reason: str
    # None if the price of no call is known.
    cost_usd: float | None
    # Tokens sent, over all calls.
    tokens_in: int
    # Tokens received, over all calls.
    tokens_out: int
    # None if no run is completed or its metric has no direction.
    best: Best | None
    # The remark of a control or a replay.
    control: str
    # Part of tokens_in.
    tokens_cached: int = 0
    # Calls to models that were answered.
    calls: int = 0
    # HTTP requests of all calls, with those that were refused.
    requests: int = 0
    # Calls whose price nobody knows.
    unknown_costs: int = 0
    # Limit of the idea; None: no limit.
    max_tokens: int | None = None
    # Limit of the idea; None: no limit.
    max_cost_usd: float | None = None
    # Limit of all ideas of the batch; None: no limit.
    batch_max_tokens: int | None = None
    # Limit of all ideas of the batch; None: no limit.
    batch_max_cost_usd: float | None = None
    # Tokens and cost in words, with the limits.
    spent: str = ""
    # The commands that go on.
    next: tuple[str, ...] = ()
    # Why the template's baselines judge none of its runs, and the command that helps; empty if they do.
    no_verdicts: str = ""
    # Remark on baselines of another machine; empty if there is none.
    caveat: str = ""
    # Name of the batch's folder.
    batch: str = ""
    # Whether an orchestrator or a run is at work on it, and gives signs of life.
    at_work: bool = False
    # Runs that have replications, and how many of those are over; empty if none has.
    again: str = ""

    @property
    def needs_person(self) -> bool:
        """Whether it goes on only if a person does something."""
        return self.state in (WorkState.STALLED, WorkState.INTERRUPTED, WorkState.PAUSED)


def stand(path: str, state: State, spec: TemplateSpec, baselines: Sequence[Baseline], activity: Activity) -> Standing:
    """The standing of the idea with the workspace `path`."""
    work, reason = _work_state(state, activity)
    waits = not activity.is_held and work is not WorkState.PENDING
    spent, limits = state.spent, state.limits
    words = (say_tokens(spent, limits), say_cost(spent, limits), say_batch_limits(limits))
    return Standing(
        name=state.launched.workspace,
        path=path,
        state=work,
        phase=phase_of(state),
        run=len(state.rows) if state.ended else state.run.number,
        max_runs=state.limits.max_runs,
        reason=reason,
        cost_usd=None if spent.unknown_costs and not spent.cost_usd else round(spent.cost_usd, 6),
        tokens_in=spent.paid.tokens_in,
        tokens_out=spent.paid.tokens_out,
        best=best_run(state, spec, baselines),
        control=state.launched.remark,
        tokens_cached=spent.paid.tokens_cached,
        calls=spent.calls,
        requests=spent.paid.requests,
        unknown_costs=spent.unknown_costs,
        max_tokens=limits.max_tokens,
        max_cost_usd=limits.max_cost_usd,
        batch_max_tokens=limits.batch_max_tokens,
        batch_max_cost_usd=limits.batch_max_cost_usd,
        spent=", ".join(part for part in words if part),
        next=tuple(command for _, command in ways_on(path, state)) if waits else (),
        no_verdicts=doubt_of(baselines),
        caveat=state.launched.caveat,
        batch=PurePath(path).parent.name,
        again=say_again(state) + (_say_left(path, state) if waits else ""),
        at_work=not activity.silence and not state.ended and (activity.is_held or activity.step_goes_on),
    )


def _work_state(state: State, activity: Activity) -> tuple[WorkState, str]:
    if state.ended:
        work = WorkState.COMPLETED if state.ended.completed else WorkState.FAILED
        said = (state.ended.summary.partition("\n")[0], say_again(state))
        return work, "; ".join(part for part in said if part)
    silence = activity.silence
    if activity.is_held:
        return (WorkState.STALLED, silence) if silence else (WorkState.RUNNING, "")
    if state.pause:
        return WorkState.PAUSED, state.pause.reason
    if activity.fresh:
        return WorkState.PENDING, ""
    cause = "Ctrl-C, a signal or a crash ended the work on it"
    if silence:
        return WorkState.STALLED, f"{cause}; {silence}"
    step = f"{state.going.folder} goes on" if state.going and activity.step_goes_on else "nothing is running"
    return WorkState.INTERRUPTED, f"{cause}; {step}"


def say_again(state: State) -> str:
    """Which runs have replications, with how many of their seeds are over. Empty if none has."""
    runs = sorted({one.run for one in state.replications.all})
    counts = [(run, [one.is_over for one in state.replications.of(run)]) for run in runs]
    return ", ".join(f"run {run} again with {sum(over)} of {len(over)} seeds" for run, over in counts)


def _say_left(path: str, state: State) -> str:
    """The command for seeds of replications that are left and that nobody works on. Empty if none is."""
    one = state.replications.next
    return f"; go on: scientist replicate {shlex.quote(path)} {one.run}" if one else ""


def phase_of(state: State) -> str:
    """The step at work, in one word."""
    if state.ended:
        return "ended"
    if state.opened:
        return state.opened.step.value
    if state.attempt.candidate:
        return "check"
    if state.reply is not None:
        return "review" if state.reviewing else "edit"
    if state.reviewing:
        return "review"
    return "ask" if state.stage is Stage.EXPERIMENTS else state.stage.value


def best_run(state: State, spec: TemplateSpec, baselines: Sequence[Baseline]) -> Best | None:
    """The best of the verified runs if there are any, else of all runs.

    If some of them compare with the baseline, the others are left out. Along a frontier the best run is the one
    farthest from it. Its verdict allows for its being chosen among them. None if no run is completed, or if the metric
    has no direction to be best in.
    """
    done = [row for row in state.rows if row.completed]
    metric = primary_metric(spec, done[0].values if done else None)
    scored = [row for row in done if metric and metric.name in row.values]
    if metric is None or metric.direction == "unknown" or not scored:
        return None
    reference = reference_of(state, baselines)
    verdicts = {row.run: verdict_of(spec, metric, row.measured, reference) for row in scored}
    verified = [row for row in scored if is_verified(row, state)]
    fair = _comparable(verified or scored, verdicts)

    def lead(row: RunRow) -> float:
        verdict = verdicts[row.run]
        bar = verdict.baseline_mean if spec.frontier and verdict else None
        difference = row.values[metric.name] - (bar or 0.0)
        return -difference if metric.direction == "lower" else difference

    row = max(fair, key=lead)
    return _judge_best(row, metric, verdicts[row.run], len(fair), is_verified=row in verified)


def _judge_best(row: RunRow, metric: Metric, own: Verdict | None, runs: int, *, is_verified: bool) -> Best:
    """The run as the best of `runs`. own: its verdict by itself."""
    verdict = own and judge_best(own, row.values[metric.name], runs)
    value, bar = row.values[metric.name], verdict.baseline_mean if verdict else None
    return Best(
        row.run,
        metric.name,
        value,
        bar,
        verdict.kind.value if verdict else "no verdict",
        is_verified,
        verdict.reference if verdict else "",
        row.measured.sandbox,
        verdict.reason if verdict else "",
        runs if verdict != own else 0,
        None if bar is None else value - bar,
        metric.direction,
    )


def _comparable(rows: Sequence[RunRow], verdicts: Mapping[int, Verdict | None]) -> Sequence[RunRow]:
    """The runs that compare with the baseline, or all if none does."""
    return [row for row in rows if (verdict := verdicts[row.run]) and verdict.kind in COMPARED] or rows


def is_verified(row: RunRow, state: State) -> bool:
    """Whether the sealed evaluator alone measured the row's numbers."""
    return state.launched.verified and not row.measured.self_reported
