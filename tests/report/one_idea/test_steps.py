"""Folders of steps in the order in which they ran, and in words."""

from __future__ import annotations

import random

import pytest

from agent.core.journal.kinds import Step
from agent.report.one_idea.steps import order_steps, read_run, read_step

IN_ORDER = [
    "run_0.1.smoke",
    "run_0.1",
    "run_1.1.smoke",
    "run_1.1",
    "run_1.1.evaluate",
    "run_1.2.smoke",
    "run_1.10",
    "run_2.1",
    "run_10.1.smoke",
    "plot.1",
    "plot.2",
]


def test_steps_stand_in_the_order_in_which_they_ran() -> None:
    mixed = [*IN_ORDER, "notes", "run_1", "run_x.1", ".hidden", "run_1.1.lunch"]
    random.Random(3).shuffle(mixed)
    assert [step.folder for step in order_steps(mixed)] == IN_ORDER


@pytest.mark.parametrize(
    ("folder", "step", "title"),
    [
        ("run_3.1.smoke", Step.SMOKE, "smoke test of run 3"),
        ("run_3.2", Step.RUN, "training of run 3, attempt 2"),
        ("run_0.1.evaluate", Step.EVALUATE, "evaluation of run 0"),
        ("plot.1", Step.PLOT, "figures"),
    ],
)
def test_a_step_is_named_in_words(folder: str, step: Step, title: str) -> None:
    found = read_step(folder)
    assert found and (found.step, found.title) == (step, title)


def test_other_folders_are_no_steps() -> None:
    names = ("run_3", "run_3.", "run_3.1.", "run_3.1.plot", "plot", "run_\uff13.1")
    assert [read_step(name) for name in names] == [None] * 6


def test_a_replication_is_named_by_its_seed_and_comes_last() -> None:
    again = "run_3.seed_10001.1.evaluate"
    assert [step.folder for step in order_steps([again, "plot.1", "run_4.1"])] == ["run_4.1", "plot.1", again]
    found = read_step(again)
    assert found and (found.run, found.seed, found.title) == (3, 10001, "evaluation of run 3 again, seed 10001")


@pytest.mark.parametrize(
    ("text", "run"),
    [("3", 3), ("run/3", 3), ("run_3", 3), ("0", 0), ("", None), ("-1", None), ("٣", None), ("²", None), ("3\n", None)],
)
def test_a_run_number_is_read_as_people_write_it(text: str, run: int | None) -> None:
    assert read_run(text) == run


def test_a_number_longer_than_any_run_number_is_none() -> None:
    assert read_run("9" * 5000) is None
