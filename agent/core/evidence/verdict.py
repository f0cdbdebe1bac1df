"""Whether one run differs from the baseline by more than the seeds of the baseline differ among themselves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from agent.core.inputs.spec import Metric

__all__ = [
    "COMPARED",
    "Bar",
    "ControlReading",
    "Verdict",
    "VerdictKind",
    "differing_controls",
    "is_rounding",
    "judge",
    "judge_against",
    "judge_best",
    "say_luck",
    "t_quantile_975",
    "t_upper_tail",
]


class VerdictKind(Enum):
    """The verdicts on one metric of a run."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference"
    NOT_COMPARABLE = "not comparable"
    NO_VERDICT = "no verdict"


COMPARED: Final = (VerdictKind.BETTER, VerdictKind.WORSE, VerdictKind.NO_DIFFERENCE)


@dataclass(frozen=True, slots=True)
class ControlReading:
    """A number that must be the same in run and baseline, within `tolerance` (relative). None: not reported."""

    name: str
    value: float | None
    baseline: float | None
    tolerance: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one metric, with the baseline's numbers in the metric's own unit."""

    # The outcome of the comparison, or the lack of one.
    kind: VerdictKind
    # The value that the run is compared with; None if there is none, or a value is not finite.
    baseline_mean: float | None
    # Lower end of the 95 % prediction interval of one more baseline run; None if no seeds show a spread.
    low: float | None
    # Upper end of that interval; None if no seeds show a spread.
    high: float | None
    # The numbers compared, or why they are not, in one line.
    reason: str
    # The baseline that set the mean, and its place on the frontier; empty if there is but one.
    reference: str = ""
    # Degrees of freedom of the interval; 0 if there is none.
    freedom: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """Expectation of one more baseline run: `mean` ± `half` with probability 0.95, if the values are normal.

    half: None if no setting was run twice. runs: how many runs it is computed from. freedom: degrees of freedom of
    `half`.
    """

    mean: float
    half: float | None
    runs: int
    reference: str = ""
    freedom: int = 0


# Student's t, upper 2.5 % point for 1..30 degrees of freedom.
# Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, to five decimals (tests compute them).
_T_975: Final = (
    12.70620, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.30600, 2.26216, 2.22814,
    2.20099, 2.17881, 2.16037, 2.14479, 2.13145, 2.11991, 2.10982, 2.10092, 2.09302, 2.08596,
    2.07961, 2.07387, 2.06866, 2.06390, 2.05954, 2.05553, 2.05183, 2.04841, 2.04523, 2.04227,
)  # fmt: skip
_Z_975: Final = 1.959963985
_TAIL: Final = 0.025  # share of runs that change nothing and lie above the band, or below it
_SPREAD_FLOOR: Final = 1e-6  # half width relative to the mean: below it the spread is rounding, not seeds
_ROUNDING: Final = 1e-9  # difference relative to the numbers: sums in another order differ by less


def judge(
    metric: Metric,
    value: float,
    baseline: Sequence[float],
    controls: Sequence[ControlReading],
    *,
    deterministic: bool = False,
) -> Verdict:
    """Compare one run's `value` with the baseline's runs, one value a seed.

    The interval of one more run is mean ± t(n-1) s sqrt(1 + 1/n). Runs compare only if every control agrees.
    """
    if not baseline:
        return Verdict(VerdictKind.NO_VERDICT, None, None, None, "there is no baseline to compare with")
    if not all(math.isfinite(number) for number in (value, *baseline)):
        return Verdict(VerdictKind.NO_VERDICT, None, None, None, f"{metric.name} is not finite everywhere")
    n = len(baseline)
    half = t_quantile_975(n - 1) * statistics.stdev(baseline) * math.sqrt(1 + 1 / n) if n > 1 else None
    bar = Bar(statistics.fmean(baseline), half, n, freedom=n - 1)
    return judge_against(metric, value, bar, controls, deterministic=deterministic)


def judge_against(
    metric: Metric, value: float, bar: Bar, controls: Sequence[ControlReading], *, deterministic: bool = False
) -> Verdict:
    """Compare one run's finite `value` with the bar.

    A difference is none if it is smaller than the metric's resolution, or inside the band of the seeds. Baseline runs
    that are identical give no band and no verdict. deterministic: the program draws nothing at random, so that
    identical runs are expected, and the comparison is exact or by the resolution.
    """
    kind, reason = _refuse(metric, controls) or (_decide_exact if deterministic else _decide)(metric, value, bar)
    low, high = (None, None) if bar.half is None else (bar.mean - bar.half, bar.mean + bar.half)
    return Verdict(kind, bar.mean, low, high, reason, bar.reference, bar.freedom)


def _refuse(metric: Metric, controls: Sequence[ControlReading]) -> tuple[VerdictKind, str] | None:
    if metric.direction == "unknown":
        return VerdictKind.NO_VERDICT, f"the template does not say whether a higher {metric.name} is better"
    if differing := differing_controls(controls):
        return VerdictKind.NOT_COMPARABLE, differing
    return None


def is_rounding(mean: float, half: float) -> bool:
    """Whether a band of that half width is as narrow as rounding makes it, so that seeds did not make it."""
    return half <= _SPREAD_FLOOR * abs(mean)


def _decide_exact(metric: Metric, value: float, bar: Bar) -> tuple[VerdictKind, str]:
    """The verdict on a program that is declared to be deterministic."""
    if bar.half is not None and not is_rounding(bar.mean, bar.half):
        reason = "template.toml says deterministic = true, but the baseline's runs differ"
        return VerdictKind.NO_VERDICT, reason
    difference = value - bar.mean
    slack = max(metric.resolution, bar.half or 0.0, _ROUNDING * max(abs(value), abs(bar.mean)))
    if abs(difference) < slack or difference == 0:
        relation = f"less than {slack:.3g} apart" if difference else "the same number"
        return VerdictKind.NO_DIFFERENCE, _compare(metric, value, bar, f"{relation}, in a deterministic program")
    return _side(metric, difference), _compare(metric, value, bar, "apart, in a deterministic program")


def _side(metric: Metric, difference: float) -> VerdictKind:
    return VerdictKind.BETTER if (difference > 0) == (metric.direction == "higher") else VerdictKind.WORSE


def _decide(metric: Metric, value: float, bar: Bar) -> tuple[VerdictKind, str]:
    if bar.half is None:
        if bar.reference:
            return VerdictKind.NO_VERDICT, f"{bar.reference}: no setting was run with two seeds, so there is no band"
        return VerdictKind.NO_VERDICT, "one baseline run has no seed band"
    low, high = bar.mean - bar.half, bar.mean + bar.half
    if is_rounding(bar.mean, bar.half) and not low < value < high:
        return VerdictKind.NO_VERDICT, _say_no_band(bar)
    difference = value - bar.mean
    if abs(difference) < metric.resolution or difference == 0:
        return VerdictKind.NO_DIFFERENCE, _compare(metric, value, bar, f"less than {metric.resolution:g} apart")
    if low <= value <= high:
        return VerdictKind.NO_DIFFERENCE, _compare(metric, value, bar, f"inside the seed band {low:.4g} to {high:.4g}")
    relation = f"outside the seed band {low:.4g} to {high:.4g} of {bar.runs} runs"
    return _side(metric, difference), _compare(metric, value, bar, relation)


def _say_no_band(bar: Bar) -> str:
    """Why seeds that give one number judge nothing, and the way on."""
    of = f" of {bar.reference}" if bar.reference else ""
    said = f"the baseline's seeds gave one number ({bar.mean:.6g} in {bar.runs} runs{of})"
    return f"{said}, so there is no band; see: scientist template check"


def _compare(metric: Metric, value: float, bar: Bar, relation: str) -> str:
    reference = f" of {bar.reference}" if bar.reference else ""
    return f"{metric.name} {value:.4g} against {bar.mean:.4g}{reference}: {relation}"


def differing_controls(controls: Sequence[ControlReading]) -> str:
    """The controls that do not agree, each with both readings. Empty if all agree."""
    return "; ".join(_describe(control) for control in controls if not _agrees(control))


def _agrees(control: ControlReading) -> bool:
    here, there = control.value, control.baseline
    if here is None or there is None or not (math.isfinite(here) and math.isfinite(there)):
        return False
    slack = (control.tolerance + 1e-12) * abs(there)
    return abs(here - there) <= slack


def _describe(control: ControlReading) -> str:
    return f"{control.name} {_say(control.value)} here, {_say(control.baseline)} in the baseline"


def _say(number: float | None) -> str:
    if number is None:
        return "not reported"
    if not math.isfinite(number) or 0.001 <= abs(number) < 100_000 or number == 0:
        return f"{number:.6g}"
    mantissa, exponent = f"{number:.6e}".split("e")
    digits = mantissa.rstrip("0")
    return f"{digits}{'0' if digits.endswith('.') else ''}e{int(exponent)}"


def t_quantile_975(df: int) -> float:
    """Upper 2.5 % point of Student's t with `df` >= 1 degrees of freedom, within 2e-5.

    Source: table to 30. Above it, Abramowitz and Stegun 26.7.5 (expansion in 1/df about the normal quantile).
    """
    if df < 1:
        raise ValueError(f"degrees of freedom must be at least 1, not {df}")
    if df <= len(_T_975):
        return _T_975[df - 1]
    z = _Z_975
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + g1 / df + g2 / df**2 + g3 / df**3


def t_upper_tail(t: float, df: int) -> float:
    """Probability that Student's t with `df` >= 1 degrees of freedom exceeds `t` >= 0.

    Source: Abramowitz and Stegun 26.7.3 and 26.7.4, finite sums for whole degrees of freedom.
    """
    angle = math.atan2(t, math.sqrt(df))
    cosine, total, term = math.cos(angle), 0.0, 1.0
    if df % 2:
        term = cosine
        for k in range(1, df - 1, 2):
            total += term
            term *= cosine**2 * (k + 1) / (k + 2)
        return max(0.0, 0.5 - (angle + math.sin(angle) * total) / math.pi)
    for k in range(0, df - 1, 2):
        total += term
        term *= cosine**2 * (k + 1) / (k + 2)
    return max(0.0, 0.5 - math.sin(angle) * total / 2)


def judge_best(verdict: Verdict, value: float, runs: int) -> Verdict:
    """The verdict on a run that was chosen as the best of several that were compared.

    The best of many runs that change nothing lies outside the band of one run by luck. It counts as better if the best
    of `runs` such runs lies as far off in at most 2.5 of 100 studies, as one run does outside the band of one.
    """
    if verdict.kind is not VerdictKind.BETTER or verdict.baseline_mean is None or verdict.high is None or runs < 2:
        return verdict
    half = verdict.high - verdict.baseline_mean
    if not verdict.freedom or not half > 0:
        return verdict
    distance = abs(value - verdict.baseline_mean) / half * t_quantile_975(verdict.freedom)
    share = 1 - (1 - t_upper_tail(distance, verdict.freedom)) ** runs
    if share <= _TAIL:
        return verdict
    luck = f"as the best of {runs} runs it may be luck: {share:.0%} of studies that change nothing have one so far off"
    return replace(verdict, kind=VerdictKind.NO_DIFFERENCE, reason=f"{verdict.reason}; {luck}")


def say_luck(kinds: Sequence[VerdictKind]) -> str:
    """How often luck alone calls one of so many runs better. Empty if none is, or one alone was compared."""
    compared = [kind for kind in kinds if kind in COMPARED]
    if len(compared) < 2 or VerdictKind.BETTER not in compared:
        return ""
    share = 1 - (1 - _TAIL) ** len(compared)
    what = f"{len(compared)} runs were compared, each by itself"
    return f"{what}: if nothing helps, one of so many is called better in {share:.0%} of studies; a new seed tells"
