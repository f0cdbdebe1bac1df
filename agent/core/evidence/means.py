"""Metrics of AI-Scientist's layout of final_info.json: all numbers under `means`, by their names there."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from agent.core.evidence.numbers import finite_number, read_number
from agent.core.text.plain import plain_line

__all__ = ["NO_MEANS", "means_metrics", "means_paths", "means_problems"]

MOST_MEANS: Final = 100
MOST_PROBLEMS: Final = 20
NAME_CHARS: Final = 80
KEY_CHARS: Final = 200
NO_MEANS: Final = "has no number under `means`"
_NOT_FINITE: Final = frozenset({"nan", "inf", "infinity"})


@dataclass(frozen=True, slots=True)
class _Node:
    """Something under `means`: its metric's name, its names with the data set and without, keys from the top, value."""

    name: str
    names: tuple[str, ...]
    path: tuple[str, ...]
    value: object


def means_paths(final_info: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Paths of the finite numbers under `means`, by metric name.

    {"set": {"means": {"loss": 1.0}, ...}} gives "loss", or "set.loss" if several sets have means.
    {"set": {"means": 1.0}} gives "set", {"means": {"loss": 1.0}} gives "loss", and {"means": {"val": {"loss": 1.0}}}
    gives "val.loss", after all names of one key. Every other key is ignored. Names are one line each, at most
    MOST_MEANS of them, because an experiment chose them.
    """
    numbers = (node for node in _find_means(final_info) if not isinstance(finite_number(node.value), str))
    ordered = sorted(numbers, key=lambda node: len(node.path))
    paths = {plain_line(node.name, NAME_CHARS): node.path for node in islice(ordered, MOST_MEANS)}
    paths.pop("", None)
    return paths


def means_metrics(final_info: Mapping[str, object]) -> dict[str, float]:
    """The numbers that means_paths finds."""
    found = {name: read_number(final_info, path) for name, path in means_paths(final_info).items()}
    return {name: value for name, value in found.items() if value is not None}


def means_problems(final_info: Mapping[str, object], known: Collection[str], file: str) -> tuple[str, ...]:
    """A sentence for each metric that is not usable.

    Those are: what is NaN or infinite, also in words or in a list; a name of `known` that is missing or no number. If
    none is known, null and a number in a string are problems as well.
    """
    names: set[str] = set()
    problems: list[str] = []
    has_number = False
    for node in _find_means(final_info):
        own = {plain_line(name, NAME_CHARS) for name in node.names}
        names |= own
        problem = finite_number(node.value)
        if not isinstance(problem, str):
            has_number = True
        elif own.intersection(known) or _is_not_finite(node.value) or (not known and _is_lost(node.value)):
            problems.append(f"{plain_line(node.name, NAME_CHARS)} ({file}: {list(node.path)}) {problem}")
    problems += [
        f"{name}, which the baseline has under `means` of {file}, is missing" for name in known if name not in names
    ]
    if not has_number:
        problems.insert(0, f"{file} {NO_MEANS}")
    more = len(problems) - MOST_PROBLEMS
    return (*problems[:MOST_PROBLEMS], *([f"{more} more metrics are not usable"] if more > 0 else []))


def _is_not_finite(value: object) -> bool:
    """Whether the value stands for a number that is not finite: as a number, or as a string such as "-inf"."""
    if isinstance(value, str):
        return value.strip().lstrip("+-").lower() in _NOT_FINITE
    if isinstance(value, list):
        return any(isinstance(item, float) and not math.isfinite(item) for item in value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and isinstance(finite_number(value), str)


def _is_lost(value: object) -> bool:
    """Whether the value would be a metric if it were written as a number: null, or a string such as "1.5"."""
    if not isinstance(value, str):
        return value is None
    try:
        float(value)
    except ValueError:
        return False
    return True


def _find_means(final_info: Mapping[str, object]) -> Iterator[_Node]:
    top = final_info.get("means")
    if top is not None and not (isinstance(top, Mapping) and "means" in top):
        yield from _nodes_under("means", top, ("means",), is_only=True)
        return
    sets = [
        (name, value["means"]) for name, value in final_info.items() if isinstance(value, Mapping) and "means" in value
    ]
    for dataset, means in sets:
        yield from _nodes_under(dataset, means, (dataset, "means"), is_only=len(sets) == 1)


def _nodes_under(dataset: str, means: object, path: tuple[str, ...], *, is_only: bool) -> Iterator[_Node]:
    """All values under the `means` of one data set, in their order. It goes by the set's name itself, if
    it is a number.
    """
    yield _Node(dataset[:KEY_CHARS], (dataset[:KEY_CHARS],), path, means)
    if not isinstance(means, Mapping):
        return
    waiting: list[tuple[tuple[str, ...], object]] = [((str(key),), value) for key, value in _reversed(means)]
    while waiting:
        keys, value = waiting.pop()
        name = ".".join(key[:KEY_CHARS] for key in keys)  # not whole: a long one may have many below it
        both = (name, f"{dataset[:KEY_CHARS]}.{name}")
        yield _Node(both[0 if is_only else 1], both, (*path, *keys), value)
        if isinstance(value, Mapping):
            waiting += [((*keys, str(key)), inner) for key, inner in _reversed(value)]


def _reversed(items: Mapping[str, object]) -> list[tuple[str, object]]:
    return list(items.items())[::-1]
