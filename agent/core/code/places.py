"""Places in files: "experiment.py", "experiment.py:Net.forward" or "experiment.py:10-40", and the lines of each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

from agent.core.code.definitions import read_definitions

__all__ = ["lines_at", "name_places"]

Lines = tuple[int, int]

_AROUND = 3  # lines above and below a constant
_MOST_NAMED = 6  # places of one name
# "10-40"
_RANGE = re.compile(r"(\d{1,7})-(\d{1,7})")
# "    def estimate_loss(", "class Net:"
_HEAD = re.compile(r"(\s*)(?:async +)?(?:def|class) +(\w{1,80})")
# "LR = ", "STEPS: int ="
_CONSTANT = re.compile(r"([A-Za-z_]\w{0,80})\s{0,8}(?::[^=\n]{0,80})?=(?!=)")


def lines_at(place: str, files: Mapping[str, str]) -> tuple[str, tuple[Lines, ...]] | None:
    """The file of a place and its lines there, or None if the files do not have it. A file alone has all its lines."""
    if place in files:
        return place, ((1, _count(files[place])),)
    path, _, part = place.rpartition(":")
    if path not in files:
        return None
    if numbers := _RANGE.fullmatch(part):
        first, last = max(1, int(numbers[1])), min(_count(files[path]), int(numbers[2]))
        return (path, ((first, last),)) if first <= last else None
    found = _find(files[path], part)
    return (path, tuple(lines for _, lines in found)) if found else None


def name_places(name: str, files: Mapping[str, str]) -> tuple[str, ...]:
    """The places of all definitions and constants of a name. Of "model.forward" those of "forward" if none is whole."""
    for wanted in dict.fromkeys((name, ".".join(name.split(".")[-2:]), name.rpartition(".")[2])):
        found = {f"{path}:{full}": None for path, text in files.items() for full, _ in _find(text, wanted)}
        if found:
            return tuple(found)[:_MOST_NAMED]
    return ()


def _find(text: str, name: str) -> list[tuple[str, Lines]]:
    """The full name and the lines of each function, method or class of a name, else of functions inside others, else
    of the line that gives a constant its value.
    """
    known, heads, constants = _index(text)
    if name in known:
        return list(known[name])
    if name in heads:
        lines = text.split("\n")
        return [(name, (i + 1, _end_of_block(lines, i))) for i in heads[name]]
    number = constants.get(name, 0)
    return [(name, (max(1, number - _AROUND), min(_count(text), number + _AROUND)))] if number else []


_Index = tuple[dict[str, list[tuple[str, Lines]]], dict[str, list[int]], dict[str, int]]


@lru_cache(maxsize=256)  # more than the files that a reply may ask for, each of which a name is looked up in
def _index(text: str) -> _Index:
    """By name: definitions with their lines, indices of the lines at which functions begin, numbers of constants."""
    known: dict[str, list[tuple[str, Lines]]] = defaultdict(list)
    for each in read_definitions(text) or ():
        for name in {each.name, each.full_name}:
            if len(known[name]) < _MOST_NAMED:
                known[name].append((each.full_name, (each.first, each.last)))
    heads: dict[str, list[int]] = defaultdict(list)
    constants: dict[str, int] = {}
    for i, line in enumerate(text.split("\n")):
        if (head := _HEAD.match(line)) and len(heads[head[2]]) < _MOST_NAMED:
            heads[head[2]].append(i)
        elif given := _CONSTANT.match(line):
            constants.setdefault(given[1], i + 1)
    return dict(known), dict(heads), constants


def _count(text: str) -> int:
    return max(1, text.count("\n") + (not text.endswith("\n")))


def _end_of_block(lines: Sequence[str], head: int) -> int:
    """The last line, counted from 1, of the block that a line opens."""
    indent, last = len(lines[head]) - len(lines[head].lstrip()), head
    for i in range(head + 1, len(lines)):
        bare = lines[i].lstrip()
        if bare and len(lines[i]) - len(bare) <= indent:
            break
        last = i if bare else last
    return last + 1
