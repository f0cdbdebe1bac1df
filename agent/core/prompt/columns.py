"""The few metrics that stand beside each past run: the primary, those that the idea names, those that moved most."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from agent.core.inputs.spec import Metric
from agent.core.prompt.view import TurnView

__all__ = ["MOST_COLUMNS", "choose_columns"]

MOST_COLUMNS: Final = 4
NOISE: Final = 0.01  # of a value, if neither spread nor resolution is known
_WHOLE: Final = 100.0  # for a name that is written out
# "val", "acc", "99" in "val_acc_99"
_PART: Final = re.compile(r"[A-Za-z]+|\d+")
# How words are shortened in names of metrics.
_SHORT: Final = {
    "accuracy": "acc", "validation": "val", "evaluation": "eval", "average": "avg", "standard": "std",
    "perplexity": "ppl", "iterations": "iter", "steps": "step", "losses": "loss", "errors": "error",
    "training": "train", "testing": "test", "seconds": "s",
}  # fmt: skip


def choose_columns(view: TurnView) -> tuple[str, ...]:
    """The metrics of the rows, the same for all of them.

    The primary metric and the frontier come first. Of declared metrics those follow that plan or idea name, those that
    have a target, and those that moved most in the last run. If none is declared, names with dots are groups, such as
    data sets: one kind of number is shown for each group before a second kind is.
    """
    values = _values(view)
    declared = {metric.name: metric for metric in view.spec.metrics}
    names = [name for name in declared or values if name in values]
    first = [name for name in (view.primary.name if view.primary else "", view.spec.frontier) if name in values]
    said = _said(view)
    moved = {name: _moved(name, values[name], declared.get(name), view) for name in names}
    if declared:
        order = sorted(names, key=lambda name: (-_mention(name, said), declared[name].target is None, -moved[name]))
    else:
        order = _across_groups(names, {name: (_mention(name, said), moved[name]) for name in names})
    return tuple(dict.fromkeys((*first, *order)))[:MOST_COLUMNS]


def _values(view: TurnView) -> Mapping[str, float]:
    """All metrics that a completed run has, with the newest values."""
    found: dict[str, float] = {}
    for judged in view.rows:
        found |= judged.row.values if judged.row.completed else {}
    return found


def _said(view: TurnView) -> tuple[str, frozenset[str]]:
    """The words of plan and idea, whole and in parts, with long words also as names shorten them."""
    text = "\n".join([*(item.text for item in view.plan), *(str(v) for v in view.idea.details().values())])
    parts = {part.lower() for part in _PART.findall(text)}
    return text, frozenset(parts | {_SHORT[part] for part in parts if part in _SHORT})


def _mention(name: str, said: tuple[str, frozenset[str]]) -> float:
    """How much of a metric's name plan and idea hold: all of it as it is written, or so many of its parts."""
    text, words = said
    kind = _split(name)[1]
    if len(kind) > 1 and re.search(rf"(?<!\w){re.escape(kind)}(?!\w)", text):
        return _WHOLE + (name in text)
    parts = [part.lower() for part in _PART.findall(kind) if part not in ("mean", "final")]
    hits = sum(part in words for part in parts)
    return hits * hits / len(parts) if hits > 1 or hits == len(parts) > 0 else 0.0


def _split(name: str) -> tuple[str, str]:
    """Group and kind of a metric: ("x_div_y", "val_acc") of "x_div_y.val_acc", ("", "loss") of "loss"."""
    group, dot, kind = name.partition(".")
    return (group, kind) if dot else ("", name)


def _moved(name: str, value: float, metric: Metric | None, view: TurnView) -> float:
    """The distance from the baseline, else from the first completed run, in units of what means nothing."""
    known = [row.means[name] for row in view.baselines if name in row.means]
    earlier = [v.row.values[name] for v in view.rows[:-1] if v.row.completed and name in v.row.values]
    bar = next(iter(known or earlier), value)
    spread = next((row.deviations.get(name) for row in view.baselines if name in row.means), None)
    scale = max(spread or 0.0, metric.resolution if metric else 0.0) or NOISE * max(abs(value), abs(bar))
    return abs(value - bar) / scale if scale > 0 else 0.0


def _across_groups(names: Sequence[str], weight: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names kind by kind, the weightiest kind first, each in the order of its groups."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_split(name)[1], []).append(name)
    ordered = sorted(kinds.values(), key=lambda group: tuple(-max(weight[n][i] for n in group) for i in (0, 1)))
    return [name for group in ordered for name in group]
