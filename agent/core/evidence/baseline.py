"""Baseline results of a template, and the verdict of a run against them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from agent.core.evidence.frontier import END_SLACK, Curve, Sample, best_bar, read_curve
from agent.core.evidence.verdict import (
    COMPARED,
    ControlReading,
    Verdict,
    VerdictKind,
    differing_controls,
    judge,
    judge_against,
)
from agent.core.inputs.spec import BaselineVariant, Metric, TemplateSpec
from agent.core.journal.kinds import Measured

RUN_0: Final = "run 0"


@dataclass(frozen=True, slots=True)
class Baseline:
    """One run of a baseline: its declared metrics and controls by name. `setting` names a point of a frontier.

    doubt: why no run is judged by it, as that other code made it; empty if it may be.
    """

    name: str
    seed: int
    values: dict[str, float] = field(default_factory=dict)
    setting: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One setting over its seeds: mean and standard deviation (None for a single seed) of each metric."""

    name: str
    seeds: int
    means: dict[str, float]
    deviations: dict[str, float | None]
    setting: str = ""


def leading_rows(rows: Sequence[BaselineRow], primary: Metric | None, axis: str) -> tuple[BaselineRow, ...]:
    """The rows along the frontier: those that no other baseline's line, drawn between settings over log axis, beats."""
    if primary is None or primary.direction == "unknown":
        return tuple(rows)
    sign = 1 if primary.direction == "higher" else -1
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.means.get(axis, 0.0) > 0 and primary.name in row.means:
            lines.setdefault(row.name, []).append((math.log(row.means[axis]), sign * row.means[primary.name]))
    kept = []
    for row in rows:
        if row.means.get(axis, 0.0) > 0 and primary.name in row.means:
            at, own = math.log(row.means[axis]), sign * row.means[primary.name]
            others = (value for name, line in lines.items() if name != row.name for value in _heights(sorted(line), at))
            kept += [row] if all(value <= own for value in others) else []
    return tuple(kept) or tuple(rows)


def _heights(line: Sequence[tuple[float, float]], at: float) -> Iterator[float]:
    """The height of a line at a place: one value, or none outside of it."""
    for (left, low), (right, high) in pairwise(line):
        if left <= at <= right:
            yield low if right == left else low + (high - low) * (at - left) / (right - left)
            return


def summarise(baselines: Sequence[Baseline], axis: str = "") -> tuple[BaselineRow, ...]:
    """One row for each name and setting, names in order of appearance. Runs in doubt are left out.

    Settings come in order of appearance too, or by their mean on `axis`.
    """
    baselines = without_doubt(baselines)
    names = list(dict.fromkeys(b.name for b in baselines))
    rows = [
        _summarise_setting([b for b in baselines if (b.name, b.setting) == key])
        for key in dict.fromkeys((b.name, b.setting) for b in baselines)
    ]
    return tuple(sorted(rows, key=lambda row: (names.index(row.name), row.means.get(axis, 0.0))))


def without_doubt(baselines: Sequence[Baseline]) -> tuple[Baseline, ...]:
    """The runs that others may be shown beside: those that are not in doubt, and run 0, which is this code's own."""
    return tuple(b for b in baselines if not b.doubt or b.name == RUN_0)


def doubt_of(baselines: Sequence[Baseline]) -> str:
    """Why the baselines judge no run; empty if they do. One in doubt is enough: no band holds without its runs."""
    return next((b.doubt for b in baselines if b.doubt), "")


def _summarise_setting(runs: Sequence[Baseline]) -> BaselineRow:
    shared = [key for key in runs[0].values if all(key in b.values for b in runs)]
    columns = {key: [b.values[key] for b in runs] for key in shared}
    return BaselineRow(
        runs[0].name,
        len(runs),
        {key: statistics.fmean(column) for key, column in columns.items()},
        {key: statistics.stdev(column) if len(column) > 1 else None for key, column in columns.items()},
        runs[0].setting,
    )


def in_declared_order(baselines: Sequence[Baseline], variants: Sequence[BaselineVariant]) -> tuple[Baseline, ...]:
    """The runs sorted by the profile's variants and their values, so that the first variant is the first baseline.

    Runs that no variant declares come last, in the order that they have.
    """
    names = [variant.name for variant in variants]
    settings = {variant.name: [say_setting(value) for value in variant.values] for variant in variants}

    def place(b: Baseline) -> tuple[int, int]:
        known = settings.get(b.name, [])
        nth = known.index(b.setting) if b.setting in known else len(known)
        return (names.index(b.name) if b.name in names else len(names), nth)

    return tuple(sorted(baselines, key=place))


