"""Draws the runs of this folder: primary metric against the baseline, training curves, F1 against L0.

    python plot.py

Reads run_*/{final_info,evaluation}.json and run_*/metrics.jsonl, and baselines.json if it is there: a list of
{"name", "seed", "metrics": {metric: value}}. Writes f1_by_run.png, training_curves.png and f1_against_l0.png.
A run that lacks a metric is left out of that figure; a figure without data is not written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from scipy import stats

PRIMARY = "f1"
CURVES = ("loss", "explained_variance", "l0", "dead_fraction")


@dataclass(frozen=True)
class Run:
    """One run_N folder: its numbers, and its curves as name -> (steps, values)."""

    name: str
    metrics: dict[str, float]
    curves: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)


def read_json(path: Path, default: object) -> object:
    """The file's content, or the default where it is missing or cut short."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return default


def read_curves(path: Path) -> dict[str, tuple[list[float], list[float]]]:
    """metrics.jsonl as name -> (steps, values); lines that do not parse are skipped."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    if not path.is_file():
        return curves
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
            step, name, value = float(row["step"]), row["name"], float(row["value"])
        except (ValueError, KeyError, TypeError):
            continue
        steps, values = curves.setdefault(name, ([], []))
        steps.append(step)
        values.append(value)
    return curves


def read_runs(folder: Path) -> list[Run]:
    """Every run_N in order of N; numbers of evaluation.json win over those of final_info.json."""
    runs = []
    for path in folder.glob("run_*"):
        if not path.is_dir() or not path.name.removeprefix("run_").isdigit():
            continue
        merged = {}
        for name in ("final_info.json", "evaluation.json"):
            content = read_json(path / name, {})
            merged.update(content if isinstance(content, dict) else {})
        metrics = {k: float(v) for k, v in merged.items() if isinstance(v, int | float) and np.isfinite(v)}
        runs.append(Run(path.name, metrics, read_curves(path / "metrics.jsonl")))
    return sorted(runs, key=lambda run: int(run.name.removeprefix("run_")))


def read_baselines(path: Path) -> list[dict[str, float]]:
    """The metrics of every baseline run; empty without the file."""
    rows = read_json(path, [])
    return [row["metrics"] for row in rows if isinstance(row, dict) and isinstance(row.get("metrics"), dict)]


def values_of(rows: list[dict[str, float]], name: str) -> np.ndarray:
    """That metric of the rows that have it as a finite number, (n,)."""
    found = [row[name] for row in rows if isinstance(row.get(name), int | float)]
    return np.array([value for value in found if np.isfinite(value)], dtype=float)


def save(figure: plt.Figure, name: str) -> None:
    figure.tight_layout()
    figure.savefig(name, dpi=120)
    plt.close(figure)


def prediction_half_width(values: np.ndarray) -> float:
    """Half of the 95 % interval in which one more run is expected: t(n-1) s sqrt(1 + 1/n); 0 for a single value."""
    n = len(values)
    if n < 2:
        return 0.0
    return float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / n))


def plot_primary(runs: list[Run], baselines: list[dict[str, float]]) -> None:
    """One dot per run; the band is where one more baseline run is expected."""
    scored = [run for run in runs if PRIMARY in run.metrics]
    reference = values_of(baselines, PRIMARY)
    if not scored and not len(reference):
        return
    figure, axis = plt.subplots(figsize=(max(5.0, 1.5 + 0.6 * len(scored)), 3.6))
    if len(reference):
        mean, spread = reference.mean(), prediction_half_width(reference)
        axis.axhline(mean, color="0.4", lw=1)
        label = (
            f"baseline, 95 % band for one run from {len(reference)} seeds"
            if len(reference) > 1
            else "baseline, one seed"
        )
        axis.axhspan(mean - spread, mean + spread, color="0.85", label=label)
    positions = np.arange(len(scored))
    axis.plot(positions, [run.metrics[PRIMARY] for run in scored], "o", color="C0", label="runs")
    axis.set_xticks(positions, [run.name for run in scored], rotation=45, ha="right")
    axis.set_xlim(-0.6, max(len(scored), 1) - 0.4)
    axis.set_ylabel("F1 on held-out samples")
    axis.margins(y=0.2)
    axis.legend(frameon=False, fontsize=8)
    save(figure, "f1_by_run.png")


def plot_curves(runs: list[Run]) -> None:
    """Training curves of all runs, one panel a quantity."""
    names = [name for name in CURVES if any(name in run.curves for run in runs)]
    if not names:
        return
    figure, axes = plt.subplots(1, len(names), figsize=(3.4 * len(names), 3.2), squeeze=False)
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.9, len(runs)))  # (n_runs, 4)
    for axis, name in zip(axes[0], names, strict=True):
        for run, colour in zip(runs, colours, strict=True):
            if name in run.curves:
                axis.plot(*run.curves[name], color=colour, lw=1.2, label=run.name)
        axis.set_xlabel("step")
        axis.set_title(name.replace("_", " "), fontsize=10)
        if name == "dead_fraction":
            axis.set_ylim(-0.02, max(0.2, axis.get_ylim()[1]))
    axes[0][-1].legend(frameon=False, fontsize=7, ncols=1 + len(runs) // 8)
    save(figure, "training_curves.png")


def plot_tradeoff(runs: list[Run], baselines: list[dict[str, float]]) -> None:
    """F1 against L0; the shaded strip is the L0 at which runs may be compared, 10 % around the baseline's mean."""
    scored = [run for run in runs if PRIMARY in run.metrics and "l0" in run.metrics]
    both = [row for row in baselines if len(values_of([row], PRIMARY)) and len(values_of([row], "l0"))]
    if not scored and not both:
        return
    figure, axis = plt.subplots(figsize=(5.0, 3.8))
    if both:
        l0 = values_of(both, "l0")
        axis.axvspan(0.9 * l0.mean(), 1.1 * l0.mean(), color="0.9", label="comparable L0")
        axis.plot(l0, values_of(both, PRIMARY), "x", color="0.3", label="baseline seeds")
    axis.plot([run.metrics["l0"] for run in scored], [run.metrics[PRIMARY] for run in scored], "o", label="runs")
    for run in scored:
        axis.annotate(
            run.name.removeprefix("run_"),
            (run.metrics["l0"], run.metrics[PRIMARY]),
            textcoords="offset points",
            xytext=(5, 4),
            fontsize=8,
        )
    axis.set_xlabel("L0, mean active latents per token")
    axis.set_ylabel("F1")
    axis.margins(0.15)
    axis.legend(fontsize=8)
    save(figure, "f1_against_l0.png")


def main() -> None:
    runs = read_runs(Path())
    baselines = read_baselines(Path("baselines.json"))
    plot_primary(runs, baselines)
    plot_curves(runs)
    plot_tradeoff(runs, baselines)


if __name__ == "__main__":
    main()
