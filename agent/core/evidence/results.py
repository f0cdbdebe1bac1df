"""Results files of a run: final_info.json and evaluation.json as values."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.core.evidence.means import means_problems
from agent.core.evidence.numbers import ABSENT, Absent, finite_number, name_type, read_number, read_path
from agent.core.inputs.spec import Metric, Source
from agent.core.text.plain import plain_line
from agent.core.text.wording import say_not_json

__all__ = [
    "ABSENT",
    "Absent",
    "Results",
    "ResultsProblem",
    "parse_results",
    "read_number",
    "read_path",
]

NAME_CHARS: Final = 80
FILE_NAMES: Final[dict[Source, str]] = {"final_info": "final_info.json", "evaluation": "evaluation.json"}


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
    known_means: Collection[str] | None = None,
    max_chars: int = 64_000_000,
    max_depth: int = 100,
) -> Results | ResultsProblem:
    """Read the text of `source`.json, None if there is no such file, and the declared metrics that come from it.

    A declared metric must be there, a number and finite. An optional one may be absent or null. In all other places NaN
    and Infinity become null.

    known_means: for a file in AI-Scientist's layout, the metrics that its baseline has under `means`; () if there is no
    baseline. They must be there, too, and nothing under `means` may be NaN. None: nothing is said about `means`.
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
        return ResultsProblem(source, (f"{name} is not valid JSON: {_say_why(error, text)}",))
    if not isinstance(data, dict):
        return ResultsProblem(source, (f"{name} holds {name_type(data)}, not an object",))
    values, problems = _read_metrics(raw, [metric for metric in metrics if metric.source == source], name)
    if known_means is not None:
        problems += means_problems(raw, known_means, name)
    return ResultsProblem(source, problems) if problems else Results(source, values, data)


def _say_why(error: ValueError, text: str) -> str:
    if not text.strip("\0 \t\r\n"):
        return "it holds zeros alone" if text.strip() else "it is empty"
    if text.startswith("\ufffd"):  # as its reader has bytes that are none
        return "it is not UTF-8"
    return str(error) if isinstance(error, json.JSONDecodeError) else f"it {say_not_json(error)}"


def _read_metrics(raw: object, metrics: Sequence[Metric], name: str) -> tuple[dict[str, float], tuple[str, ...]]:
    """The finite values by metric name, and the problems of the others."""
    values: dict[str, float] = {}
    problems: list[str] = []
    for metric in metrics:
        found = read_path(raw, metric.path)
        if metric.optional and found in (None, ABSENT):
            continue
        value = finite_number(found)
        if isinstance(value, str):
            problems.append(f"{metric.name} ({name}: {list(metric.path)}) {value}")
        else:
            values[metric.name] = value
    return values, tuple(problems)


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
