"""Draws the runs of this folder against the baselines.

    python plot.py

Reads run_*/{final_info,evaluation}.json, run_*/metrics.jsonl and baselines.json: a list of {"name", "seed", "setting",
"metrics"}, the reference baseline first. profile.json does not say which metric is primary, so each of QUALITY that is
reported has a panel. Primary is f1 for synthetic activations, explained_variance for the template's own small language
model, and ce_score for a larger one.

    frontier.png          quality against log L0: a curve for each baseline, runs by their number
    distance_by_run.png   quality over the best baseline at the run's own L0, no bars beyond the first baseline's L0
    training_curves.png   metrics.jsonl
    firing_density.png    latents by the share of rows on which they fire, best runs only

Each figure is titled by the idea. Missing numbers of a run are left out. A figure without data is not written.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullLocator
from scipy import stats

QUALITY = {"f1": "F1", "explained_variance": "explained variance", "ce_score": "loss recovered"}  # higher is better
CURVES = ("loss", "sparsity_loss", "aux_loss", "explained_variance", "l0", "dead_fraction")
END_SLACK = 0.05  # a curve goes on this far beyond its end points, relative, as it does in verdicts
BEST = 4  # runs in the density figure
NEAR_PT = 9.0  # labels of runs that lie nearer together are one
TITLE_CHARS = 90


@dataclass(frozen=True)
class Run:
    """One run_N folder: its numbers, its curves as name -> (steps, values), its density histogram if any."""

    number: int
    metrics: dict[str, float]
    curves: dict[str, tuple[list[float], list[float]]]
    density: dict[str, list[float]]


@dataclass(frozen=True)
class BaselineCurve:
    """One metric of a baseline over its settings, by rising L0: log L0 (n,), and each setting's seeds."""

    name: str
    log_l0: np.ndarray
    seeds: list[np.ndarray]

    @property
    def means(self) -> np.ndarray:
        return np.array([values.mean() for values in self.seeds])

    def reaches(self, l0: float) -> bool:
        low, high = np.exp(self.log_l0[[0, -1]])
        return bool(low * (1 - END_SLACK) <= l0 <= high * (1 + END_SLACK))

    def at(self, l0: float) -> tuple[float, float]:
        """Mean of one more run at this L0, and half its 95 % interval (0 if no setting was run twice), as in verdicts.

        The mean is that of the parabolas in log L0 through the neighbours and one point more on either side. Half the
        interval is t(m) s sqrt(1 + sum w^2/n) over the points used, with w their weights and s their pooled deviation
        with m degrees of freedom.
        """
        x, last = np.log(l0) - self.log_l0, len(self.seeds) - 1  # (n,)
        weights = np.zeros(last + 1)
        if np.abs(x).min() < 1e-9 or last == 0:
            weights[np.abs(x).argmin()] = 1.0
        else:
            left = int(np.clip(np.searchsorted(self.log_l0, np.log(l0)) - 1, 0, last - 1))
            is_inside = x[0] > 0 > x[-1] and last > 1
            starts = [s for s in (left - 1, left) if 0 <= s <= last - 2] if is_inside else [left]
            for start in starts:
                used = range(start, start + (3 if is_inside else 2))
                for i in used:
                    weights[i] += np.prod([x[j] / (x[j] - x[i]) for j in used if j != i]) / len(starts)
        near = [values for w, values in zip(weights, self.seeds, strict=True) if w]
        mean = float(weights @ self.means)
        leverage = 1 + sum(w**2 / len(values) for w, values in zip(weights, self.seeds, strict=True))
        for pool in (near, self.seeds):
            freedom = sum(len(values) - 1 for values in pool)
            squares = sum(float(((values - values.mean()) ** 2).sum()) for values in pool)
            if freedom and squares:
                return mean, float(stats.t.ppf(0.975, freedom) * np.sqrt(squares / freedom * leverage))
        return mean, 0.0


# -------------------------------------------------------------------------------------------------------------- reading


def read_json(path: Path, default: Any) -> Any:
    """The file's content, or the default if it is missing, cut short or of another type."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return default
    return content if isinstance(content, type(default)) else default


def numbers(content: dict[str, Any]) -> dict[str, float]:
    """The entries that are finite numbers."""
    return {k: float(v) for k, v in content.items() if isinstance(v, int | float) and np.isfinite(v)}


def read_title() -> str:
    """The idea's title. If its runs are a control, that is said too."""
    title = str(read_json(Path("idea.json"), {}).get("Title", ""))
    notes = Path("notes.txt")
    lines = notes.read_text(errors="replace").splitlines() if notes.is_file() else []
    control = " (control)" if any(line.startswith("control: ") for line in lines) else ""
    return title[: TITLE_CHARS - len(control)] + control


