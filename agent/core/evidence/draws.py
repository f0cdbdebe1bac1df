"""Several draws of one code: their summary, and signs that the seed did not reach them."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.code.source import parse
from agent.core.evidence.baseline import Baseline, verdict_of
from agent.core.evidence.numbers import is_cost
from agent.core.evidence.verdict import Verdict
from agent.core.inputs.spec import Metric, TemplateSpec
from agent.core.journal.kinds import Measured

__all__ = ["Draws", "doubt_repeat", "doubt_seed", "summarise_draws"]

SEED: Final = "SCIENTIST_SEED"
ROUNDING: Final = 1e-9  # of a number


@dataclass(frozen=True, slots=True)
class Draws:
    """Results of one code with several seeds, in one metric. deviation: None for a single seed.

    verdicts: of each seed. verdict: of the mean, held against the band of one more run.
    """

    mean: float
    deviation: float | None
    verdicts: Mapping[int, Verdict | None]
    verdict: Verdict | None


def summarise_draws(
    spec: TemplateSpec, metric: Metric, results: Mapping[int, Measured], baselines: Sequence[Baseline]
) -> Draws | None:
    """The summary of results by seed. None if none has the metric."""
    scored = {seed: measured for seed, measured in results.items() if metric.name in measured.values}
    if not scored:
        return None
    shared = set.intersection(*(set(measured.values) for measured in scored.values()))
    mean = Measured(
        {name: statistics.fmean(m.values[name] for m in scored.values()) for name in shared},
        next((m.self_reported for m in scored.values() if m.self_reported), ""),
        doubt=next((m.doubt for m in scored.values() if m.doubt), ""),
    )
    values = [measured.values[metric.name] for measured in scored.values()]
    return Draws(
        mean.values[metric.name],
        statistics.stdev(values) if len(values) > 1 else None,
        {seed: verdict_of(spec, metric, measured, baselines) for seed, measured in scored.items()},
        verdict_of(spec, metric, mean, baselines),
    )


def doubt_seed(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Why a run of the code `after` is no draw like the baseline's, which was made by the code `before`; else ""."""
    had, has = _find_uses(before), _find_uses(after)
    if has.sets and not had.sets:
        return f"the code sets {SEED} itself, so its seed was chosen and not drawn"
    if had.reads and not has.reads:
        return f"the code no longer reads {SEED}, so its seed was chosen and not drawn"
    return ""


@dataclass(frozen=True, slots=True)
class _Uses:
    """Whether Python code reads the variable, and whether it sets it. Comments and docstrings do not count."""

    reads: bool
    sets: bool


def _find_uses(files: Mapping[str, str]) -> _Uses:
    named, setting = 0, 0
    for name, text in files.items():
        if not name.endswith(".py") or SEED not in text:
            continue
        tree = parse(text)
        if not isinstance(tree, ast.Module):
            return _Uses(reads=True, sets=False)
        nodes = list(ast.walk(tree))
        named += sum(_is_seed(node) for node in nodes)
        setting += sum(map(_sets_seed, nodes))
    return _Uses(reads=named > setting, sets=setting > 0)


def _sets_seed(node: ast.AST) -> bool:
    """Whether it gives the variable a value: os.environ["SCIENTIST_SEED"] = "7", os.environ |= {"SCIENTIST_SEED": "7"},
    os.putenv("SCIENTIST_SEED", "7"), or os.environ.update of either form.
    """
    if isinstance(node, ast.AugAssign):
        return isinstance(node.value, ast.Dict) and any(map(_is_seed, node.value.keys))
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Store) and _is_seed(node.slice)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    first = node.args[0] if node.args else None
    if node.func.attr == "putenv":
        return _is_seed(first)
    keys = first.keys if isinstance(first, ast.Dict) else []
    return node.func.attr == "update" and any(map(_is_seed, [*keys, *node.keywords]))


def _is_seed(node: ast.AST | None) -> bool:
    """Whether it names the variable: in quotes, or as a keyword."""
    named = node.value if isinstance(node, ast.Constant) else node.arg if isinstance(node, ast.keyword) else None
    return named == SEED


def doubt_repeat(spec: TemplateSpec, values: Mapping[str, float], earlier: Mapping[int, Mapping[str, float]]) -> str:
    """Why a run shows nothing that an earlier run of the same code had not shown. "" if it does.

    earlier: the values of those runs, by number. Times differ from run to run. Numbers that move in steps may be equal.
    """
    if spec.deterministic:
        return _doubt_sameness(spec, values, earlier)
    steps = {metric.name for metric in spec.metrics if metric.resolution > 0}
    controls = {control.name for control in spec.controls}
    for run, known in earlier.items():
        shared = [name for name in values if name in known and name not in controls]
        told = [name for name in shared if name not in steps and not is_cost(name, spec.metrics)]
        if told and all(values[name] == known[name] for name in {*told, *(steps & set(shared))}):
            return f"it gave the very numbers of run {run} with another seed, so the seed does not reach the code"
    return ""


def _doubt_sameness(spec: TemplateSpec, values: Mapping[str, float], earlier: Mapping[int, Mapping[str, float]]) -> str:
    """Why the template is not as deterministic as it says. Rounding does not count."""
    for run, known in earlier.items():
        for name in values:
            if name in known and not is_cost(name, spec.metrics):
                apart = abs(values[name] - known[name])
                if apart > ROUNDING * max(abs(values[name]), abs(known[name])):
                    said = f"template.toml says deterministic = true, and the same code gave {name} {known[name]:.6g}"
                    return f"{said} in run {run} and {values[name]:.6g} here"
    return ""
