"""Curves over the logarithm of an axis: exact at points, the same in any order, with bands that hold."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.evidence.frontier import END_SLACK, Curve, Sample, best_bar, read_curve
from agent.core.evidence.verdict import t_quantile_975
from tests.examples import examples, scaled


def curve(*points: tuple[float, list[float]], name: str = "topk") -> Curve:
    found = read_curve(name, [Sample(str(axis), axis, value) for axis, values in points for value in values])
    assert found
    return found


THREE = curve((4.0, [0.40, 0.42, 0.44]), (8.0, [0.50, 0.54]), (16.0, [0.55, 0.56, 0.57]))


def test_a_point_is_its_settings_seeds_by_rising_axis() -> None:
    found = read_curve("b", [Sample("9", 9.2, 3.0), Sample("3", 3.1, 1.0), Sample("9", 8.8, 5.0)])
    assert found and [(p.axis, p.values) for p in found.points] == [(3.1, (1.0,)), (9.0, (3.0, 5.0))]


def test_settings_at_the_same_place_are_one_point() -> None:
    found = read_curve("b", [Sample("a", 4.0, 1.0), Sample("b", 4.0, 3.0)])
    assert found and [(p.axis, p.values) for p in found.points] == [(4.0, (1.0, 3.0))]


def test_settings_that_all_but_meet_give_no_slope_of_their_own() -> None:
    values = {4.0: [0.50, 0.51], 8.0: [0.60, 0.61], 16.0: [0.65, 0.66], 16.02: [0.66, 0.67]}
    found = curve(*values.items())
    assert [p.axis for p in found.points] == [4.0, 8.0, pytest.approx(16.01)]
    assert 0.605 < found.bar("l0", 11.0).mean < 0.66 < found.bar("l0", 16.5).mean < 0.68


@pytest.mark.parametrize("axis", [0.0, -1.0, math.nan, math.inf])
def test_what_has_no_logarithm_is_no_point(axis: float) -> None:
    assert read_curve("b", [Sample("", axis, 1.0)]) is None
    assert read_curve("b", [Sample("", 4.0, math.nan)]) is None


def test_at_a_point_the_bar_is_that_of_its_own_seeds() -> None:
    # By hand: mean 0.42, s 0.02, n 3: 4.30265 * 0.02 * sqrt(4/3) = 0.0993655
    bar = THREE.bar("l0", 4.0)
    assert (bar.mean, bar.runs, bar.reference) == (pytest.approx(0.42), 3, "topk at l0 4")
    assert bar.half == pytest.approx(0.0993655, abs=1e-6)


def test_between_two_points_the_bar_is_linear_in_the_logarithm_with_their_pooled_variance() -> None:
    # 4 * sqrt(2) is half way from 4 to 8 in log. Pooled variance (2 * 0.0004 + 0.0008) / 3, df 3:
    # 3.18245 * sqrt(0.0016 / 3) * sqrt(1 + 0.25/3 + 0.25/2) = 0.0807806
    bar = curve((4.0, [0.40, 0.42, 0.44]), (8.0, [0.50, 0.54])).bar("l0", 4 * math.sqrt(2))
    assert bar.mean == pytest.approx(0.47) and bar.runs == 5
    assert bar.half == pytest.approx(3.18245 * math.sqrt(0.0016 / 3 * (1 + 0.25 / 3 + 0.25 / 2)), rel=1e-9)


def test_between_three_points_it_is_a_parabola_with_the_pooled_variance_of_all() -> None:
    # Half way from 4 to 8 Lagrange's weights are 3/8, 3/4, -1/8; sums of squares 0.0008, 0.0008, 0.0002, df 5.
    bar = THREE.bar("l0", 4 * math.sqrt(2))
    assert bar.mean == pytest.approx(0.375 * 0.42 + 0.75 * 0.52 - 0.125 * 0.56) and bar.runs == 8
    leverage = 1 + 0.375**2 / 3 + 0.75**2 / 2 + 0.125**2 / 3
    assert bar.half == pytest.approx(2.57058 * math.sqrt(0.0018 / 5 * leverage), rel=1e-9)


@examples(60)
@given(
    st.lists(st.integers(-7, 46).map(lambda tenth: math.exp(tenth / 10)), min_size=3, max_size=6, unique=True),
    st.tuples(*[st.floats(-10, 10)] * 3),
    st.floats(0, 1),
)
def test_a_metric_that_bends_as_a_parabola_is_met_everywhere(
    axes: list[float], bend: tuple[float, float, float], share: float
) -> None:
    def metric(axis: float) -> float:
        return bend[0] + bend[1] * math.log(axis) + bend[2] * math.log(axis) ** 2

    found = curve(*((axis, [metric(axis)]) for axis in axes))
    axis = math.exp(math.log(found.low) * (1 - share) + math.log(found.high) * share)
    assert found.bar("l0", axis).mean == pytest.approx(metric(axis), abs=1e-6)


def test_a_little_beyond_the_ends_the_last_segment_goes_on() -> None:
    end = 16.0 * (1 + END_SLACK)
    assert THREE.reaches(end) and not THREE.reaches(end * 1.001)
    assert THREE.reaches(4.0 * (1 - END_SLACK)) and not THREE.reaches(4.0 * (1 - END_SLACK) * 0.999)
    share = math.log(end / 8) / math.log(2)
    assert THREE.bar("l0", end).mean == pytest.approx(0.52 + 0.04 * share)


def test_one_point_alone_stands_for_its_whole_reach() -> None:
    single = curve((6.0, [0.4, 0.5]))
    assert single.bar("l0", 6.2).mean == pytest.approx(0.45) and not single.reaches(7.0)


def test_single_seeds_borrow_the_spread_of_the_points_that_have_one() -> None:
    mixed = curve((4.0, [0.4]), (8.0, [0.5]), (16.0, [0.55, 0.57]))
    spread = t_quantile_975(1) * statistics.stdev([0.55, 0.57])
    assert mixed.bar("l0", 4.0).half == pytest.approx(spread * math.sqrt(2))
    assert mixed.bar("l0", 16.0).half == pytest.approx(spread * math.sqrt(1.5))
    assert curve((4.0, [0.4]), (8.0, [0.5])).bar("l0", 5.0).half is None


def test_identical_seeds_borrow_it_too_and_have_a_band_of_no_width_where_all_are_identical() -> None:
    mixed = curve((4.0, [0.4, 0.4]), (8.0, [0.5, 0.6]))
    assert (mixed.bar("l0", 4.0).half or 0) > 0
    assert curve((4.0, [0.4, 0.4]), (8.0, [0.5, 0.5])).bar("l0", 4.0).half == 0


def test_the_bar_is_the_best_of_the_curves_that_reach() -> None:
    other = curve((8.0, [0.6, 0.7]), (16.0, [0.3, 0.4]), name="relu")
    curves = {"topk": THREE, "relu": other}
    for axis, higher, lower in ((4.0, "topk", "topk"), (8.0, "relu", "topk"), (16.0, "topk", "relu")):
        up, down = (best_bar(curves, "l0", axis, direction) for direction in ("higher", "lower"))
        assert up and down and (up.reference.split()[0], down.reference.split()[0]) == (higher, lower)
    assert best_bar(curves, "l0", 20.0, "higher") is None


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    axes = draw(st.lists(st.floats(0.1, 1000), min_size=1, max_size=5, unique=True))
    values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4)
    return [Sample(str(axis), axis, value) for axis in axes for value in draw(values)]


@examples(60)
@given(samples(), st.randoms(use_true_random=False), st.floats(0, 1))
def test_the_order_of_runs_changes_nothing(runs: list[Sample], shuffler: random.Random, share: float) -> None:
    mixed = runs.copy()
    shuffler.shuffle(mixed)
    one, other = read_curve("b", runs), read_curve("b", mixed)
    assert one and other and one == other
    axis = math.exp(math.log(one.low) * (1 - share) + math.log(one.high) * share)
    assert one.bar("l0", axis) == other.bar("l0", axis)


@examples(60)
@given(samples())
def test_the_curve_passes_through_its_points(runs: list[Sample]) -> None:
    found = read_curve("b", runs)
    assert found
    for point in found.points:
        assert found.bar("l0", point.axis).mean == point.mean


def standard_error(trials: int) -> float:
    """Standard deviation of the share of trials that lie in a band of 95 %."""
    return math.sqrt(0.95 * 0.05 / trials)


@pytest.mark.parametrize(
    ("seeds", "share"),
    [
        ((3, 5), 0.2),
        ((2, 2), 0.5),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in (((3, 3), 0.5), ((5, 3), 0.9))),
    ],
)
def test_the_band_holds_ninety_five_of_a_hundred_new_runs(seeds: tuple[int, int], share: float) -> None:
    """Baseline and new run alike are noise about one line in log axis."""
    noise = random.Random(7)
    axis, inside, trials = 4 * 2**share, 0, scaled(2400)
    for _ in range(trials):
        left, right = (
            [mean + noise.gauss(0, 0.02) for _ in range(n)] for mean, n in zip((0.4, 0.6), seeds, strict=True)
        )
        bar = curve((4.0, left), (8.0, right)).bar("l0", axis)
        assert bar.half is not None
        inside += abs(0.4 + 0.2 * share + noise.gauss(0, 0.02) - bar.mean) <= bar.half
    assert inside / trials == pytest.approx(0.95, abs=4 * standard_error(trials))


def test_the_band_holds_where_parabolas_meet() -> None:
    noise = random.Random(11)
    means, axis, inside, trials = (0.3, 0.5, 0.6, 0.55), 8 * 2**0.4, 0, scaled(2400)
    truth = curve(*((4.0 * 2**n, [mean]) for n, mean in enumerate(means))).bar("l0", axis).mean
    for _ in range(trials):
        seeds = [(4.0 * 2**n, [mean + noise.gauss(0, 0.02) for _ in range(3)]) for n, mean in enumerate(means)]
        bar = curve(*seeds).bar("l0", axis)
        assert bar.half is not None
        inside += abs(truth + noise.gauss(0, 0.02) - bar.mean) <= bar.half
    assert inside / trials == pytest.approx(0.95, abs=4 * standard_error(trials))