def read_curves(path: Path) -> dict[str, tuple[list[float], list[float]]]:
    """metrics.jsonl as name -> (steps, values). Lines that do not parse are skipped."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
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
    """Every run_N in order of N. A number of evaluation.json replaces one of final_info.json."""
    runs = []
    for path in folder.glob("run_*"):
        number = path.name.removeprefix("run_")
        if path.is_dir() and number.isdigit():
            found = read_json(path / "final_info.json", {}) | (evaluation := read_json(path / "evaluation.json", {}))
            density = evaluation.get("density") or evaluation.get("density_histogram") or {}
            runs.append(Run(int(number), numbers(found), read_curves(path / "metrics.jsonl"), density))
    return sorted(runs, key=lambda run: run.number)


def read_baselines(path: Path) -> dict[str, list[BaselineCurve]]:
    """The baselines' curves for each quality metric, in the file's order."""
    rows = [row for row in read_json(path, []) if isinstance(row, dict) and isinstance(row.get("metrics"), dict)]
    curves: dict[str, list[BaselineCurve]] = {}
    for metric in QUALITY:
        for name in dict.fromkeys(row.get("name", "") for row in rows):
            settings: dict[str, list[tuple[float, float]]] = {}
            for row in rows:
                found = numbers(row["metrics"])
                if row.get("name", "") == name and metric in found and found.get("l0", 0.0) > 0:
                    settings.setdefault(row.get("setting", ""), []).append((found["l0"], found[metric]))
            points: dict[float, list[float]] = {}
            for seeds in settings.values():
                points.setdefault(float(np.mean([l0 for l0, _ in seeds])), []).extend(value for _, value in seeds)
            if points:
                at = sorted(points)
                curve = BaselineCurve(name, np.log(at), [np.array(points[l0]) for l0 in at])
                curves.setdefault(metric, []).append(curve)
    return curves


def distance(run: Run, metric: str, curves: list[BaselineCurve]) -> tuple[float, float] | None:
    """The run's metric over the best baseline at its own L0, and half the baseline's 95 % interval there.

    None if either number is missing, or if the first baseline does not reach that L0.
    """
    l0 = run.metrics.get("l0", 0.0)
    if metric not in run.metrics or l0 <= 0 or not curves or not curves[0].reaches(l0):
        return None
    mean, half = max(curve.at(l0) for curve in curves if curve.reaches(l0))
    return run.metrics[metric] - mean, half


# -------------------------------------------------------------------------------------------------------------- drawing


def panels(count: int, width: float, height: float) -> tuple[plt.Figure, list[plt.Axes]]:
    figure, axes = plt.subplots(1, count, figsize=(width * count, height), squeeze=False)
    return figure, list(axes[0])


def save(figure: plt.Figure, name: str) -> None:
    width_chars = int(figure.get_figwidth() * 11)
    figure.suptitle(textwrap.fill(read_title(), width_chars).replace("$", r"\$"), fontsize=10)
    figure.tight_layout()
    figure.savefig(name, dpi=120)
    plt.close(figure)


def label_runs(axis: plt.Axes, runs: list[Run], metric: str) -> None:
    """Write the runs' numbers beside their points. Runs whose points lie together share a label. Limits must be set."""
    at = {run.number: axis.transData.transform((run.metrics["l0"], run.metrics[metric])) for run in runs}
    near = NEAR_PT * axis.figure.dpi / 72
    labels: list[list[int]] = []
    for number, place in at.items():
        found = next((label for label in labels if np.hypot(*(at[label[0]] - place)) < near), None)
        labels.append([number]) if found is None else found.append(number)
    for label in labels:
        place = axis.transData.inverted().transform(at[label[0]])
        text = ", ".join(map(str, label))
        axis.annotate(text, place, xytext=(4, 4), textcoords="offset points", fontsize=8)


def plot_frontier(runs: list[Run], curves: dict[str, list[BaselineCurve]]) -> None:
    """Draw one curve a baseline, its settings' means with one standard deviation over seeds, and runs by number."""
    placed = {m: [r for r in runs if m in r.metrics and r.metrics.get("l0", 0.0) > 0] for m in QUALITY}
    shown = [metric for metric in QUALITY if curves.get(metric) or placed[metric]]
    if not shown:
        return
    figure, axes = panels(len(shown), 5.2, 4.0)
    for axis, metric in zip(axes, shown, strict=True):
        for index, curve in enumerate(curves.get(metric, [])):
            spread = [values.std(ddof=1) if len(values) > 1 else 0.0 for values in curve.seeds]
            style = {"color": f"C{index}", "marker": ".", "lw": 1.2, "capsize": 2, "label": curve.name}
            axis.errorbar(np.exp(curve.log_l0), curve.means, spread, **style)
        points = [(run.metrics["l0"], run.metrics[metric]) for run in placed[metric]]
        if points:
            axis.plot(*zip(*points, strict=True), "o", color="black", ms=4, clip_on=False, label="runs, by number")
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel("L0, active latents per token (log)")
        axis.set_ylabel(QUALITY[metric])
        axis.margins(0.1)
        axis.set_ylim(top=min(axis.get_ylim()[1], 1.0))  # each of QUALITY is 1 at best
        label_runs(axis, placed[metric], metric)
        axis.legend(frameon=False, fontsize=8)
    save(figure, "frontier.png")


