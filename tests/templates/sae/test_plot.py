"""plot.py on the files of a plot step: any number of runs and baselines, with metrics missing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytestmark = pytest.mark.sae

PLOT = Path(__file__).resolve().parents[3] / "templates" / "sae" / "plot.py"
FIGURES = {"frontier.png", "distance_by_run.png", "training_curves.png", "firing_density.png"}
HISTOGRAM = {"log10_edges": [-2, -1, 0], "counts": [3.0, 1.0], "silent": [2.0]}


@pytest.fixture(scope="module")
def plot() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plot", PLOT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["plot"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def row(name: str, setting: str, l0: float, **metrics: float) -> dict[str, Any]:
    return {"name": name, "seed": 1001, "setting": setting, "metrics": {"l0": l0, **metrics}}


def write_run(folder: Path, number: int, evaluation: dict[str, Any]) -> None:
    run = folder / f"run_{number}"
    run.mkdir()
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    (run / "metrics.jsonl").write_text('{"step": 0, "name": "loss", "value": 2.0}\n{"step": 1, "na')


def figures(folder: Path) -> set[str]:
    """Run plot.py in the folder, with warnings as errors."""
    environment = {**os.environ, "MPLCONFIGDIR": str(folder / "mpl")}
    command = [sys.executable, "-W", "error::RuntimeWarning", "-W", "error::UserWarning", str(PLOT)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path.name for path in folder.glob("*.png")}


def test_nothing_to_draw_draws_nothing(tmp_path: Path) -> None:
    (tmp_path / "baselines.json").write_text("[]")
    assert figures(tmp_path) == set()


def test_baselines_alone_are_a_frontier(tmp_path: Path) -> None:
    (tmp_path / "baselines.json").write_text(json.dumps([row("topk", "6", 5.5, f1=0.5)]))
    assert figures(tmp_path) == {"frontier.png"}


def test_runs_without_baselines_have_no_distances(tmp_path: Path) -> None:
    write_run(tmp_path, 1, {"f1": 0.5, "l0": 6.0, "density": HISTOGRAM})
    assert figures(tmp_path) == FIGURES - {"distance_by_run.png"}


@pytest.mark.parametrize("metric", ["f1", "explained_variance", "ce_score"])
def test_every_profile_has_all_figures_though_runs_lack_metrics(tmp_path: Path, metric: str) -> None:
    rows = [row(name, s, float(s), **{metric: 0.1 * int(s)}) for name in ("topk", "standard") for s in ("3", "6")]
    (tmp_path / "baselines.json").write_text(json.dumps(rows))
    write_run(tmp_path, 1, {metric: 0.5, "l0": 4.0, "density_histogram": {**HISTOGRAM, "silent": 0, "never": 4}})
    write_run(tmp_path, 2, {metric: None, "l0": 4.0})
    write_run(tmp_path, 10, {metric: 0.5, "density": HISTOGRAM})
    assert figures(tmp_path) == FIGURES


def test_distance_is_to_the_best_curve_over_log_l0(plot: ModuleType, tmp_path: Path) -> None:
    rows = [row("topk", "2", 2.0, f1=0.4), row("topk", "8", 8.0, f1=0.8), row("wide", "64", 64.0, f1=0.9)]
    rows += [row("better", "4", 4.0, f1=0.7), row("better", "4", 4.0, f1=0.7)]
    (tmp_path / "baselines.json").write_text(json.dumps(rows))
    curves = plot.read_baselines(tmp_path / "baselines.json")["f1"]

    def distance(l0: float) -> float | None:
        found = plot.distance(plot.Run(1, {"f1": 1.0, "l0": l0}, {}, {}), "f1", curves)
        return found and found[0]

    assert distance(4.0) == pytest.approx(0.3)  # better's one point
    assert distance(2 * 2**0.5) == pytest.approx(0.5)  # topk, a quarter of the way from 2 to 8 in log L0
    assert distance(8.2) == pytest.approx(0.2 - 0.4 * np.log(8.2 / 8) / np.log(4))  # topk's last segment goes on
    assert distance(9.0) is None and distance(64.0) is None  # the first baseline does not reach these


def test_interval_of_one_setting_is_that_of_one_more_run(plot: ModuleType) -> None:
    values = np.array([0.5, 0.52, 0.54])
    mean, half = plot.BaselineCurve("topk", np.log([4.0]), [values]).at(4.1)
    assert mean == pytest.approx(0.52)
    assert half == pytest.approx(4.30265 * 0.02 * (1 + 1 / 3) ** 0.5, rel=1e-5)  # t of two degrees of freedom


def test_a_baseline_that_bends_as_a_parabola_is_met_between_its_points_as_verdicts_meet_it(plot: ModuleType) -> None:
    log_l0 = np.log([2.0, 4.0, 8.0, 16.0])
    curve = plot.BaselineCurve("topk", log_l0, [np.array([value]) for value in 0.3 + 0.2 * log_l0 - 0.1 * log_l0**2])
    for l0 in (2.5, 5.0, 11.0):
        assert curve.at(l0)[0] == pytest.approx(0.3 + 0.2 * np.log(l0) - 0.1 * np.log(l0) ** 2)
