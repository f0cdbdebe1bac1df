"""Metrics beside past runs: those that matter, the same for all rows, few."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.evidence.baseline import BaselineRow
from agent.core.inputs.idea import Idea
from agent.core.inputs.spec import Metric, TemplateSpec
from agent.core.journal.kinds import Measured, PlanItem, Purpose
from agent.core.journal.state import RunRow
from agent.core.prompt.columns import MOST_COLUMNS, choose_columns
from agent.core.prompt.render import render_opening
from agent.core.prompt.view import RowView, Study, TurnView, view_turn
from tests.core.journal_by_hand import Story

SETS = ("x_div_y", "x_minus_y", "x_plus_y", "permutation")
KINDS = (
    "final_train_loss_mean",
    "final_val_loss_mean",
    "final_train_acc_mean",
    "final_val_acc_mean",
    "step_val_acc_99_mean",
)
GROKKING = {f"{group}.{kind}": 1.0 for group in SETS for kind in KINDS}
STEPS = tuple(f"{group}.step_val_acc_99_mean" for group in SETS)


def view_of(idea: str, *runs: dict[str, float], spec: TemplateSpec | None = None, **changes: object) -> TurnView:
    story = Story()
    story.complete_run()
    study = Study(spec or TemplateSpec(name="t"), Idea(Title="A", Experiment=idea))
    rows = tuple(
        RowView(RunRow(n, True, f"Run {n}: try", f"c{n}", 1, Measured(v))) for n, v in enumerate(runs, start=1)
    )
    return replace(view_turn(story.state, study, Purpose.NEXT, {}), rows=rows, **changes)  # type: ignore[arg-type]


def declared(*names: str, **more: dict[str, object]) -> TemplateSpec:
    metrics = tuple(Metric(name=name, path=(name,), **more.get(name, {})) for name in names)  # type: ignore[arg-type]
    return TemplateSpec(name="t", metrics=metrics)


@pytest.mark.parametrize(
    "idea",
    [
        "Reach step_val_acc_99_mean sooner.",
        "Look at how many steps it takes to 99% validation accuracy.",
        "Fewer steps until the validation accuracy is 99 %.",
    ],
)
def test_the_metric_that_an_idea_names_is_shown_for_every_data_set(idea: str) -> None:
    assert choose_columns(view_of(idea, GROKKING)) == STEPS


def test_where_nothing_is_named_the_kind_that_moved_most_is_shown_for_every_group() -> None:
    moved = GROKKING | {"x_plus_y.final_val_acc_mean": 1.5}
    found = choose_columns(view_of("A new optimiser.", GROKKING, moved))
    assert found == tuple(f"{group}.final_val_acc_mean" for group in SETS)


def test_every_row_shows_the_same_numbers_and_few() -> None:
    text = render_opening(view_of("Reach step_val_acc_99_mean sooner.", GROKKING, GROKKING | {STEPS[0]: 7.0}))[
        1
    ].content
    rows = [line.split(" | ")[1] for line in text.split("\n") if line.startswith("run ")]
    assert rows == [" ".join(f"{name}=1" for name in STEPS), "7 1 1 1"], "later rows have the order of the first"


def test_declared_metrics_come_by_primary_idea_target_and_difference() -> None:
    spec = declared("time", "loss", "f1", "drift", "dead", f1={"primary": True}, dead={"target": 0.0})
    values = {"time": 1.0, "loss": 1.0, "f1": 0.5, "drift": 1.0, "dead": 0.1}
    view = view_of("Lower the drift.", values, values | {"time": 3.0}, spec=spec, primary=spec.metric("f1"))
    assert choose_columns(view) == ("f1", "drift", "dead", "time")
    still = replace(view, rows=view.rows[:1], idea=Idea(Title="A", Experiment="B"))
    assert choose_columns(still) == ("f1", "dead", "time", "loss"), "else in the template's order"


def test_a_difference_counts_in_units_of_spread_and_resolution() -> None:
    spec = declared("noisy", "alpha", "beta", "gamma", "steady", steady={"resolution": 0.001})
    names = ("noisy", "alpha", "beta", "gamma", "steady")
    base = BaselineRow("plain", 3, dict.fromkeys(names, 1.0), {"noisy": 5.0})
    view = view_of(
        "B", dict.fromkeys(names, 1.0) | {"noisy": 4.0, "steady": 1.01}, spec=spec, baselines=(base,), primary=None
    )
    assert choose_columns(view)[0] == "steady" and "noisy" in choose_columns(view)[:2]


def test_a_turn_that_goes_on_with_the_plan_is_told_the_frontier_alone() -> None:
    spec = declared("f1", "l0", f1={"direction": "higher", "primary": True}).model_copy(update={"frontier": "l0"})
    base = tuple(
        BaselineRow(name, 3, {"l0": 2.0**n, "f1": best - 0.1 * n}, {}, str(n))
        for name, best in (("good", 0.9), ("poor", 0.5))
        for n in range(4)
    )
    view = view_of("B", {"f1": 0.5, "l0": 2.0}, spec=spec, baselines=base, primary=spec.metric("f1"), reach=(1.0, 8.0))
    plans, goes_on = (text_with(view, done) for done in ((), (1,)))
    assert "good: 0=0.9@1" in plans and "poor: 0=0.5@1" in plans and "interpolated over log l0" in plans
    assert "good: 0=0.9@1" in goes_on and "poor: " not in goes_on and "A run outside l0 1 to 8 is not" in goes_on
    assert "settings that another baseline beats are shown where a plan is made" in goes_on


def text_with(view: TurnView, done: tuple[int, ...]) -> str:
    """The prompt if a plan item is left, with items done, or if none is."""
    plan = (PlanItem(1, "Raise it"), PlanItem(2, "Raise it again")) if done else ()
    return render_opening(replace(view, state=replace(view.state, plan=plan, done_items=done)))[1].content


def test_no_run_and_a_run_that_was_given_up_have_no_columns() -> None:
    assert choose_columns(view_of("A")) == ()
    assert len(choose_columns(view_of("A", {f"m{n}": float(n) for n in range(100)}))) == MOST_COLUMNS
