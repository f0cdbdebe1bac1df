"""The last completed run, held against what its plan item expected and against the baselines at its place."""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.evidence.baseline import Baseline, judge_run
from agent.core.evidence.verdict import VerdictKind
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.state import RunRow, State
from agent.core.reply.expectation import Reading, measure, read_comparison

__all__ = ["bars_of_last", "read_last"]


def read_last(state: State, spec: TemplateSpec, baselines: Sequence[Baseline]) -> dict[str, Reading]:
    """The comparisons in the last completed run's plan item, held against its results."""
    row = state.rows[-1] if state.rows else None
    if row is None or not row.completed or row.item is None:
        return {}
    names = list(dict.fromkeys([*(m.name for m in spec.metrics), *row.values]))
    expected = read_comparison(row.item.expected, names)
    refuted = read_comparison(row.item.refuted_if, names, expected.metric if expected else "")
    readings = {}
    for label, comparison in (("expected", expected), ("refuted_if", refuted)):
        if comparison is None:
            continue
        bar, name = _bar_of(comparison.metric, row, state, spec, baselines)
        if reading := measure(comparison, row.values, bar, name):
            readings[label] = reading
    return readings


def _bar_of(
    name: str, row: RunRow, state: State, spec: TemplateSpec, baselines: Sequence[Baseline]
) -> tuple[float | None, str]:
    """What a change of the metric is a change of, and its name: the baseline at the run's own place, else a run."""
    metric = next((m for m in spec.metrics if m.name == name), None)
    verdict = judge_run(spec, metric, row.values, baselines) if metric and baselines else None
    if verdict and verdict.kind is VerdictKind.NOT_COMPARABLE:
        return None, ""  # neither the baseline nor, in its place, the run before
    if verdict and verdict.baseline_mean is not None:
        return verdict.baseline_mean, "the baseline"
    before = [r for r in state.rows if r.completed and r.run < row.run and name in r.values]
    return (before[-1].values[name], f"run {before[-1].run}") if before else (None, "")


def bars_of_last(state: State, spec: TemplateSpec, baselines: Sequence[Baseline]) -> dict[str, float]:
    """What the baselines reach in each metric of a known direction where the last completed run lies."""
    row = state.rows[-1] if state.rows else None
    if row is None or not row.completed or not baselines or row.self_reported:
        return {}
    bars = {}
    for metric in spec.metrics:
        verdict = judge_run(spec, metric, row.values, baselines) if metric.direction != "unknown" else None
        if verdict and verdict.kind is not VerdictKind.NOT_COMPARABLE and verdict.baseline_mean is not None:
            bars[metric.name] = verdict.baseline_mean
    return bars
