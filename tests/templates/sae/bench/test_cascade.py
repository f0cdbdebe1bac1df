"""sealed/bench/cascade.py: who gets which evaluation."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.sae

from bench import cascade  # noqa: E402
from encoder.faults import CannotEvaluate  # noqa: E402

PLAN = cascade.read_plan({}, ())


def row(name: str, setting: float, l0: float, value: float, **more: Any) -> dict[str, Any]:
    metrics = {"l0": l0, "ce_score": value, "explained_variance": value, **more}
    return {"name": name, "seed": 0, "setting": setting, "metrics": metrics}


TOPK = [row("topk", 8, 8, 0.80), row("topk", 32, 32, 0.89), row("topk", 32, 32, 0.91), row("topk", 128, 128, 0.96)]
RELU = [row("relu", 1, 10, 0.70), row("relu", 2, 1000, 0.99)]


def test_the_frontier_is_linear_in_log_l0_between_means() -> None:
    assert cascade.frontier(TOPK, "ce_score", 32) == pytest.approx(0.90)
    assert cascade.frontier(TOPK, "ce_score", 16) == pytest.approx(0.85)
    assert cascade.frontier(TOPK, "ce_score", 64) == pytest.approx(0.93)


def test_the_best_baseline_counts_and_only_between_its_own_settings() -> None:
    assert cascade.frontier(TOPK + RELU, "ce_score", 100) == pytest.approx(0.90 + 0.06 * math.log(100 / 32, 4))
    assert cascade.frontier(TOPK + RELU, "ce_score", 500) == pytest.approx(0.70 + 0.29 * math.log(50, 100))
    for outside in (7.9, 1001, 0.0):
        assert cascade.frontier(TOPK + RELU, "ce_score", outside) is None
    assert cascade.frontier(TOPK[:1], "ce_score", 8) == pytest.approx(0.80)


@pytest.mark.parametrize("bad", [None, math.nan, "0.9", True])
def test_rows_without_a_number_are_left_out(bad: object) -> None:
    broken = [row("topk", 32, 32, 0.9) | {"metrics": {"l0": 32, "ce_score": bad}}, {"name": "empty", "seed": 0}]
    assert cascade.frontier(TOPK + broken, "ce_score", 32) == pytest.approx(0.90)


def test_dominated_means_below_by_more_than_the_resolution() -> None:
    at = {"l0": 32.0}
    assert cascade.dominated({**at, "ce_score": 0.8995}, PLAN, TOPK) is None
    assert cascade.dominated({**at, "ce_score": 0.97}, PLAN, TOPK) is None
    reason = cascade.dominated({**at, "ce_score": 0.8985}, PLAN, TOPK)
    assert reason == "dominated: ce_score 0.8985 at L0 32.0, where the best baseline has 0.9000"


def test_nothing_is_dominated_without_a_baseline_at_its_l0() -> None:
    assert cascade.dominated({"l0": 32.0, "ce_score": 0.1}, PLAN, []) is None
    assert cascade.dominated({"l0": 300.0, "ce_score": 0.1}, PLAN, TOPK) is None


def test_absorption_is_void_unless_reconstruction_reaches_the_baselines() -> None:
    def void(explained: float, l0: float, rows: list[dict[str, Any]]) -> str | None:
        return cascade.absorption_is_void({"l0": l0, "explained_variance": explained}, PLAN, rows)

    assert void(0.9, 32.0, TOPK) is None and void(0.5, 32.0, []) is None
    assert void(0.8, 32.0, TOPK) == "void: explained variance 0.8000 does not reach the baselines' 0.9000"
    assert "no baseline at L0 300.0" in str(void(0.99, 300.0, TOPK))


@pytest.mark.parametrize(("parameters", "d_sae", "says"), [(2**30, 16383, "16384 latents"), (10**9 - 1, 2**15, "1B")])
def test_absorption_means_nothing_in_small_models(parameters: int, d_sae: int, says: str) -> None:
    assert says in str(cascade.absorption_means_nothing(parameters, d_sae))
    assert cascade.absorption_means_nothing(10**9, 16384) is None


def test_a_plan_names_evaluations_that_exist_and_core() -> None:
    with pytest.raises(CannotEvaluate, match=r"unknown evaluation ravel; there are core, .*autointerp"):
        cascade.read_plan({"evaluations": {"on_demand": ["ravel"]}}, ())
    with pytest.raises(CannotEvaluate, match="unknown evaluation scr"):
        cascade.read_plan({}, ("scr",))
    with pytest.raises(CannotEvaluate, match="lacks core"):
        cascade.read_plan({"evaluations": {"every_run": ["sparse_probing"]}}, ())
