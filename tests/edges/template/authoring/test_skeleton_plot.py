"""Figures of the plot.py that a new template gets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agent.edges.template.authoring.skeleton import plot


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.93, 0.99], [0.92, 0.94, 0.96, 0.98, 1.0]),
        ([0.5889, 0.8667], [0.5, 0.6, 0.7, 0.8, 0.9]),
        ([0.0, 1.0], [0.0, 0.5, 1.0]),
        ([0.25], [0.22, 0.23, 0.24, 0.25, 0.26, 0.27, 0.28]),
        ([1.0], [0.9, 0.95, 1.0]),
        ([0.0], [0.0, 0.2, 0.4, 0.6]),
        ([3.0, 17.0], [0.0, 5.0, 10.0, 15.0, 20.0]),
        ([-2.0, 2.0], [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]),
        ([1e-9, 2e-9], [5e-10, 1e-9, 1.5e-9, 2e-9, 2.5e-9]),
    ],
)
def test_ticks_are_round_and_shares_end_at_0_and_1(values: list[float], ticks: list[float]) -> None:
    assert plot.choose_ticks(values) == pytest.approx(ticks)


def test_a_figure_names_idea_metric_control_and_what_its_dots_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("idea.json").write_text(json.dumps({"Name": "warm", "Title": "Warm <restarts> & more"}))
    Path("notes.txt").write_text("# Notes\n\n## Run 1\n\ncontrol: hyper-parameter sweep\n")
    rows = [{"name": "plain", "seed": seed, "metrics": {"acc": 0.9 + seed / 100}} for seed in (1, 2)]
    Path("baselines.json").write_text(json.dumps(rows))
    Path("run_1").mkdir()
    Path("run_1/final_info.json").write_text(json.dumps({"acc": 0.99, "data_id": 255947240309146}))
    plot.main()
    (figure,) = tmp_path.glob("*.svg")
    text = figure.read_text()
    assert ">Warm &lt;restarts&gt; &amp; more (control)</text>" in text
    assert ">acc</text>" in text and ">baseline</text>" in text and ">run</text>" in text
    assert [float(t) for t in re.findall(r'text-anchor="end">([^<]+)<', text)] == [0.9, 0.92, 0.94, 0.96, 0.98, 1.0]
