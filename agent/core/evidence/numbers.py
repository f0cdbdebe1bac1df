"""Numbers in JSON that an experiment wrote: looked up by path, and finite or the reason why not."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from agent.core.inputs.spec import Metric
from agent.core.text.plain import plain_line

__all__ = ["ABSENT", "Absent", "finite_number", "is_cost", "name_type", "read_number", "read_path"]

SHOWN_CHARS: Final = 40
LARGEST: Final = 1e100  # squares and sums of such numbers can still be computed

# train_seconds, mfu, tokens_per_sec
_TIME = re.compile(
    r"(^|_)(time|seconds|secs|elapsed|duration|throughput|memory|rss|gib|mib|mfu|fps|sps|tflops|it_s|latency|wall)(_|$)"
    r"|per_(second|sec|minute|min|hour)|_per_s$|\w/(s|sec|second)$"
)
_TIME_UNITS = frozenset({"s", "ms", "min", "h", "seconds", "gib", "mib"})


class Absent(Enum):
    """The type of ABSENT, which read_path returns if a path leads nowhere. (null is a value.)"""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


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
    value = finite_number(read_path(data, path))
    return None if isinstance(value, str) else value


def finite_number(value: object) -> float | str:
    """The number, or the problem of the value, worded to follow its name."""
    if value is ABSENT:
        return "is missing"
    if value is None:
        return "is null"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {_say_kind(value)}, not a number"
    try:
        number = float(value)
    except OverflowError:
        return "is too large"
    if math.isnan(number):
        return "is NaN"
    if math.isinf(number):
        return "is Infinity" if number > 0 else "is -Infinity"
    return f"is {number:.3g}, too large to compare" if abs(number) > LARGEST else number


def name_type(value: object) -> str:
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


def _say_kind(value: object) -> str:
    """The kind of a value that is no number. A string is shown, since it may be "NaN"."""
    if not isinstance(value, str):
        return name_type(value)
    return f"the string {json.dumps(plain_line(value[:SHOWN_CHARS], SHOWN_CHARS), ensure_ascii=False)}"


def is_cost(name: str, metrics: Sequence[Metric]) -> bool:
    """Whether the number is a time or a size of memory, which differs from run to run whatever the seed."""
    units = {m.unit.lower() for m in metrics if m.name == name}
    return bool(units & _TIME_UNITS) or bool(_TIME.search(name))