def say_setting(value: bool | int | float | str) -> str:
    """The value of a varied constant as the name of a setting."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def judge_run(
    spec: TemplateSpec,
    metric: Metric,
    values: Mapping[str, float],
    baselines: Sequence[Baseline],
    *,
    self_reported: str = "",
) -> Verdict | None:
    """The metric's verdict against the first setting of the first baseline, or against the frontier if there is one.

    None for a run without the metric. If run or baseline reports a control, the other must report it too, and agree.
    self_reported: why the run's results are not verified. If those of the template are, the run compares with none.
    """
    if metric.name not in values:
        return None
    if self_reported and spec.evaluate and not spec.evaluate.runs_experiment_code:
        reason = f"self-reported, where the baselines are verified: {self_reported}"
        return _without_bar(VerdictKind.NOT_COMPARABLE, reason)
    if doubt := doubt_of(baselines):
        return _withhold(metric, values, baselines, doubt)
    first = [b for b in baselines if b.name == baselines[0].name]
    if spec.frontier and baselines:
        return _judge_at_axis(spec, metric, values, baselines, first)
    first = [b for b in first if b.setting == baselines[0].setting]
    if gap := _say_gap([metric.name], first):
        return _without_bar(VerdictKind.NO_VERDICT, gap)
    known = [b.values[metric.name] for b in first if metric.name in b.values]
    controls = _read_controls(spec, values, first)
    verdict = judge(metric, values[metric.name], known, controls, deterministic=spec.deterministic)
    return _name_others(metric, values[metric.name], verdict, summarise(baselines))


def _name_others(metric: Metric, value: float, verdict: Verdict, rows: Sequence[BaselineRow]) -> Verdict:
    """The verdict with the name of the one baseline that it is against, if there are several, and with a stronger one
    that the run does not reach.
    """
    if len({row.name for row in rows}) < 2 or verdict.kind not in COMPARED:
        return verdict
    sign = -1 if metric.direction == "lower" else 1
    others = [row for row in rows[1:] if metric.name in row.means]
    best = max(others, key=lambda row: sign * row.means[metric.name], default=None)
    reason = f"{verdict.reason} (baseline {rows[0].name})"
    if best and verdict.kind is VerdictKind.BETTER and sign * best.means[metric.name] >= sign * value:
        named = f"{best.name} {best.setting}".strip()
        reason += f"; baseline {named} has {best.means[metric.name]:.4g}, which the run does not pass"
    return replace(verdict, reason=reason, reference=rows[0].name)


def _withhold(metric: Metric, values: Mapping[str, float], baselines: Sequence[Baseline], doubt: str) -> Verdict:
    """No verdict, since the stored baselines are in doubt. The number of run 0, if there is one, is still shown."""
    own = [b.values[metric.name] for b in baselines if b.name == RUN_0 and metric.name in b.values]
    verdict = judge(metric, values[metric.name], own[:1], ())
    return replace(verdict, kind=VerdictKind.NO_VERDICT, reason=doubt)


def _say_gap(names: Sequence[str], runs: Sequence[Baseline], axis: str = "") -> str:
    """Why runs of one baseline give no band: some lack a finite number, and a band of the others is a choice.

    Empty if all have the numbers, or none has one of them. On `axis` a number has to be positive.
    """
    for name in names:
        kind, least = ("positive", 0.0) if name == axis else ("finite", -math.inf)
        bad = [b for b in runs if not least < b.values.get(name, math.nan) < math.inf]
        if bad and len(bad) < len(runs):
            seeds = ", ".join(f"{b.setting} seed {b.seed}".strip() for b in bad[:3]) + (", ..." if bad[3:] else "")
            return f"{len(bad)} of {len(runs)} runs of baseline {bad[0].name} report no {kind} {name} ({seeds})"
    return ""


def verdict_of(
    spec: TemplateSpec, metric: Metric | None, measured: Measured, baselines: Sequence[Baseline]
) -> Verdict | None:
    """The verdict of one run in a metric. None if there is no such metric or no baseline."""
    if metric is None or not baselines:
        return None
    verdict = judge_run(spec, metric, measured.values, baselines, self_reported=measured.self_reported)
    if verdict and measured.doubt and verdict.kind in COMPARED:
        return replace(verdict, kind=VerdictKind.NO_VERDICT, reason=measured.doubt)
    return verdict


def _read_controls(
    spec: TemplateSpec, values: Mapping[str, float], runs: Sequence[Baseline]
) -> tuple[ControlReading, ...]:
    """The controls that run or baseline reports. The axis is left out: baselines are interpolated along it."""
    return tuple(
        ControlReading(
            control.name,
            values.get(control.name),
            _farthest(values.get(control.name), [b.values.get(control.name) for b in runs]),
            control.tolerance,
        )
        for control in spec.controls
        if control.name != spec.frontier and (control.name in values or any(control.name in b.values for b in runs))
    )


def _say_gaps(metric: Metric, axis: str, baselines: Sequence[Baseline]) -> str:
    """The first gap of any setting. An optional metric may have some."""
    points: dict[tuple[str, str], list[Baseline]] = {}
    for b in baselines:
        points.setdefault((b.name, b.setting), []).append(b)
    gaps = [] if metric.optional else [_say_gap([axis, metric.name], runs, axis) for runs in points.values()]
    return next(filter(None, gaps), "")


def _farthest(value: float | None, known: Sequence[float | None]) -> float | None:
    """Of the baseline's readings of a control the one that agrees least, since a run must agree with all of them."""
    if value is None or None in known or not all(math.isfinite(k) for k in known if k is not None):
        return next((k for k in known if k is None or not math.isfinite(k)), known[0])
    return max((k for k in known if k is not None), key=lambda k: abs(k - value))


