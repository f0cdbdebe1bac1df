"""How an idea stands: one value for the terminal and for `status --json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent.core.evidence.baseline import Baseline, primary_metric, verdict_of
from agent.core.evidence.verdict import VerdictKind
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.events import Stage
from agent.core.journal.state import RunRow, State
from agent.core.prompt.view import reference_of
from agent.report.pause import ways_on
from agent.report.spending import say_batch_limits, say_cost, say_tokens

__all__ = ["Best", "Standing", "WorkState", "best_run", "stand"]


class WorkState(StrEnum):
    """What a workspace is doing."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    STALLED = "stalled"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Best:
    """The best completed run by the primary metric.

    baseline: the mean of the baseline's seeds, or what the frontier gives at the run's own place, as `reference` says.
    sandbox: the weakest that held one of the run's steps.
    """

    run: int
    metric: str
    value: float
    baseline: float | None
    verdict: str
    verified: bool
    reference: str = ""
    sandbox: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of status. `cost_usd` is None where no call's price is known.

    tokens_cached: part of tokens_in. requests: of the calls, the refused ones too. unknown_costs: calls whose price
    nobody knows. spent: the same in words, with the limits. next: the commands that go on.
    """

    name: str
    path: str
    state: WorkState
    phase: str
    run: int
    max_runs: int
    reason: str
    cost_usd: float | None
    tokens_in: int
    tokens_out: int
    best: Best | None
    control: str
    tokens_cached: int = 0
    calls: int = 0
    requests: int = 0
    unknown_costs: int = 0
    max_tokens: int | None = None
    max_cost_usd: float | None = None
    batch_max_tokens: int | None = None
    batch_max_cost_usd: float | None = None
    spent: str = ""
    next: tuple[str, ...] = ()


def stand(
    path: str,
    state: State,
    spec: TemplateSpec,
    baselines: Sequence[Baseline],
    *,
    is_held: bool,
    fresh: bool,
    silence: str = "",
) -> Standing:
    """How it stands.

    is_held: a live orchestrator has the lock. fresh: nothing has happened since launch. silence: the supervisor of the
    step at work lives, but its heart stopped, in words.
    """
    work, reason = _work_state(state, is_held, fresh, silence)
    spent, limits = state.spent, state.limits
    words = (say_tokens(spent, limits), say_cost(spent, limits), say_batch_limits(limits))
    return Standing(
        name=state.launched.workspace,
        path=path,
        state=work,
        phase=phase_of(state),
        run=state.run.number,
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
        next=tuple(command for _, command in ways_on(path, state)) if work is WorkState.PAUSED else (),
    )


def _work_state(state: State, is_held: bool, fresh: bool, silence: str) -> tuple[WorkState, str]:
    if state.ended:
        work = WorkState.COMPLETED if state.ended.completed else WorkState.FAILED
        return work, state.ended.summary.partition("\n")[0]
    if is_held:
        return (WorkState.STALLED, silence) if silence else (WorkState.RUNNING, "")
    if state.pause:
        return WorkState.PAUSED, state.pause.reason
    if fresh:
        return WorkState.PENDING, ""
    going = f"; {silence or f'{state.opened.folder} may be going on'}" if state.opened else ""
    return WorkState.STALLED, f"no orchestrator works on it{going}"


def phase_of(state: State) -> str:
    """The step at work, in a word."""
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
    """The best of the verified runs, where there are any; of those, of the runs that compare with the baseline.

    Along a frontier the best is the one farthest from it. None where no run is completed, or the metric has no
    direction to be best in.
    """
    done = [row for row in state.rows if row.completed]
    reference = reference_of(state, baselines)
    metric = primary_metric(spec, done[0].values if done else None)
    if metric is None or metric.direction == "unknown":
        return None
    scored = [row for row in done if metric.name in row.values]
    if not scored:
        return None
    verdicts = {row.run: verdict_of(spec, metric, row.measured, reference) for row in scored}
    verified = [row for row in scored if is_verified(row, state)]
    pool = verified or scored
    fair = [row for row in pool if getattr(verdicts[row.run], "kind", None) is not VerdictKind.NOT_COMPARABLE] or pool

    def lead(row: RunRow) -> float:
        verdict = verdicts[row.run]
        bar = verdict.baseline_mean if spec.frontier and verdict else None
        difference = row.values[metric.name] - (bar or 0.0)
        return -difference if metric.direction == "lower" else difference

    row = max(fair, key=lead)
    verdict = verdicts[row.run]
    return Best(
        row.run,
        metric.name,
        row.values[metric.name],
        verdict.baseline_mean if verdict else None,
        verdict.kind.value if verdict else "no verdict",
        row in verified,
        verdict.reference if verdict else "",
        row.measured.sandbox,
    )


def is_verified(row: RunRow, state: State) -> bool:
    """Whether the row's numbers were measured by the sealed evaluator alone."""
    return state.launched.verified and not row.measured.self_reported
