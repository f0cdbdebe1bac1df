"""What plan items expect, in the forms that models write, and whether a run met it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.reply.expectation import Comparison, Labels, headline, measure, read_comparison, read_labels
from agent.core.reply.plan import parse_reply
from tests.examples import examples

METRICS = ("f1", "l0", "explained_variance", "loss")
WANTED = Labels("training stops too early", "f1 >= 0.6 at equal L0", "f1 < 0.5")


@pytest.mark.parametrize(
    "item",
    [
        "Raise LR\n   Hypothesis: training stops too early\n   Expected: f1 >= 0.6 at equal L0\n"
        "   Refuted if: f1 < 0.5",
        "Raise LR. Hypothesis: training stops too early. Expected: f1 >= 0.6 at equal L0. Refuted if: f1 < 0.5.",
        "Raise LR; hypothesis: training stops too early; expect: f1 >= 0.6 at equal L0; refuted by: f1 < 0.5",
        "**Raise LR**\n   - **Hypothesis:** training stops\n     too early\n   - **Expected**: f1 >= 0.6 at equal L0\n"
        "   - *Refuted if*: f1 < 0.5\n   - Switch: USE_LR",
        "Raise LR\n   * HYPOTHESIS: training stops too early.\n   * EXPECTED METRIC: f1 >= 0.6 at equal L0.\n"
        "   * REFUTED IF: f1 < 0.5.\n\nAnd more words.",
        "Raise LR | Hypothesis: training stops too early | Expect f1 >= 0.6 at equal L0 | Refuted if f1 < 0.5",
    ],
    ids=["lines", "one line", "semicolons", "points", "capitals", "without colons"],
)
def test_labels_are_read_in_the_forms_that_models_write(item: str) -> None:
    assert read_labels(item) == WANTED
    assert headline(item) == "Raise LR"


@pytest.mark.parametrize(
    "item", ["Add momentum", "Test the expected components a, b", "We expected nothing: so it was"]
)
def test_items_without_labels_have_none_and_are_their_own_headline(item: str) -> None:
    assert read_labels(item) == Labels() and headline(item) == item


def test_a_parsed_plan_carries_its_labels() -> None:
    plan = parse_reply("PLAN:\n1. Raise LR\n   Expected: f1 +0.02\n   Refuted if: f1 -0.01\n2. Add momentum\n").plan
    assert plan
    first, second = plan.items
    assert (first.expected, first.refuted_if, first.hypothesis) == ("f1 +0.02", "f1 -0.01", "")
    assert "Expected: f1 +0.02" in first.text and (second.expected, second.refuted_if) == ("", "")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("f1 >= 0.6", Comparison("f1", ">=", 0.6)),
        ("**F1** ≥ **0.6**", Comparison("f1", ">=", 0.6)),
        ("an f1 of at least 0.6", Comparison("f1", ">=", 0.6)),
        ("f1 = 0.6 or more", Comparison("f1", ">=", 0.6)),
        ("L0 < 40", Comparison("l0", "<", 40.0)),
        ("loss falls below .3", Comparison("loss", "<", 0.3)),
        ("explained variance above 8e-1", Comparison("explained_variance", ">", 0.8)),
        ("loss > -0.5", Comparison("loss", ">", -0.5)),
        ("f1 +0.02", Comparison("f1", ">=", 0.02, relative=True)),
        ("f1 improves by +0.02 over the baseline's 0.48", Comparison("f1", ">=", 0.02, relative=True)),
        ("f1 at least 0.02 above the baseline", Comparison("f1", ">=", 0.02, relative=True)),
        ("f1 +0.005 or less", Comparison("f1", "<=", 0.005, relative=True)),
        ("loss −0.02", Comparison("loss", "<=", -0.02, relative=True)),
        ("f1 stays below +0.01", Comparison("f1", "<", 0.01, relative=True)),
        ("f1 +5 %", None),
        ("f1 doubles to 2x", None),
        ("f1 around 0.6", None),
        ("f1 0.6", None),
        ("f1 at least 0.02 below the baseline", None),
        ("f1 ±0.01", None),
        ("better features", None),
        ("precision >= 0.6", None),
        ("", None),
    ],
)
def test_comparisons_are_read_only_where_they_are_certain(text: str, wanted: Comparison | None) -> None:
    assert read_comparison(text, METRICS) == wanted


def test_a_bare_comparison_is_about_the_metric_that_was_expected() -> None:
    assert read_comparison("below 0.5", METRICS, "f1") == Comparison("f1", "<", 0.5)
    assert read_comparison("below 0.5", METRICS) is None
    assert read_comparison("loss < 0.5", METRICS, "f1") == Comparison("loss", "<", 0.5)


def test_a_change_is_held_against_the_reference_and_a_level_is_not() -> None:
    values = {"f1": 0.5}
    change = measure(Comparison("f1", ">=", 0.02, relative=True), values, 0.47, "the baseline")
    assert change and (change.bound, change.met, change.reference) == (pytest.approx(0.49), True, "the baseline")
    assert change.margin == pytest.approx(0.01)
    level = measure(Comparison("f1", ">=", 0.6), values, 0.47, "the baseline")
    assert level and (level.bound, level.met, level.reference) == (0.6, False, "")
    assert level.margin == pytest.approx(0.1)


def test_what_was_not_measured_or_has_no_reference_is_not_judged() -> None:
    assert measure(Comparison("loss", "<", 1.0), {"f1": 0.5}, None) is None
    assert measure(Comparison("f1", ">=", 0.02, relative=True), {"f1": 0.5}, None) is None


def test_rounding_does_not_decide() -> None:
    change = Comparison("f1", ">=", 0.1, relative=True)
    reading = measure(change, {"f1": 0.3}, 0.2)
    assert reading and reading.met
    strict = measure(Comparison("f1", ">", 0.1, relative=True), {"f1": 0.3}, 0.2)
    assert strict and not strict.met


@given(st.text(max_size=80))
@examples(80)
def test_any_text_is_read(text: str) -> None:
    labels = read_labels(text)
    found = read_comparison(labels.expected or text, METRICS, "f1")
    assert found is None or found.sign in (">=", "<=", ">", "<")
    assert isinstance(headline(text), str)