def _judge_at_axis(
    spec: TemplateSpec,
    metric: Metric,
    values: Mapping[str, float],
    baselines: Sequence[Baseline],
    first: Sequence[Baseline],
) -> Verdict:
    """The verdict against the best of the curves, at the run's own place on the axis.

    A run compares only within the range of the first baseline: beyond it, only weaker baselines might be left. Another
    baseline counts if its own controls agree with the run's.
    """
    axis = spec.frontier
    if not math.isfinite(values[metric.name]):
        return _without_bar(VerdictKind.NO_VERDICT, f"{metric.name} is not finite")
    if metric.name == axis:
        return _without_bar(VerdictKind.NO_VERDICT, f"{axis} is the axis along which runs are compared")
    if metric.direction == "unknown":
        return _without_bar(
            VerdictKind.NO_VERDICT, f"the template does not say whether a higher {metric.name} is better"
        )
    if differing := differing_controls(_read_controls(spec, values, first)):
        return _without_bar(VerdictKind.NOT_COMPARABLE, differing)
    place = values.get(axis)
    if place is None:
        return _without_bar(VerdictKind.NOT_COMPARABLE, f"{axis} not reported here, and baselines are a frontier in it")
    if not place > 0:
        return _without_bar(VerdictKind.NOT_COMPARABLE, f"{axis} is {place:g}, and the frontier is over its logarithm")
    if gap := _say_gaps(metric, axis, baselines):
        return _without_bar(VerdictKind.NO_VERDICT, gap)
    reference = read_curve(first[0].name, _samples(first, axis, metric.name))
    if reference is None:
        return _without_bar(VerdictKind.NO_VERDICT, f"baseline {first[0].name} reports no {metric.name} over {axis}")
    if not reference.reaches(place):
        reason = f"{axis} {place:.3g} lies outside {reference.low:.3g} to {reference.high:.3g}, the frontier's range"
        return _without_bar(VerdictKind.NOT_COMPARABLE, f"{reason} for {metric.name}")
    bar = best_bar(_fair_curves(spec, metric, values, baselines), axis, place, metric.direction)
    assert bar, "the first baseline reaches this place"
    return judge_against(metric, values[metric.name], bar, (), deterministic=spec.deterministic)


def _fair_curves(
    spec: TemplateSpec, metric: Metric, values: Mapping[str, float], baselines: Sequence[Baseline]
) -> dict[str, Curve]:
    curves = {}
    for name in dict.fromkeys(b.name for b in baselines):
        runs = [b for b in baselines if b.name == name]
        curve = read_curve(name, _samples(runs, spec.frontier, metric.name))
        if curve and not differing_controls(_read_controls(spec, values, runs)):
            curves[name] = curve
    return curves


def _samples(runs: Sequence[Baseline], axis: str, metric: str) -> list[Sample]:
    return [Sample(b.setting, b.values[axis], b.values[metric]) for b in runs if {axis, metric} <= b.values.keys()]


def _without_bar(kind: VerdictKind, reason: str) -> Verdict:
    return Verdict(kind, None, None, None, reason)


def reach_of(baselines: Sequence[Baseline], axis: str, metric: str) -> tuple[float, float] | None:
    """Both ends of the range in which the metric is judged, slack included.

    None if the first baseline does not report metric and axis.
    """
    baselines = without_doubt(baselines)
    first = [b for b in baselines if b.name == baselines[0].name]
    curve = read_curve("", _samples(first, axis, metric))
    return (curve.low * (1 - END_SLACK), curve.high * (1 + END_SLACK)) if curve else None


def primary_metric(spec: TemplateSpec, seen: Mapping[str, float] | None = None) -> Metric | None:
    """The metric marked primary, else the first declared, else the first that a run reported."""
    declared = next((m for m in spec.metrics if m.primary), None) or next(iter(spec.metrics), None)
    if declared or not seen:
        return declared
    name = next(iter(seen))
    return Metric(name=name, path=(name,))
