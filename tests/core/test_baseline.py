"""Baselines over their seeds, and a run's standing against them."""

from __future__ import annotations

import pytest

from agent.core.baseline import Baseline, judge_run, primary_metric, summarise
from agent.core.spec import Control, Metric, TemplateSpec
from agent.core.verdict import VerdictKind

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
