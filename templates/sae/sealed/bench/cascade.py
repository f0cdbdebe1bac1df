"""Decides which evaluations an SAE gets, and says why it does not get the others.

hidden.evaluations = {"every_run": [...], "when_not_dominated": [...], "on_demand": [...], "primary": "ce_score",
"resolution": 0.001}. A run is dominated if at its own L0 its primary metric (higher is better) lies below the best
baseline by more than the resolution. A baseline is interpolated linearly in log L0 between the means of its settings.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bench.evaluations import EVALUATIONS
from encoder.faults import CannotEvaluate

DEFAULT = {"every_run": ["core"], "when_not_dominated": ["sparse_probing"], "primary": "ce_score", "resolution": 0.001}
ABSORPTION_PARAMETERS = 10**9
ABSORPTION_LATENTS = 16384


def read_plan(hidden: Mapping[str, Any], also: Collection[str]) -> dict[str, Any]:
    """The profile's cascade with its defaults. `also` names evaluations that were asked for besides.

    Raises: CannotEvaluate if it names an evaluation that does not exist, or core is not among those of every run.
    """
    plan = {**DEFAULT, "on_demand": [], **hidden.get("evaluations", {})}
    named = [*plan["every_run"], *plan["when_not_dominated"], *plan["on_demand"], *also]
    unknown = sorted(set(named) - EVALUATIONS.keys())
    if unknown:
        raise CannotEvaluate(f"unknown evaluation {', '.join(unknown)}; there are {', '.join(EVALUATIONS)}")
    if "core" not in plan["every_run"]:
        raise CannotEvaluate("hidden.evaluations.every_run lacks core, on which the rest depends")
    return plan


def frontier(baselines: Iterable[Mapping[str, Any]], metric: str, l0: float) -> float | None:
    """The best baseline's metric at this L0. None if no baseline has two settings around it, or one at it.

    baselines: {"name", "setting", "metrics": {"l0", metric, ...}}, several seeds a setting.
    """
    settings: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in baselines:
        values = row.get("metrics", {})
        if usable(values.get("l0")) and values["l0"] > 0 and usable(values.get(metric)):
            settings[row["name"]][str(row.get("setting"))].append((math.log(values["l0"]), values[metric]))
    at = math.log(l0) if l0 > 0 else -math.inf
    found = [
        value for points in settings.values() if (value := interpolate(map(mean, points.values()), at)) is not None
    ]
    return max(found, default=None)


def mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def interpolate(points: Iterable[tuple[float, float]], at: float) -> float | None:
    """The value at `at`, linear between the points next to it. None outside the points."""
    ordered = sorted(points)
    for (x, y), (x2, y2) in itertools.pairwise(ordered):
        if x <= at <= x2:
            return y if x == x2 else y + (y2 - y) * (at - x) / (x2 - x)
    return next((y for x, y in ordered if math.isclose(x, at, abs_tol=1e-9)), None)


def usable(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def dominated(core: Mapping[str, Any], plan: Mapping[str, Any], baselines: Collection[Mapping[str, Any]]) -> str | None:
    """The reason why the run counts as dominated. None if it does not, or if no baseline has its L0."""
    metric, l0 = plan["primary"], core["l0"]
    if metric not in core:
        raise CannotEvaluate(f"hidden.evaluations.primary {metric!r} is not among core's metrics")
    best = frontier(baselines, metric, l0)
    if best is None or core[metric] >= best - plan["resolution"]:
        return None
    return f"dominated: {metric} {core[metric]:.4f} at L0 {l0:.1f}, where the best baseline has {best:.4f}"


def absorption_is_void(
    core: Mapping[str, Any], plan: Mapping[str, Any], baselines: Collection[Mapping[str, Any]]
) -> str | None:
    """The reason why absorption would say nothing: an SAE that reconstructs little seems to absorb little.

    None if it explains as much variance as the baselines, or if there are none.
    """
    if not baselines:
        return None
    best, reached = frontier(baselines, "explained_variance", core["l0"]), core["explained_variance"]
    if best is None:
        return f"void: no baseline at L0 {core['l0']:.1f} tells which explained variance it must reach"
    if reached < best - plan["resolution"]:
        return f"void: explained variance {reached:.4f} does not reach the baselines' {best:.4f}"
    return None


def absorption_means_nothing(parameters: int, d_sae: int) -> str | None:
    """The reason why sizes are too small for absorption: the model cannot spell, or its latents do not split.

    parameters: those of the language model without its embeddings.
    """
    if parameters < ABSORPTION_PARAMETERS:
        return f"needs a language model of at least 1B parameters, this one has {parameters / 1e6:.1f} M"
    if d_sae < ABSORPTION_LATENTS:
        return f"needs at least {ABSORPTION_LATENTS} latents, this SAE has {d_sae}"
    return None
