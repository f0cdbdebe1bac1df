"""Results files of a run: final_info.json and evaluation.json as values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Final

from agent.core.inputs.spec import Metric, Source
from agent.core.text.plain import plain_line

__all__ = [
    "ABSENT",
    "Absent",
    "Results",
    "ResultsProblem",
    "means_metrics",
    "means_paths",
    "parse_results",
    "read_number",
    "read_path",
]

NAME_CHARS: Final = 80
MOST_MEANS: Final = 100
FILE_NAMES: Final[dict[Source, str]] = {"final_info": "final_info.json", "evaluation": "evaluation.json"}


class Absent(Enum):
    """The type of ABSENT, which read_path returns if a path leads nowhere. (null is a value.)"""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Results:
    """A valid results file: `values` by metric name, all finite, and `data`, the whole object with null for NaN."""

    source: Source
    values: dict[str, float]
    data: dict[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResultsProblem:
    """Why a results file cannot be used: one sentence a problem. Each names the file."""

    source: Source
    problems: tuple[str, ...]


class _BadJson(ValueError):
    """JSON that the standard parser would accept and this reader does not."""


def parse_results(
    text: str | None,
    metrics: Sequence[Metric],
    source: Source,
    *,
    max_chars: int = 64_000_000,
    max_depth: int = 100,
) -> Results | ResultsProblem:
    """Read the text of `source`.json, None if there is no such file, and the declared metrics that come from it.

    A declared metric must be there, a number and finite. An optional one may be absent or null. In all other places NaN
    and Infinity become null.
    """
    name = FILE_NAMES[source]
    if text is None:
        return ResultsProblem(source, (f"{name} was not written",))
    if len(text) > max_chars:
        return ResultsProblem(source, (f"{name} has {len(text):,} characters, more than the {max_chars:,} allowed",))
    try:
        raw = json.loads(text, object_pairs_hook=_object_of)
        data = _cleaned(raw, max_depth)
    except _BadJson as error:
        return ResultsProblem(source, (f"{name} cannot be used: {error}",))
    except RecursionError:
        return ResultsProblem(source, (f"{name} cannot be used: it is nested too deeply",))
    except ValueError as error:
        return ResultsProblem(source, (f"{name} is not valid JSON: {error}",))
    if not isinstance(data, dict):
        return ResultsProblem(source, (f"{name} holds {_name_type(data)}, not an object",))
    values, problems = _read_metrics(raw, [metric for metric in metrics if metric.source == source], name)
    return ResultsProblem(source, problems) if problems else Results(source, values, data)


def _read_metrics(raw: object, metrics: Sequence[Metric], name: str) -> tuple[dict[str, float], tuple[str, ...]]:
    """The finite values by metric name, and the problems of the others."""
    values: dict[str, float] = {}
    problems: list[str] = []
    for metric in metrics:
        found = read_path(raw, metric.path)
        if metric.optional and found in (None, ABSENT):
            continue
        value = _finite_number(found)
        if isinstance(value, str):
            problems.append(f"{metric.name} ({name}: {list(metric.path)}) {value}")
        else:
            values[metric.name] = value
    return values, tuple(problems)


def read_path(data: object, path: Sequence[str]) -> object:
    """The value that the keys of `path` lead to, or ABSENT. A key of digits also indexes a list."""
    value = data
    for key in path:
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and _indexes(key, value):
            value = value[int(key)]
        else:
            return ABSENT
    return value


def _indexes(key: str, items: list[object]) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 10 and int(key) < len(items)


def read_number(data: object, path: Sequence[str]) -> float | None:
    """The finite number at `path`, or None. True and false are no numbers."""
    value = _finite_number(read_path(data, path))
    return None if isinstance(value, str) else value


def means_paths(final_info: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Paths of the finite numbers under `means` in AI-Scientist's layout, by metric name.

    {"set": {"means": {"loss": 1.0}, ...}} gives "loss", or "set.loss" if several sets have means.
    {"set": {"means": 1.0}} gives "set", and {"means": {"loss": 1.0}} gives "loss". Every other key is ignored. Names
    are one line each, at most MOST_MEANS of them, because an experiment chose them.
    """
    paths = {plain_line(name, NAME_CHARS): path for name, path in islice(_find_means(final_info), MOST_MEANS)}
    paths.pop("", None)
    return paths


def _find_means(final_info: Mapping[str, object]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if (top := final_info.get("means")) is not None and not (isinstance(top, Mapping) and "means" in top):
        yield from ((name, ("means", *keys)) for name, keys in _numbers_under(top, "means"))
        return
    sets = [
        (name, value["means"]) for name, value in final_info.items() if isinstance(value, Mapping) and "means" in value
    ]
    for dataset, means in sets:
        for name, keys in _numbers_under(means, dataset):
            yield name if len(sets) == 1 or not keys else f"{dataset}.{name}", (dataset, "means", *keys)


def means_metrics(final_info: Mapping[str, object]) -> dict[str, float]:
    """The numbers that means_paths finds."""
    found = {name: read_number(final_info, path) for name, path in means_paths(final_info).items()}
    return {name: value for name, value in found.items() if value is not None}


def _numbers_under(means: object, name: str) -> list[tuple[str, tuple[str, ...]]]:
    """(metric name, keys below `means`) of each finite number. If `means` is one number, `name` is its metric."""
    if isinstance(means, Mapping):
        return [(str(key), (str(key),)) for key in means if read_number(means, (str(key),)) is not None]
    return [(name, ())] if read_number(means, ()) is not None else []


def _finite_number(value: object) -> float | str:
    """The number, or the problem of the value, worded to follow its name."""
    if value is ABSENT:
        return "is missing"
    if value is None:
        return "is null"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {_name_type(value)}, not a number"
    try:
        number = float(value)
    except OverflowError:
        return "is too large"
    if math.isnan(number):
        return "is NaN"
    if math.isinf(number):
        return "is Infinity" if number > 0 else "is -Infinity"
    return number


def _name_type(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case None:
            return "null"
        case _:
            return "a number"


def _object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _BadJson(f"the key {plain_line(key, NAME_CHARS)!r} appears twice in one object")
            seen.add(key)
    return found


def _cleaned(value: object, depth_left: int) -> object:
    """The value with null for numbers that JSON lacks, and with text that can be written as UTF-8."""
    if isinstance(value, dict | list) and depth_left == 0:
        raise _BadJson("it is nested too deeply")
    match value:
        case float():
            return value if math.isfinite(value) else None
        case str():
            return _writable(value)
        case list():
            return [_cleaned(item, depth_left - 1) for item in value]
        case dict():
            return {_writable(key): _cleaned(item, depth_left - 1) for key, item in value.items()}
        case _:
            return value


def _writable(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
