"""Rows of a baseline, one at a time."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from agent.edges.run.baselines import Bench, Made, make_row, plan_rows
from agent.edges.template.data import Prepared, prepare_data
from agent.edges.template.load import load_template
from tests.overlays import prepared_quadratic

VARIANT = '\n[[profiles.small.baselines]]\nname = "plain"\nmiddle_seeds = 2\n'


def test_data_evicted_between_two_rows_is_made_again(tmp_path: Path) -> None:
    place = prepared_quadratic(tmp_path / "quadratic")
    shutil.rmtree(place / "baselines", ignore_errors=True)
    with (place / "template.toml").open("a") as file:
        file.write(VARIANT)
    template = load_template(place, "small")
    made: list[Prepared] = []

    def prepare() -> Prepared:
        made.append(prepare_data(template, Path(sys.executable), tmp_path / "store", os.environ, lambda _: None))
        return made[-1]

    bench = Bench(template, Path(sys.executable), dict(os.environ), tmp_path / "scratch", prepare)
    for row in plan_rows(template):
        result = make_row(bench, row, time.sleep, redo=False)
        assert isinstance(result, Made) and result.trial and not result.trial.failure, result
        shutil.rmtree(made[-1].training)
    assert [found.made for found in made] == [True, True]
    assert len(list((place / "baselines" / "small").glob("*.json"))) == 2
