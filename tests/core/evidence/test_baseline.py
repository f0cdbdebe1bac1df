"""Baselines over their seeds, and a run's standing against them."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.evidence.baseline import (
    Baseline,
    BaselineRow,
    in_declared_order,
    judge_run,
    leading_rows,
    primary_metric,
    reach_of,
    summarise,
    verdict_of,
)
from agent.core.evidence.verdict import Verdict, VerdictKind
from agent.core.inputs.spec import BaselineVariant, Control, Direction, Evaluation, Metric, TemplateSpec
from agent.core.journal.kinds import Measured
from tests.examples import examples

F1 = Metric(name="f1", path=("f1",), direction="higher", resolution=0.001)
LOSS = Metric(name="loss", path=("loss",), direction="lower", primary=True)
TOKENS = Control(name="tokens", path=("tokens",))
SPEC = TemplateSpec(name="t", metrics=(F1, LOSS), controls=(TOKENS,))


def seeds(*scores: float, name: str = "topk", tokens: float | None = 1000.0) -> list[Baseline]:
    shared = {} if tokens is None else {"tokens": tokens}
    return [Baseline(name, seed, {"f1": score, **shared}) for seed, score in enumerate(scores)]


FIVE = seeds(0.48, 0.49, 0.50, 0.51, 0.52)


def test_a_baseline_is_summarised_by_mean_and_deviation_over_its_seeds() -> None:
    (row,) = summarise(seeds(0.4, 0.5, 0.6))
    assert (row.name, row.seeds) == ("topk", 3)
    assert row.means["f1"] == pytest.approx(0.5) and row.deviations["f1"] == pytest.approx(0.1)


def test_a_single_seed_has_no_deviation() -> None:
    (row,) = summarise(seeds(0.4))
    assert row.means == {"f1": 0.4, "tokens": 1000.0} and row.deviations == {"f1": None, "tokens": None}


def test_each_baseline_has_a_row_in_order_of_appearance() -> None:
    mixed = [*seeds(0.5, name="topk"), *seeds(0.3, name="relu"), *seeds(0.7, name="topk")]
    assert [(row.name, row.seeds) for row in summarise(mixed)] == [("topk", 2), ("relu", 1)]
    assert summarise([]) == ()


def test_a_number_that_some_seed_lacks_is_left_out() -> None:
    (row,) = summarise([Baseline("b", 0, {"f1": 1.0, "extra": 2.0}), Baseline("b", 1, {"f1": 3.0})])
    assert row.means == {"f1": 2.0}


def test_a_run_is_judged_against_the_first_baseline_alone() -> None:
    others = seeds(0.9, 0.9, 0.9, name="better")
    verdict = judge_run(SPEC, F1, {"f1": 0.7, "tokens": 1000.0}, [*FIVE, *others])
    assert verdict and verdict.kind is VerdictKind.BETTER and verdict.baseline_mean == pytest.approx(0.5)


def test_without_an_axis_other_settings_of_the_baseline_do_not_widen_the_seed_band() -> None:
    worse = [replace(b, setting="0.1") for b in seeds(0.1, 0.2, 0.3)]
    verdict = judge_run(SPEC, F1, {"f1": 0.7, "tokens": 1000.0}, [*FIVE, *worse])
    assert verdict == judge_run(SPEC, F1, {"f1": 0.7, "tokens": 1000.0}, FIVE)


def test_a_run_without_the_metric_has_no_verdict() -> None:
    assert judge_run(SPEC, F1, {"loss": 0.1}, FIVE) is None


def test_a_run_whose_control_differs_is_not_comparable() -> None:
    verdict = judge_run(SPEC, F1, {"f1": 0.7, "tokens": 2000.0}, FIVE)
    assert verdict and verdict.kind is VerdictKind.NOT_COMPARABLE and "tokens 2000 here" in verdict.reason


def test_a_run_that_does_not_report_a_control_is_not_comparable() -> None:
    verdict = judge_run(SPEC, F1, {"f1": 0.7}, FIVE)
    assert verdict and verdict.kind is VerdictKind.NOT_COMPARABLE and "tokens not reported here" in verdict.reason


def test_a_control_within_its_tolerance_is_comparable() -> None:
    spec = SPEC.model_copy(update={"controls": (TOKENS.model_copy(update={"tolerance": 0.1}),)})
    verdict = judge_run(spec, F1, {"f1": 0.7, "tokens": 1090.0}, FIVE)
    assert verdict and verdict.kind is VerdictKind.BETTER
    verdict = judge_run(spec, F1, {"f1": 0.7, "tokens": 1110.0}, FIVE)
    assert verdict and verdict.kind is VerdictKind.NOT_COMPARABLE


def test_a_control_that_no_baseline_reports_is_not_asked_of_a_run() -> None:
    verdict = judge_run(SPEC, F1, {"f1": 0.7}, seeds(0.48, 0.5, 0.52, tokens=None))
    assert verdict and verdict.kind is VerdictKind.BETTER


def test_the_primary_metric_is_the_marked_one_else_the_first() -> None:
    assert primary_metric(SPEC) == LOSS
    assert primary_metric(TemplateSpec(name="t", metrics=(F1,)), {"loss": 1.0}) == F1


def test_where_none_is_declared_the_first_number_reported_stands_for_it_without_a_direction() -> None:
    bare = TemplateSpec(name="t")
    found = primary_metric(bare, {"accuracy": 0.9, "loss": 0.1})
    assert found and (found.name, found.direction) == ("accuracy", "unknown")
    assert primary_metric(bare) is None and primary_metric(bare, {}) is None


# Along a frontier

L0 = Metric(name="l0", path=("l0",))
SPREAD = (-0.01, 0.0, 0.01)
ALONG = SPEC.model_copy(
    update={"frontier": "l0", "metrics": (F1, LOSS, L0), "controls": (TOKENS, Control(name="l0", path=("l0",)))}
)


def line(name: str, *scores: float, first: float = 4.0, tokens: float = 1000.0) -> list[Baseline]:
    """Points at l0 4, 8, 16, ..., three seeds each."""
    return [
        Baseline(
            name, 1001 + seed, {"f1": score + off, "l0": first * 2**n, "tokens": tokens, "loss": -score - off}, str(n)
        )
        for n, score in enumerate(scores)
        for seed, off in enumerate(SPREAD)
    ]


TOPK = line("topk", 0.4, 0.5, 0.55)
RELU = line("relu", 0.3, 0.6, 0.5)
FRONTIER = [*TOPK, *RELU]


def run(f1: float, l0: float | None = 8.0, tokens: float = 1000.0) -> dict[str, float]:
    return {"f1": f1, "loss": -f1, "tokens": tokens} | ({} if l0 is None else {"l0": l0})


def judged(values: dict[str, float], baselines: list[Baseline] = FRONTIER, metric: Metric = F1) -> Verdict:
    verdict = judge_run(ALONG, metric, values, baselines)
    assert verdict
    return verdict


def test_a_run_is_judged_against_the_best_baseline_at_its_own_place() -> None:
    assert (judged(run(0.55)).kind, judged(run(0.55)).reference) == (VerdictKind.WORSE, "relu at l0 8")
    assert judged(run(0.55), TOPK).kind is VerdictKind.BETTER
    verdict = judged(run(0.44, 4 * 2**0.25))
    assert verdict.baseline_mean == pytest.approx(0.4296875) and verdict.kind is VerdictKind.NO_DIFFERENCE
    assert verdict.reason == "f1 0.44 against 0.4297 of topk at l0 4.76: inside the seed band 0.4028 to 0.4566"


def test_a_lower_is_better_metric_takes_the_lowest_curve() -> None:
    assert judged(run(0.7), metric=LOSS).kind is VerdictKind.BETTER
    assert judged(run(0.7), metric=LOSS).baseline_mean == pytest.approx(-0.6)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (run(0.7, 20.0), "l0 20 lies outside 4 to 16, the frontier's range for f1"),
        (run(0.7, 3.5), "l0 3.5 lies outside 4 to 16"),
        (run(0.7, 0.0), "l0 is 0, and the frontier is over its logarithm"),
        (run(0.7, -1.0), "l0 is -1"),
        (run(0.7, None), "l0 not reported here"),
        (run(0.7, tokens=2000.0), "tokens 2000 here, 1000 in the baseline"),
    ],
)
def test_a_run_off_the_frontier_is_not_comparable_and_told_why(values: dict[str, float], said: str) -> None:
    verdict = judged(values)
    assert verdict.kind is VerdictKind.NOT_COMPARABLE and said in verdict.reason and verdict.baseline_mean is None


def test_the_first_baseline_bounds_what_compares_though_another_reaches_farther() -> None:
    far = line("relu", 0.1, 0.1, 0.1, 0.1)
    assert judged(run(0.7, 30.0), [*TOPK, *far]).kind is VerdictKind.NOT_COMPARABLE
    assert judged(run(0.7, 30.0), [*far, *TOPK]).kind is VerdictKind.BETTER


def test_a_baseline_of_other_width_or_tokens_sets_no_bar() -> None:
    other = line("relu", 0.9, 0.9, 0.9, tokens=2000.0)
    assert judged(run(0.55), [*TOPK, *other]).reference == "topk at l0 8"


def test_the_axis_and_metrics_without_a_direction_have_no_verdict() -> None:
    plain = Metric(name="f1", path=("f1",))
    assert judged(run(0.7), metric=L0).kind is judged(run(0.7), metric=plain).kind is VerdictKind.NO_VERDICT


def test_without_seeds_that_differ_there_is_no_verdict_unless_the_program_is_deterministic() -> None:
    single = [b for b in TOPK if b.seed == 1002]
    assert judged(run(0.9), single).kind is VerdictKind.NO_VERDICT
    same = [Baseline("topk", seed, b.values, b.setting) for b in single for seed in (1, 2)]
    sharp = F1.model_copy(update={"resolution": 0.0})
    for metric in (F1, sharp):
        for value in (0.9, 0.5, 0.1):
            verdict = judged(run(value), same, metric)
            assert verdict.kind is VerdictKind.NO_VERDICT and "the baseline's seeds gave one number" in verdict.reason
    exact = ALONG.model_copy(update={"deterministic": True})
    for runs in (single, same):  # one run is enough, since another would be the same
        kinds = [judge_run(exact, F1, run(value), runs).kind for value in (0.9, 0.5004, 0.5, 0.1)]  # type: ignore[union-attr]
        nothing = VerdictKind.NO_DIFFERENCE
        assert kinds == [VerdictKind.BETTER, nothing, nothing, VerdictKind.WORSE]


def test_baselines_in_doubt_judge_nothing_and_their_numbers_are_not_shown() -> None:
    reason = "3 of 5 baselines came of another profile"
    for spec, runs, here in ((SPEC, FIVE, {"f1": 0.9, "tokens": 1000.0}), (ALONG, TOPK, run(0.9))):
        doubted = [replace(runs[0], doubt=reason), *runs[1:]]
        verdict = judge_run(spec, F1, here, doubted)
        assert verdict and (verdict.kind, verdict.reason) == (VerdictKind.NO_VERDICT, reason)
        assert (verdict.baseline_mean, verdict.low, verdict.high) == (None, None, None)
    assert summarise([replace(b, doubt=reason) for b in FIVE]) == ()
    own = [Baseline("run 0", 0, {"f1": 0.6}, doubt=reason)]
    told = judge_run(SPEC, F1, {"f1": 0.9}, own)
    assert told and (told.kind, told.baseline_mean, told.reason) == (VerdictKind.NO_VERDICT, 0.6, reason)
    assert summarise(own)[0].means == {"f1": 0.6}


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
def test_a_band_of_the_seeds_that_went_well_is_no_band(bad: float | None) -> None:
    """Two seeds of five came to no number: the other three would be a choice."""
    broken = [replace(b, values=b.values | {"f1": bad} if bad is not None else {"tokens": 1000.0}) for b in FIVE[:2]]
    verdict = judge_run(SPEC, F1, {"f1": 0.9, "tokens": 1000.0}, [*broken, *FIVE[2:]])
    assert verdict and verdict.kind is VerdictKind.NO_VERDICT and "2 of 5 runs" in verdict.reason
    assert "seed 0, seed 1" in verdict.reason
    setting = [b for b in TOPK if b.setting == "1"]
    rest = [b for b in TOPK if b.setting != "1"]
    lost = replace(setting[0], values={k: v for k, v in setting[0].values.items() if k != "f1"})
    along = judge_run(ALONG, F1, run(0.9), [*rest, lost, *setting[1:]])
    assert along and along.kind is VerdictKind.NO_VERDICT and "report no finite f1" in along.reason


def test_a_run_agrees_with_the_controls_of_every_seed_not_with_their_mean() -> None:
    mixed = [*seeds(0.48, 0.50, tokens=500.0), *seeds(0.49, 0.51, tokens=1500.0)]
    verdict = judge_run(SPEC, F1, {"f1": 0.9, "tokens": 1000.0}, mixed)
    assert verdict and verdict.kind is VerdictKind.NOT_COMPARABLE and "tokens 1000 here" in verdict.reason
    partly = [*FIVE[:3], *seeds(0.51, 0.52, tokens=None)]
    verdict = judge_run(SPEC, F1, {"f1": 0.9, "tokens": 1000.0}, partly)
    assert verdict and verdict.kind is VerdictKind.NOT_COMPARABLE and "not reported in the baseline" in verdict.reason


def test_a_metric_that_the_baseline_does_not_report_has_no_verdict() -> None:
    bare = [Baseline(b.name, b.seed, {k: v for k, v in b.values.items() if k != "f1"}, b.setting) for b in TOPK]
    assert "reports no f1" in judged(run(0.5), bare).reason
    part = [b for b in TOPK if b.setting != "2"]
    assert judged(run(0.5, 16.0), part + [b for b in bare if b.setting == "2"]).kind is VerdictKind.NOT_COMPARABLE


@examples(60)
@given(st.randoms(use_true_random=False), st.floats(4, 16), st.floats(0, 1))
def test_the_order_of_rows_and_of_the_other_baselines_changes_nothing(
    shuffler: random.Random, l0: float, f1: float
) -> None:
    others = [*RELU, *line("jump", 0.5, 0.4, 0.7), *line("standard", 0.1, 0.2, 0.3)]
    first, mixed = TOPK.copy(), others.copy()
    shuffler.shuffle(first)
    shuffler.shuffle(mixed)
    assert judged(run(f1, l0), [*TOPK, *others]) == judged(run(f1, l0), [*first, *mixed])


@examples(60)
@given(st.floats(3, 20), st.lists(st.floats(0, 1), min_size=2, max_size=6), st.sampled_from(["higher", "lower"]))
def test_a_higher_value_never_has_a_lower_standing(l0: float, scores: list[float], direction: Direction) -> None:
    metric = F1.model_copy(update={"direction": direction})
    order = {VerdictKind.WORSE: 0, VerdictKind.NO_DIFFERENCE: 1, VerdictKind.BETTER: 2}
    kinds = [judged(run(score, l0), metric=metric).kind for score in sorted(scores)]
    if VerdictKind.NOT_COMPARABLE in kinds:
        assert set(kinds) == {VerdictKind.NOT_COMPARABLE}
    else:
        ranks = [order[kind] for kind in kinds]
        assert ranks == sorted(ranks, reverse=direction == "lower")


@pytest.mark.parametrize("n", range(3))
def test_at_a_point_the_verdict_is_the_one_without_a_frontier(n: int) -> None:
    point = [b for b in TOPK if b.setting == str(n)]
    for f1 in (0.2, 0.45, 0.5, 0.52, 0.8):
        along, alone = judged(run(f1, 4.0 * 2**n), TOPK), judge_run(SPEC, F1, run(f1), point)
        assert alone and (along.kind, along.low, along.high) == (alone.kind, alone.low, alone.high)


def test_rows_are_those_of_settings_by_their_mean_on_the_axis() -> None:
    rows = summarise(RELU[::-1] + TOPK[::-1], "l0")
    assert [(r.name, r.setting, r.seeds) for r in rows] == [
        ("relu", "0", 3), ("relu", "1", 3), ("relu", "2", 3), ("topk", "0", 3), ("topk", "1", 3), ("topk", "2", 3),
    ]  # fmt: skip


def test_the_range_that_is_told_is_the_one_that_is_judged() -> None:
    assert reach_of(FRONTIER, "l0", "f1") == pytest.approx((3.8, 16.8))
    assert reach_of(FRONTIER, "l0", "f2") is None and reach_of([], "l0", "f1") is None
    partial = [b for b in FRONTIER if b.name == FRONTIER[0].name]
    lacking = [replace(b, values={"l0": 64.0, "tokens": 1000.0}, setting="far") for b in partial[:2]]
    told = reach_of([*partial, *lacking], "l0", "f1")
    assert told and told[1] == pytest.approx(16.8)
    assert judged(run(0.5, l0=17.0), [*partial, *lacking]).kind is VerdictKind.NOT_COMPARABLE


def test_declared_variants_come_first_in_their_order_and_in_that_of_their_values() -> None:
    variants = [BaselineVariant(name="topk", vary="K", values=(9, 10)), BaselineVariant(name="relu")]
    rows = [Baseline("old", 0), Baseline("relu", 1), Baseline("topk", 1, {}, "10"), Baseline("topk", 1, {}, "9")]
    ordered = in_declared_order(rows, variants)
    assert [(b.name, b.setting) for b in ordered] == [("topk", "9"), ("topk", "10"), ("relu", ""), ("old", "")]
    assert in_declared_order(rows, []) == tuple(rows)


@pytest.mark.parametrize("runs_experiment_code", [False, True])
def test_a_run_that_could_not_be_verified_compares_only_with_baselines_that_are_not_either(
    runs_experiment_code: bool,
) -> None:
    evaluate = Evaluation(command="python evaluate.py", runs_experiment_code=runs_experiment_code)
    spec = ALONG.model_copy(update={"evaluate": evaluate})
    verdict = judge_run(spec, F1, run(0.9), FRONTIER, self_reported="its decoder is not linear")
    assert verdict
    if runs_experiment_code:
        assert verdict.kind is VerdictKind.BETTER
    else:
        assert verdict.kind is VerdictKind.NOT_COMPARABLE and verdict.reason.endswith("its decoder is not linear")


def test_without_a_metric_or_a_baseline_a_run_has_no_verdict() -> None:
    measured = Measured({"f1": 0.7, "tokens": 1000.0})
    assert verdict_of(SPEC, SPEC.metric("f1"), measured, FIVE) == judge_run(SPEC, F1, measured.values, FIVE)
    assert verdict_of(SPEC, SPEC.metric("f1"), measured, ()) is None
    assert SPEC.metric("undeclared") is None and verdict_of(SPEC, None, measured, FIVE) is None
    assert verdict_of(SPEC, SPEC.metric("f1"), Measured({"loss": 0.1}), FIVE) is None


def test_a_control_that_the_baseline_lacks_is_not_taken_for_an_equal_one() -> None:
    """As in rows written by hand: nobody knows how many tokens they had."""
    verdict = judge_run(SPEC, F1, {"f1": 0.7, "tokens": 9000.0}, seeds(0.48, 0.5, 0.52, tokens=None))
    assert verdict and verdict.kind is VerdictKind.NOT_COMPARABLE
    assert "tokens 9000 here, not reported in the baseline" in verdict.reason


@pytest.mark.parametrize("place", [0.0, -2.0])
def test_a_frontier_is_not_drawn_through_the_rows_that_have_a_logarithm_alone(place: float) -> None:
    rows = [replace(b, values=b.values | {"l0": place}) if n == 1 else b for n, b in enumerate(FRONTIER)]
    verdict = judge_run(ALONG, F1, run(0.9), rows)
    assert verdict and verdict.kind is VerdictKind.NO_VERDICT and "report no positive l0" in verdict.reason


def test_of_several_baselines_the_one_compared_with_is_named_and_a_stronger_one_too() -> None:
    strong = seeds(0.78, 0.80, 0.82, name="tuned")
    verdict = judge_run(SPEC, F1, {"f1": 0.7, "tokens": 1000.0}, [*FIVE, *strong])
    assert verdict and (verdict.kind, verdict.reference) == (VerdictKind.BETTER, "topk")
    assert verdict.reason.endswith("(baseline topk); baseline tuned has 0.8, which the run does not pass")
    above = judge_run(SPEC, F1, {"f1": 0.9, "tokens": 1000.0}, [*FIVE, *strong])
    assert above and above.reason.endswith("of 5 runs (baseline topk)")
    alone = judge_run(SPEC, F1, {"f1": 0.9, "tokens": 1000.0}, FIVE)
    assert alone and alone.reference == "" and "baseline topk" not in alone.reason


def test_a_setting_leads_if_no_other_baseline_is_better_at_its_place() -> None:
    f1 = Metric(name="f1", path=("f1",), direction="higher")
    points = {"topk": ((2.0, 0.5), (4.0, 0.6), (16.0, 0.4)), "relu": ((1.9, 0.2), (4.1, 0.7), (8.0, 0.3), (32.0, 0.1))}
    rows = [
        BaselineRow(name, 3, {"l0": l0, "f1": value}, {}, f"{l0}")
        for name, line in points.items()
        for l0, value in line
    ]
    assert [(row.name, row.setting) for row in leading_rows(rows, f1, "l0")] == [
        ("topk", "2.0"), ("topk", "16.0"), ("relu", "1.9"), ("relu", "4.1"), ("relu", "32.0")
    ]  # fmt: skip
    lower = f1.model_copy(update={"direction": "lower"})
    assert [row.setting for row in leading_rows(rows, lower, "l0")] == ["4.0", "1.9", "8.0", "32.0"]
    assert leading_rows(rows, None, "l0") == tuple(rows) == leading_rows(rows, f1, "none")
