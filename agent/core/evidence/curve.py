"""Learning curves in a few short lines: their course, whether they settled, and faults on the way.

The experiment writes the file, one {"step", "name", "value"} a line. Any other line is skipped.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

__all__ = ["MAX_BYTES", "LearningCurve", "describe_curve", "read_curves", "summarise_curves"]

MAX_BYTES = 16 << 20
MAX_CURVES = 6
_MOST_LINES = 200_000
_NAME_CHARS = 40
_TAIL = 0.2  # share of the points at the end whose slope is judged
_LEAST = 8  # points below which no slope is judged
_FIRM = 3.0  # slope over its standard error from which a curve still moves
_MOVES = 0.005  # share of the curve's range that it must move over the tail to count
_SPIKE = 8.0  # distance from the median of its neighbours, in robust deviations
_AROUND = 3


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """One quantity over the steps at which it is a finite number."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    # How many values were no finite number, and the step of the first of them.
    nans: int = 0
    first_nan: float | None = None


def summarise_curves(text: str, first: Sequence[str] = ()) -> tuple[str, ...]:
    """One line a curve, at most MAX_CURVES.

    Losses and the names in `first` come first. Constant curves share one line.
    """
    curves = read_curves(text)
    lowered = [name.lower() for name in first]

    def rank(curve: LearningCurve) -> tuple[bool, int]:
        flat = not curve.nans and len(set(curve.values)) <= 1
        name = curve.name.lower()
        named = lowered.index(name) if name in lowered else len(lowered)
        return flat, -1 if name == "loss" else named if named < len(lowered) else len(lowered) + ("loss" not in name)

    chosen = sorted(curves.values(), key=rank)
    still = [curve for curve in chosen if rank(curve)[0]]
    moving = chosen[: len(chosen) - len(still)]
    lines = [describe_curve(curve) for curve in moving[: MAX_CURVES - bool(still)]]
    if still:
        named = ", ".join(f"{curve.name} {curve.values[0]:.4g}" for curve in still[:MAX_CURVES])
        lines.append(f"constant: {named}" + (f" and {len(still) - MAX_CURVES} more" if len(still) > MAX_CURVES else ""))
    more = len(moving) - (MAX_CURVES - bool(still))
    return (*lines, f"(and {more} more)") if more > 0 else tuple(lines)


def read_curves(text: str) -> dict[str, LearningCurve]:
    """Curves by name, in the file's order. A line that does not parse is skipped, such as one that was cut short."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in islice(filter(str.strip, text.split("\n")), _MOST_LINES):
        point = _read_point(line)
        if point is not None:
            name, step, value = point
            found.setdefault(name, []).append((step, value))
    return {name: _make(name, rows) for name, rows in found.items()}


def _read_point(line: str) -> tuple[str, float, float] | None:
    if not line.rstrip().endswith("}"):  # most lines that are no points are words, or cut short
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, Mapping):
        return None
    step, name, value = row.get("step"), row.get("name"), row.get("value")
    if not isinstance(name, str) or _as_number(step) is None or "value" not in row:
        return None
    clean = "".join(c if c.isprintable() else " " for c in name[:_NAME_CHARS]).strip()
    number = _as_number(value)
    return (clean or "?", _as_number(step) or 0.0, math.nan if number is None else number)


def _as_number(value: object) -> float | None:
    """The value if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _make(name: str, rows: Collection[tuple[float, float]]) -> LearningCurve:
    good = [(step, value) for step, value in rows if math.isfinite(value)]
    bad = [step for step, value in rows if not math.isfinite(value)]
    return LearningCurve(name, tuple(s for s, _ in good), tuple(v for _, v in good), len(bad), bad[0] if bad else None)


def describe_curve(curve: LearningCurve) -> str:
    """The curve in one line: first, at 10, 50 and 90 %, last, then its minimum, its end, missing values and spikes."""
    values, steps = curve.values, curve.steps
    nan = f"{curve.nans} value{'s' if curve.nans > 1 else ''} NaN or infinite, first at step {curve.first_nan or 0:g}"
    if not values:
        return f"{curve.name}: {nan}"
    if len(set(values)) == 1:
        said = [f"{values[0]:.4g} throughout ({len(values)} point{'s' if len(values) > 1 else ''})"]
    else:
        marks = " ".join(f"{values[int(share * (len(values) - 1))]:.3g}" for share in (0.1, 0.5, 0.9))
        low = min(range(len(values)), key=values.__getitem__)
        said = [f"{values[0]:.3g} | {marks} | {values[-1]:.3g} at step {steps[-1]:g}"]
        if 0 < low < len(values) - 1:
            said.append(f"min {values[low]:.3g} at {steps[low]:g}")
        said.append(_say_end(steps, values))
        at = _spikes(values)
        if at:
            said.append(f"{len(at)} spike{'s' if len(at) > 1 else ''}, first at step {steps[at[0]]:g}")
    return f"{curve.name}: " + "; ".join([*said, *([nan] if curve.nans else [])])


def _say_end(steps: Sequence[float], values: Sequence[float]) -> str:
    """The course of the last fifth (falls, rises or flat), by its slope against the scatter about it."""
    count = max(_LEAST // 2, round(_TAIL * len(values)))
    if len(values) < _LEAST:
        return f"too short to judge its end ({len(values)} points)"
    x, y = [float(i) for i in range(count)], list(values[-count:])
    scale = max(abs(v) for v in values) or 1.0  # sums of squares of huge values would overflow
    y = [v / scale for v in y]
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    residual = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    error = math.sqrt(residual / (count - 2) / spread)
    whole = (max(values) / scale) - (min(values) / scale)
    if abs(slope) <= _FIRM * error or abs(slope) * (count - 1) < _MOVES * whole:
        return "flat at the end"
    return "still falling at the end" if slope < 0 else "still rising at the end"


def _spikes(values: Sequence[float]) -> list[int]:
    """Indices of points far from the median of their neighbours, without the steep beginning."""
    start = max(_AROUND, len(values) // 10)
    if len(values) < 3 * _LEAST:
        return []
    scale = max(abs(v) for v in values) or 1.0
    scaled = [v / scale for v in values]
    away = []
    for i in range(start, len(scaled) - 1):
        near = scaled[max(0, i - _AROUND) : i] + scaled[i + 1 : i + 1 + _AROUND]
        away.append((i, abs(scaled[i] - statistics.median(near))))
    typical = 1.4826 * statistics.median(distance for _, distance in away)
    floor = 0.02 * (max(scaled[start:]) - min(scaled[start:]))
    far = [i for i, distance in away if distance > max(_SPIKE * typical, floor)]
    return [i for n, i in enumerate(far) if n == 0 or far[n - 1] < i - 1]
