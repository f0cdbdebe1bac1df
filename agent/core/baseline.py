"""Baseline results of a template, and a candidate's standing against them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.core.spec import Metric, TemplateSpec
from agent.core.verdict import ControlReading, Verdict, judge


@dataclass(frozen=True, slots=True)
class Baseline:
    """One run of a baseline: its declared metrics and controls by name."""

    name: str
    seed: int
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One baseline over its seeds: mean and standard deviation (None for a single seed) of each metric."""

    name: str
    seeds: int
    means: dict[str, float]
    deviations: dict[str, float | None]


def summarise(baselines: Sequence[Baseline]) -> tuple[BaselineRow, ...]:
    """One row for each baseline name, in order of appearance."""
    rows = []
    for name in dict.fromkeys(b.name for b in baselines):
        runs = [b for b in baselines if b.name == name]
        shared = [key for key in runs[0].values if all(key in b.values for b in runs)]
        columns = {key: [b.values[key] for b in runs] for key in shared}
        rows.append(
            BaselineRow(
                name,
                len(runs),
                {key: statistics.fmean(column) for key, column in columns.items()},
                {key: statistics.stdev(column) if len(column) > 1 else None for key, column in columns.items()},
            )
        )
    return tuple(rows)


def judge_run(
    spec: TemplateSpec, metric: Metric, values: Mapping[str, float], baselines: Sequence[Baseline]
) -> Verdict | None:
    """The metric's verdict against the first baseline; None for a run without the metric.

    A control that the baseline reports must be reported by the run too, and agree.
    """
    if metric.name not in values:
        return None
    first = [b for b in baselines if b.name == baselines[0].name]
    known = [b.values[metric.name] for b in first if metric.name in b.values]
    controls = [
        ControlReading(
            control.name,
            values.get(control.name),
            statistics.fmean(b.values[control.name] for b in first if control.name in b.values),
            control.tolerance,
        )
        for control in spec.controls
        if any(control.name in b.values for b in first)
    ]
    return judge(metric, values[metric.name], known, controls)


def primary_metric(spec: TemplateSpec, seen: Mapping[str, float] | None = None) -> Metric | None:
    """The metric marked primary, else the first declared, else the first that a run reported."""
    declared = next((m for m in spec.metrics if m.primary), None) or next(iter(spec.metrics), None)
    if declared or not seen:
        return declared
    name = next(iter(seen))
    return Metric(name=name, path=(name,))
