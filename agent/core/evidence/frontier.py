"""A baseline run at several settings: its metric as a curve over the log of an axis, and the bar at each place."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.evidence.verdict import Bar, t_quantile_975
from agent.core.inputs.spec import Direction

__all__ = ["Curve", "Point", "Sample", "best_bar", "read_curve"]

# Runs of one setting spread about 2 % in the measured L0, because TopK counts only values above zero. A run up to 5 %
# beyond an end point may therefore have the setting of that point. There the curve goes on as its last segment does.
END_SLACK: Final = 0.05
# Settings nearer than this are one point: their order is chance, and so is the slope between them.
NEAR: Final = 0.02
_EXACT: Final = 1e-9  # in log axis: a run nearer than this is at the point itself


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a baseline: its setting, its value on the axis (> 0), its metric."""

    setting: str
    axis: float
    value: float


@dataclass(frozen=True, slots=True)
class Point:
    """One setting over its seeds: `axis` is the mean, `values` the metric of each seed."""

    axis: float
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of its seeds' variance."""
        return len(self.values) - 1

    @property
    def squares(self) -> float:
        """Sum of squared deviations from the mean."""
        return statistics.variance(self.values) * self.freedom if self.freedom else 0.0


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of one baseline by rising axis. Settings whose means on the axis nearly meet are one point."""

    name: str
    points: tuple[Point, ...]

    @property
    def low(self) -> float:
        return self.points[0].axis

    @property
    def high(self) -> float:
        return self.points[-1].axis

    def reaches(self, axis: float) -> bool:
        return self.low * (1 - END_SLACK) <= axis <= self.high * (1 + END_SLACK)

    def bar(self, axis_name: str, axis: float) -> Bar:
        """The expected result of one more run of this baseline at `axis`, which the curve reaches.

        The mean of the two parabolas in log axis through the neighbours and one point more on either side: straight
        lines lie below curves that bend as these do, by up to a seed's spread. In the end segments it is one parabola,
        beyond them and between two points a line. Half width t(sum(n_i - 1)) s sqrt(1 + sum(w_i^2 / n_i)) over the
        points used with their weights w_i, s pooled over them. At a point only its own seeds count. If these show no
        spread, all of the curve's points are pooled. None if no setting was run twice.
        """
        weights = self._weights(axis)
        mean = math.fsum(weight * point.mean for point, weight in weights)
        leverage = 1 + math.fsum(weight**2 / len(point.values) for point, weight in weights)
        near = [point for point, _ in weights]
        half = _half_width(near, leverage)
        if not half:
            half = _half_width(self.points, leverage)
            near = list(self.points)
        runs = sum(len(point.values) for point in near)
        freedom = sum(point.freedom for point in near)
        return Bar(mean, half, runs, f"{self.name} at {axis_name} {axis:.3g}", freedom)

    def _weights(self, axis: float) -> list[tuple[Point, float]]:
        """The points that the value at `axis` is made of, with weights of sum 1. Beyond the ends they leave 0..1."""
        for point in self.points:
            if len(self.points) == 1 or abs(math.log(axis / point.axis)) < _EXACT:
                return [(point, 1.0)]
        last = len(self.points) - 1
        left = next((i for i in range(last) if axis <= self.points[i + 1].axis), last - 1)
        if not self.low < axis < self.high or last == 1:
            return _polynomial(self.points[left : left + 2], axis)
        starts = [start for start in (left - 1, left) if 0 <= start <= last - 2]
        total: dict[Point, float] = {}
        for start in starts:
            for point, weight in _polynomial(self.points[start : start + 3], axis):
                total[point] = total.get(point, 0.0) + weight / len(starts)
        return list(total.items())


def _polynomial(points: Sequence[Point], axis: float) -> list[tuple[Point, float]]:
    """Lagrange weights at `axis` of the polynomial in log axis through the points."""
    at = [math.log(axis / point.axis) for point in points]
    return [
        (point, math.prod(at[j] / (at[j] - at[i]) for j in range(len(at)) if j != i)) for i, point in enumerate(points)
    ]


def _half_width(points: Sequence[Point], leverage: float) -> float | None:
    freedom = sum(point.freedom for point in points)
    if not freedom:
        return None
    variance = math.fsum(point.squares for point in points) / freedom
    return t_quantile_975(freedom) * math.sqrt(variance * leverage)


def read_curve(name: str, samples: Iterable[Sample]) -> Curve | None:
    """The curve through the finite samples on the positive axis. None if there are none."""
    settings: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.axis > 0 and math.isfinite(sample.axis) and math.isfinite(sample.value):
            settings.setdefault(sample.setting, []).append(sample)
    places: list[list[Sample]] = []
    for runs in sorted(settings.values(), key=_mean_axis):
        if places and _mean_axis(runs) <= _mean_axis(places[-1]) * (1 + NEAR):
            places[-1] += runs
        else:
            places.append(runs)
    points = tuple(Point(_mean_axis(runs), tuple(sorted(run.value for run in runs))) for runs in places)
    return Curve(name, points) if points else None


def _mean_axis(runs: Sequence[Sample]) -> float:
    return statistics.fmean(run.axis for run in runs)


def best_bar(curves: Mapping[str, Curve], axis_name: str, axis: float, direction: Direction) -> Bar | None:
    """The bar that is hardest to beat, of the curves that reach `axis`. Of equal ones the first by name."""
    bars = [curves[name].bar(axis_name, axis) for name in sorted(curves) if curves[name].reaches(axis)]
    return (min if direction == "lower" else max)(bars, key=lambda bar: bar.mean, default=None)
