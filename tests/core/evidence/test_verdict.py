"""Verdicts against seed bands, and the quantiles that they rest on."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.evidence.verdict import (
    ControlReading,
    VerdictKind,
    judge,
    judge_best,
    say_luck,
    t_quantile_975,
)
from agent.core.evidence.verdict import t_upper_tail as tail_of_t
from agent.core.inputs.spec import Direction, Metric
from tests.examples import examples


def metric(direction: Direction = "higher", resolution: float = 0.0) -> Metric:
    return Metric(name="f1", path=("f1",), direction=direction, resolution=resolution)


def t_upper_tail(t: float, df: int) -> float:
    """P(T > t) by the finite sums of Abramowitz and Stegun 26.7.3 and 26.7.4."""
    theta = math.atan2(t, math.sqrt(df))
    cos2 = math.cos(theta) ** 2
    if df % 2:
        term, total = math.cos(theta), 0.0
        for k in range(1, (df - 1) // 2 + 1):
            total += term
            term *= cos2 * (2 * k) / (2 * k + 1)
        inside = 2 / math.pi * (theta + (math.sin(theta) * total if df > 1 else 0.0))
    else:
        term, total = 1.0, 0.0
        for k in range(1, df // 2 + 1):
            total += term
            term *= cos2 * (2 * k - 1) / (2 * k)
        inside = math.sin(theta) * total
    return (1 - inside) / 2


@pytest.mark.parametrize("df", [*range(1, 61), 100, 500])
def test_quantiles_leave_two_and_a_half_percent_above(df: int) -> None:
    assert t_upper_tail(t_quantile_975(df), df) == pytest.approx(0.025, abs=2e-6)


@pytest.mark.parametrize(
    ("df", "known"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (60, 2.000), (120, 1.980)]
)
def test_quantiles_against_printed_tables(df: int, known: float) -> None:
    assert t_quantile_975(df) == pytest.approx(known, abs=6e-4)


def test_quantile_needs_a_degree_of_freedom() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        t_quantile_975(0)


def test_interval_is_the_one_for_a_single_new_run() -> None:
    # By hand: mean 0.5, s 0.01, n 3: 4.30265 * 0.01 * sqrt(4/3) = 0.0496827
    verdict = judge(metric(), 0.56, [0.49, 0.50, 0.51], [])
    assert verdict.baseline_mean == pytest.approx(0.5)
    assert verdict.low == pytest.approx(0.4503173, abs=1e-6)
    assert verdict.high == pytest.approx(0.5496827, abs=1e-6)
    assert verdict.kind is VerdictKind.BETTER
    assert "0.56 against 0.5" in verdict.reason


@pytest.mark.parametrize(
    ("direction", "value", "kind"),
    [
        ("higher", 0.60, VerdictKind.BETTER),
        ("higher", 0.40, VerdictKind.WORSE),
        ("lower", 0.40, VerdictKind.BETTER),
        ("lower", 0.60, VerdictKind.WORSE),
        ("higher", 0.53, VerdictKind.NO_DIFFERENCE),
        ("lower", 0.47, VerdictKind.NO_DIFFERENCE),
        ("unknown", 0.60, VerdictKind.NO_VERDICT),
    ],
)
def test_direction_decides(direction: Direction, value: float, kind: VerdictKind) -> None:
    assert judge(metric(direction), value, [0.49, 0.50, 0.51], []).kind is kind


def test_unknown_direction_still_shows_the_band() -> None:
    verdict = judge(metric("unknown"), 0.6, [0.49, 0.50, 0.51], [])
    assert verdict.low is not None and verdict.high is not None and "higher f1" in verdict.reason


def test_no_baseline_and_one_baseline_run_give_no_verdict() -> None:
    none = judge(metric(), 0.6, [], [])
    assert (none.kind, none.baseline_mean, none.low, none.high) == (VerdictKind.NO_VERDICT, None, None, None)
    one = judge(metric(), 0.6, [0.5], [])
    assert (one.kind, one.baseline_mean, one.low, one.high) == (VerdictKind.NO_VERDICT, 0.5, None, None)
    assert "one baseline run has no seed band" in one.reason


def test_a_difference_below_the_resolution_is_none_however_tight_the_seeds() -> None:
    seeds = [0.5, 0.500001, 0.499999]
    assert judge(metric(resolution=0.01), 0.509, seeds, []).kind is VerdictKind.NO_DIFFERENCE
    assert judge(metric(resolution=0.01), 0.511, seeds, []).kind is VerdictKind.BETTER


@pytest.mark.parametrize("resolution", [0.0, 0.01])
@pytest.mark.parametrize("value", [0.5, 0.5001, 0.6, 0.1])
@pytest.mark.parametrize("runs", [[0.5, 0.5], [0.5] * 5, [0.5, 0.5 + 1e-9, 0.5 - 1e-9], [0.44710723, 0.44710724] * 2])
def test_seeds_that_give_one_number_are_no_seeds(runs: list[float], value: float, resolution: float) -> None:
    """Rounding on a busy machine makes no band either."""
    verdict = judge(metric(resolution=resolution), value, runs, [])
    inside = verdict.low is not None and verdict.high is not None and verdict.low < value < verdict.high
    assert verdict.kind is (VerdictKind.NO_DIFFERENCE if inside else VerdictKind.NO_VERDICT)
    assert inside or "the baseline's seeds gave one number" in verdict.reason


@pytest.mark.parametrize("runs", [[2.5], [2.5, 2.5, 2.5]])
@pytest.mark.parametrize(
    ("value", "resolution", "kind"),
    [
        (2.5, 0.0, VerdictKind.NO_DIFFERENCE),
        (2.5000001, 0.0, VerdictKind.BETTER),
        (2.4999999, 0.0, VerdictKind.WORSE),
        (2.505, 0.01, VerdictKind.NO_DIFFERENCE),
        (2.52, 0.01, VerdictKind.BETTER),
    ],
)
def test_a_deterministic_program_is_compared_exactly_or_by_the_resolution(
    runs: list[float], value: float, resolution: float, kind: VerdictKind
) -> None:
    verdict = judge(metric(resolution=resolution), value, runs, [], deterministic=True)
    assert verdict.kind is kind and "deterministic program" in verdict.reason


def test_a_deterministic_program_whose_baselines_differ_is_none() -> None:
    verdict = judge(metric(), 0.9, [0.4, 0.5], [], deterministic=True)
    assert verdict.kind is VerdictKind.NO_VERDICT and "the baseline's runs differ" in verdict.reason
    assert judge(metric("unknown"), 0.9, [0.4], [], deterministic=True).kind is VerdictKind.NO_VERDICT
    assert judge(metric(), math.nan, [0.4], [], deterministic=True).kind is VerdictKind.NO_VERDICT


def test_a_control_that_differs_makes_runs_incomparable_and_is_named() -> None:
    controls = [
        ControlReading("tokens", 1.0e6, 5.0e6, 0.01),
        ControlReading("k", 40, 320, 0.0),
        ControlReading("d_sae", 2304, 2304, 0.0),
    ]
    verdict = judge(metric(), 0.9, [0.49, 0.50, 0.51], controls)
    assert verdict.kind is VerdictKind.NOT_COMPARABLE
    assert verdict.reason == "tokens 1.0e6 here, 5.0e6 in the baseline; k 40 here, 320 in the baseline"
    assert verdict.low is not None


@pytest.mark.parametrize(
    ("value", "baseline", "tolerance", "agrees"),
    [
        (100.0, 100.0, 0.0, True),
        (101.0, 100.0, 0.01, True),
        (99.0, 100.0, 0.01, True),
        (101.1, 100.0, 0.01, False),
        (-101.0, -100.0, 0.01, True),
        (0.1 + 0.2, 0.3, 0.0, True),
        (0.0, 0.0, 0.0, True),
        (1e-30, 0.0, 0.5, False),
        (None, 1.0, 0.5, False),
        (1.0, None, 0.5, False),
        (math.nan, 1.0, 0.5, False),
        (math.inf, math.inf, 0.5, False),
    ],
)
def test_tolerance_is_relative(value: float | None, baseline: float | None, tolerance: float, agrees: bool) -> None:
    verdict = judge(metric(), 0.6, [0.49, 0.5, 0.51], [ControlReading("steps", value, baseline, tolerance)])
    assert (verdict.kind is VerdictKind.BETTER) is agrees
    if not agrees:
        assert verdict.kind is VerdictKind.NOT_COMPARABLE and "steps" in verdict.reason


def test_a_missing_control_is_said_to_be_missing() -> None:
    verdict = judge(metric(), 0.6, [0.49, 0.5], [ControlReading("tokens", None, 5e6, 0.0)])
    assert verdict.reason == "tokens not reported here, 5.0e6 in the baseline"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_has_no_verdict(bad: float) -> None:
    assert judge(metric(), bad, [0.4, 0.5], []).kind is VerdictKind.NO_VERDICT
    assert judge(metric(), 0.5, [0.4, bad], []).kind is VerdictKind.NO_VERDICT


@examples(50)
@given(
    st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=8),
    st.floats(-1e100, 1e100),
    st.floats(0, 10),
)
def test_mirror_image_and_order_of_seeds(seeds: list[float], value: float, resolution: float) -> None:
    up = judge(metric("higher", resolution), value, seeds, [])
    down = judge(metric("lower", resolution), value, seeds, [])
    swapped = {VerdictKind.BETTER: VerdictKind.WORSE, VerdictKind.WORSE: VerdictKind.BETTER}
    assert down.kind is swapped.get(up.kind, up.kind)
    assert judge(metric("higher", resolution), value, seeds[::-1], []).kind is up.kind
    assert up.low is not None and up.high is not None and up.baseline_mean == statistics.fmean(seeds)
    assert up.low <= up.baseline_mean <= up.high
    if up.low < value < up.high:
        assert up.kind is VerdictKind.NO_DIFFERENCE


@pytest.mark.parametrize("df", [1, 2, 3, 4, 9, 10, 31, 60])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 12.0])
def test_the_tail_of_t_is_that_of_the_printed_sums(df: int, t: float) -> None:
    assert tail_of_t(t, df) == pytest.approx(t_upper_tail(t, df), abs=1e-12)


@pytest.mark.parametrize("value", [0.1 + 0.2, 0.3 * (1 + 1e-12), 0.3 * (1 - 5e-10)])
def test_sums_in_another_order_are_no_difference_in_a_deterministic_program(value: float) -> None:
    assert judge(metric(), value, [0.3], [], deterministic=True).kind is VerdictKind.NO_DIFFERENCE
    assert judge(metric(), -value, [-0.3, -0.3], [], deterministic=True).kind is VerdictKind.NO_DIFFERENCE


def test_the_best_of_many_runs_is_not_better_for_being_chosen() -> None:
    seeds = [0.48, 0.49, 0.50, 0.51, 0.52]
    lucky, clear = judge(metric(), 0.551, seeds, []), judge(metric(), 0.64, seeds, [])
    assert lucky.kind is clear.kind is VerdictKind.BETTER
    assert judge_best(lucky, 0.551, 1) == lucky
    best = judge_best(lucky, 0.551, 10)
    assert best.kind is VerdictKind.NO_DIFFERENCE and "as the best of 10 runs it may be luck: 19%" in best.reason
    assert judge_best(clear, 0.64, 10).kind is VerdictKind.BETTER
    worse = judge(metric("lower"), 0.551, seeds, [])
    assert judge_best(worse, 0.551, 10) == worse
    exact = judge(metric(), 0.551, [0.5], [], deterministic=True)
    assert judge_best(exact, 0.551, 10) == exact


def test_the_best_of_ten_runs_of_the_baseline_itself_is_seldom_better() -> None:
    chance = random.Random(5)
    each, best = 0, 0
    for _ in range(1000):
        seeds = [chance.gauss(0.5, 0.01) for _ in range(5)]
        value = max(chance.gauss(0.5, 0.01) for _ in range(10))
        verdict = judge(metric(), value, seeds, [])
        each += verdict.kind is VerdictKind.BETTER
        best += judge_best(verdict, value, 10).kind is VerdictKind.BETTER
    assert each > 100 and best < 35


def test_luck_is_told_if_one_of_several_runs_is_better() -> None:
    better, none, unjudged = VerdictKind.BETTER, VerdictKind.NO_DIFFERENCE, VerdictKind.NO_VERDICT
    assert say_luck([none, none]) == say_luck([better]) == say_luck([better, unjudged]) == ""
    assert say_luck([better, none, VerdictKind.WORSE, none]).startswith("4 runs were compared, each by itself: ")
    assert "in 10% of studies" in say_luck([better, none, VerdictKind.WORSE, none])
