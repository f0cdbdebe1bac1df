"""`offline/sweep`: the embedded model. It searches marked constants and implements no idea: a control, and says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from zlib import crc32

from agent.core.code.search_marks import SearchRange, Setting, search_ranges
from agent.core.evidence.verdict import VerdictKind, judge_best
from agent.core.journal.kinds import Purpose
from agent.core.prompt.view import RowView, TurnView
from agent.edges.model.protocol import FREE, ModelReply, Request
from agent.edges.system.large_imports import import_large
from agent.errors import ProviderRefused

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SWEEP = "offline/sweep"
CONTROL = "control: hyper-parameter sweep; the idea was not implemented"


class SweepModel:
    """Reads the view of a request, not its messages. A seeded Optuna chooses the next values from the past rows."""

    name = SWEEP
    window_tokens = None
    takes_files = True

    def ask(self, request: Request) -> ModelReply:
        """The next trial, or the closing words of the study.

        Raises: ProviderRefused if no run file marks a search range.
        """
        view = request.view
        match view.purpose:
            case Purpose.PLOT:
                text = f"{CONTROL}.\n\nplot.py draws what a sweep needs; it is run as it is.\n"
            case Purpose.NOTES:
                text = _notes(view)
            case _:
                text = _next_trial(view)
        return ModelReply(text, SWEEP, FREE)


def ranges_in(files: Mapping[str, str]) -> dict[str, tuple[SearchRange, ...]]:
    """Search ranges by file, of the files that have any."""
    found = {name: search_ranges(text) for name, text in files.items() if name.endswith(".py")}
    return {name: ranges for name, ranges in found.items() if ranges}


def _next_trial(view: TurnView) -> str:
    by_file = ranges_in({name: text for name, text in view.files.items() if name in view.spec.editable})
    if not by_file:
        raise ProviderRefused(SWEEP, f"no search range is marked in {', '.join(view.spec.run_files)}")
    ranges = {r.name: r for found in by_file.values() for r in found}
    values = _suggest(view, ranges)
    changed = {name: value for name, value in values.items() if value != ranges[name].value}
    said = ", ".join(f"{name}={_show(value)}" for name, value in changed.items())
    parts = [f"{CONTROL}.\n"]
    primary = view.primary.name if view.primary else ""
    has_band = any(row.deviations.get(primary) is not None for row in view.baselines)
    where = "inside the baseline's band" if has_band else "as it was"
    refuted = f"{primary} stays {where}" if primary else "nothing improves"
    parts.append(f"PLAN:\n{view.state.run.number}. {said}; no improvement if {refuted}\n")
    for file, found in by_file.items():
        parts += [_block(file, r, changed[r.name]) for r in found if r.name in changed]
    return "\n".join(parts)


def _block(file: str, found: SearchRange, value: Setting) -> str:
    return (
        f"{file}\n```python\n<<<<<<< SEARCH\n{found.line}\n=======\n{found.with_value(value)}\n>>>>>>> REPLACE\n```\n"
    )


def _suggest(view: TurnView, ranges: Mapping[str, SearchRange]) -> dict[str, Setting]:
    """The next point. It always differs from the present values."""
    optuna: Any = import_large("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {name: _distribution(r) for name, r in ranges.items()}
    lower = view.primary is not None and view.primary.direction == "lower"
    run = view.state.run
    seed = crc32(view.state.launched.workspace.encode()) + 1000 * run.number + run.attempt
    study = optuna.create_study(
        direction="minimize" if lower else "maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=4),
    )
    for row in (judged.row for judged in view.rows):
        score = row.values.get(view.primary.name) if view.primary else None
        if score is not None and set(row.settings) >= set(space):
            inside = {name: row.settings[name] for name in space if _inside(ranges[name], row.settings[name])}
            if len(inside) == len(space):
                study.add_trial(optuna.create_trial(params=inside, distributions=space, value=score))
    for _ in range(20):
        chosen = dict(study.ask(space).params)
        values = {name: _rounded(ranges[name], value) for name, value in chosen.items()}
        if any(values[name] != ranges[name].value for name in ranges):
            return values
    raise ProviderRefused(SWEEP, "the marked search ranges leave nothing to try")


def _distribution(r: SearchRange) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if r.choices:
        return CategoricalDistribution(list(r.choices))
    if r.integer:
        return IntDistribution(int(r.low), int(r.high), log=r.log)
    return FloatDistribution(r.low, r.high, log=r.log)


def _inside(found: SearchRange, value: Setting) -> bool:
    """Whether an earlier value lies in the range as it is marked now."""
    if found.choices:
        return value in found.choices
    low, high = (int(found.low), int(found.high)) if found.integer else (found.low, found.high)
    return isinstance(value, int | float) and low <= value <= high


def _rounded(r: SearchRange, value: Setting) -> Setting:
    """The value in three significant digits, as a person would write it."""
    if isinstance(value, float):
        return min(max(float(f"{value:.3g}"), r.low), r.high)
    return value


def _show(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _notes(view: TurnView) -> str:
    name = view.primary.name if view.primary else ""
    scored = [judged for judged in view.rows if judged.row.completed and name in judged.row.values]
    lower = view.primary is not None and view.primary.direction == "lower"
    lines = ["", "## Summary", "", CONTROL, ""]
    if scored:
        fair = [v for v in scored if not (v.verdict and v.verdict.kind is VerdictKind.NOT_COMPARABLE)] or scored
        judged = (min if lower else max)(fair, key=lambda v: _lead(view, v, name))
        best = judged.row
        verdict = judged.verdict and judge_best(judged.verdict, best.values[name], len(fair))
        settings = ", ".join(f"{key}={_show(value)}" for key, value in best.settings.items())
        said = f": {verdict.kind.value}. {verdict.reason}" if verdict else "."
        lines += [f"Of {len(scored)} completed trials run {best.run} is best, {name} = {best.values[name]:.4g}{said}"]
        lines += [
            f"Its settings: {settings}.",
            "A best of several runs is chosen by its luck too: only fresh seeds can confirm it.",
        ]
    body = "\n".join(lines)
    return f"{CONTROL}.\n\nnotes.txt\n```\n<<<<<<< SEARCH\n=======\n{body}\n>>>>>>> REPLACE\n```\n"


def _lead(view: TurnView, judged: RowView, name: str) -> float:
    """The run's number, along a frontier its distance from it."""
    bar = judged.verdict.baseline_mean if view.spec.frontier and judged.verdict else None
    return judged.row.values[name] - (bar or 0.0)
