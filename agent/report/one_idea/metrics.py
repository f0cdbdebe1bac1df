"""The numbers of a run in the order in which a person reads them: the one that counts first, identities apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from agent.core.inputs.spec import Metric, TemplateSpec
from agent.core.prompt.render import number

__all__ = ["is_identity", "order_metrics", "say_metrics", "say_value", "set_apart"]

# "data_id", "eval_seed", "git.sha256": the last word names something, and measures nothing
_IDENTITY: Final = re.compile(r"(?:^|[_.\s/-])(?:ids?|uuid|hash|digest|checksum|sha\d*|md5|seeds?)$", re.IGNORECASE)


def is_identity(name: str) -> bool:
    """Whether a number names data, code or a seed, so that its size says nothing."""
    return _IDENTITY.search(name) is not None


def order_metrics(values: Mapping[str, float], spec: TemplateSpec, primary: Metric | None) -> list[str]:
    """Names of the numbers: the primary metric, the axis of the frontier, other metrics as declared, then the rest.

    Controls and identities come last, whatever else is said of them.
    """
    first = [primary.name if primary else "", spec.frontier]
    order = [*first, *(metric.name for metric in spec.metrics)]
    places = {name: place for place, name in reversed(list(enumerate(order))) if name}
    controls = {control.name for control in spec.controls} - set(first)

    def rank(name: str) -> tuple[bool, int]:
        return name not in first and (is_identity(name) or name in controls), places.get(name, len(order))

    return sorted(values, key=rank)


def set_apart(spec: TemplateSpec, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The numbers that are no results: controls, which only have to equal the baseline's, and identities."""
    controls = {control.name for control in spec.controls} - {spec.frontier}
    return [n for n in names if n in controls], [n for n in names if is_identity(n) and n not in controls]


def say_metrics(values: Mapping[str, float], names: Sequence[str], most: int | None = None) -> str:
    """As "score=0.98 steps=40 and 3 more"."""
    shown = " ".join(f"{name}={say_value(values[name])}" for name in names[:most])
    more = len(names) - len(names[:most])
    return f"{shown} and {more} more" if more else shown


def say_value(value: float) -> str:
    """Four digits, but counts whole: tokens, widths, identities."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else number(value)