def plot_distances(runs: list[Run], curves: dict[str, list[BaselineCurve]]) -> None:
    """Draw one bar a run. One more baseline run lies on the grey line with probability 0.95."""
    found = {metric: [distance(run, metric, curves.get(metric, [])) for run in runs] for metric in QUALITY}
    shown = [metric for metric in QUALITY if any(found[metric])]
    if not shown:
        return
    figure, axes = panels(len(shown), max(4.0, 1.5 + 0.45 * len(runs)), 3.6)
    for axis, metric in zip(axes, shown, strict=True):
        axis.axhline(0, color="0.3", lw=1)
        for place, at in enumerate(found[metric]):
            if at:
                axis.bar(place, at[0], 0.6, color="C0" if at[0] > 0 else "C3")
                label = "95 % of baseline runs" if not axis.get_legend_handles_labels()[1] else None
                axis.errorbar(place, 0, at[1], color="0.5", capsize=3, label=label)
            else:
                style = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 7, "color": "0.5"}
                axis.text(place, 0.02, "not compared", transform=axis.get_xaxis_transform(), **style)
        axis.set_xticks(range(len(runs)), [str(run.number) for run in runs])
        axis.set_xlim(-0.6, len(runs) - 0.4)
        axis.legend(frameon=False, fontsize=7)
        axis.set_xlabel("run")
        axis.set_ylabel(f"{QUALITY[metric]} over the best baseline at its L0", fontsize=8)
    save(figure, "distance_by_run.png")


def plot_training(runs: list[Run]) -> None:
    """Draw training curves of all runs, one panel a quantity. A quantity that stays 0 has none."""
    names = [name for name in CURVES if any(any(run.curves.get(name, ([], []))[1]) for run in runs)]
    if not names:
        return
    figure, axes = panels(len(names), 3.2, 3.2)
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.9, len(runs)))  # (n_runs, 4)
    for axis, name in zip(axes, names, strict=True):
        for run, colour in zip(runs, colours, strict=True):
            axis.plot(*run.curves.get(name, ([], [])), color=colour, lw=1.2, label=f"run {run.number}")
        axis.set_xlabel("step")
        axis.set_title(name.replace("_", " "), fontsize=10)
    axes[-1].legend(frameon=False, fontsize=7, ncols=1 + len(runs) // 8)
    save(figure, "training_curves.png")


def plot_density(runs: list[Run], curves: dict[str, list[BaselineCurve]]) -> None:
    """Draw the number of latents by log10 of the share of rows on which they fire, for the best runs.

    The best are those farthest above the baselines, or with the best metric if there is no baseline at their L0.
    """
    drawn = [run for run in runs if {"log10_edges", "counts"} <= run.density.keys()]
    if not drawn:
        return
    metric = next((metric for metric in QUALITY if any(metric in run.metrics for run in drawn)), "")
    over = {run.number: distance(run, metric, curves.get(metric, [])) for run in drawn}
    lowest = float("-inf")
    drawn.sort(key=lambda r: ((over[r.number] or (lowest,))[0], r.metrics.get(metric, lowest)), reverse=True)
    figure, (axis,) = panels(1, 5.2, 3.6)
    for index, run in enumerate(drawn[:BEST]):
        silent = sum(np.atleast_1d(run.density.get("silent", run.density.get("never", 0))))
        label = f"run {run.number}" + (f", {silent:g} never fire" if silent else "")
        axis.stairs(run.density["counts"], run.density["log10_edges"], color=f"C{index}", lw=1.4, label=label)
    axis.set_xlabel("log10 of the share of rows on which a latent fires")
    axis.set_ylabel("latents")
    axis.legend(frameon=False, fontsize=8)
    save(figure, "firing_density.png")


def main() -> None:
    runs, curves = read_runs(Path()), read_baselines(Path("baselines.json"))
    plot_frontier(runs, curves)
    plot_distances(runs, curves)
    plot_training(runs)
    plot_density(runs, curves)


if __name__ == "__main__":
    main()
