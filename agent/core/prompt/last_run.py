"""The last completed run, held against its plan item and against the baselines at its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.core.evidence.baseline import Baseline, verdict_of
from agent.core.evidence.verdict import VerdictKind
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.kinds import Measured
from agent.core.journal.state import RunRow, State
from agent.core.reply.expectation import Reading, measure, read_comparison

__all__ = ["LastRun", "read_last"]


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last completed run against its expectations and the baselines. Empty if the last run number was given up.

    readings: the comparisons under "expected" and "refuted_if" of its plan item. bars: by metric, the baselines' mean.
    """

    readings: dict[str, Reading] = field(default_factory=dict)
    bars: dict[str, float] = field(default_factory=dict)


def read_last(state: State, spec: TemplateSpec, baselines: Sequence[Baseline]) -> LastRun:
    row = state.rows[-1] if state.rows else None
    if row is None or not row.completed:
        return LastRun()
    return LastRun(_readings(row, state, spec, baselines), _bars(row, spec, baselines))


def _readings(row: RunRow, state: State, spec: TemplateSpec, baselines: Sequence[Baseline]) -> dict[str, Reading]:
    """The comparisons in the run's plan item, held against its results."""
    if row.item is None:
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
    """The value that a change of the metric is counted from, and its name.

    The value is the baseline at the run's own place. If there is none, it is that of the run before.
    """
    verdict = verdict_of(spec, spec.metric(name), Measured(row.values), baselines)
    if verdict and verdict.kind is VerdictKind.NOT_COMPARABLE:
        return None, ""  # neither the baseline nor, in its place, the run before
    if verdict and verdict.baseline_mean is not None:
        return verdict.baseline_mean, "the baseline"
    before = [r for r in state.rows if r.completed and r.run < row.run and name in r.values]
    return (before[-1].values[name], f"run {before[-1].run}") if before else (None, "")


def _bars(row: RunRow, spec: TemplateSpec, baselines: Sequence[Baseline]) -> dict[str, float]:
    """The baselines' mean at the run's place, for each metric of a known direction."""
    if row.measured.self_reported:
        return {}
    bars = {}
    for metric in spec.metrics:
        verdict = verdict_of(spec, metric, row.measured, baselines) if metric.direction != "unknown" else None
        if verdict and verdict.kind is not VerdictKind.NOT_COMPARABLE and verdict.baseline_mean is not None:
            bars[metric.name] = verdict.baseline_mean
    return bars
