"""Find regular expressions that take more than linear time, in all code of agent and of the templates.

    python -m tests.hostile.patterns

A pattern is read as an automaton. It is suspicious if one or two characters, again and again, can be divided among its
repeats in several ways: `\\s*(.*?)\\s*$` for blanks, `(?:ab|a|b)*c` for "ab". A search begins anew at every place, so
with its first repeat it has two. Each suspicion is tried: a way to the repeats, the characters many times, then an end
that does not fit. Only patterns that are slow there are named, each with such a text.
"""

from __future__ import annotations

import importlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

parser: Any = importlib.import_module("re._parser")
op: Any = importlib.import_module("re._constants")

__all__ = ["Pattern", "find_slow"]

_Steps = Sequence[Sequence[tuple[frozenset[str], int]]]

ROOT: Final = Path(__file__).parents[2]
# Characters of the longest text that these modules let a pattern see.
CUT: Final = {
    "agent/core/failure/folding.py": 2000,
    "agent/core/failure/traceback.py": 400,
    "agent/core/model/faults.py": 4000,
    "agent/core/edit/formats/names.py": 1000,
}
LENGTH: Final = 8000
# Lengths from one to the next of which exponential time grows little, so that it is seen before it is long.
LENGTHS: Final = (*range(12, 80, 4), 100, 150, 250, 500, 1000, 2000, 4000)
SLOW_S: Final = 0.05  # linear time takes a millisecond
GROWING_S: Final = 0.003  # from which it is looked at how time grows with a text
GROWTH: Final = 8.0  # for four times the length: 4 in linear time, 16 in quadratic
MOST_COPIES: Final = 3  # of the body of a bounded repeat
MOST_TRIALS: Final = 40
LETTERS: Final = "aZ0_ \t\n-.:|%é"
ENDS: Final = ("", "\0", "a\0", "\n\0", "\0\n\0")
ANCHORED: Final = {"match", "fullmatch"}
METHODS: Final = {*ANCHORED, "search", "sub", "subn", "findall", "finditer", "split"}


@dataclass(frozen=True)
class Pattern:
    """A pattern in the source. anchored: it is only tried at one place of a text."""

    path: str
    line: int
    compiled: re.Pattern[str]
    anchored: bool = False

    @property
    def length(self) -> int:
        return CUT.get(self.path, LENGTH)


# As an automaton


@dataclass
class _Automaton:
    """States with steps that read one of some letters, or nothing."""

    letters: str
    flags: int
    reads: list[list[tuple[frozenset[str], int]]] = field(default_factory=list)
    skips: list[list[int]] = field(default_factory=list)

    def state(self) -> int:
        self.reads.append([])
        self.skips.append([])
        return len(self.reads) - 1

    def add(self, items: Any, start: int) -> int:
        """Add a sequence of parsed items from a state on. Returns the state after it."""
        for kind, value in items:
            start = self._add_one(kind, value, start)
        return start

    def _add_one(self, kind: Any, value: Any, start: int) -> int:
        match str(kind):
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                end = self.state()
                self.reads[start].append((frozenset(c for c in self.letters if self._fits(kind, value, c)), end))
                return end
            case "SUBPATTERN":
                return self.add(value[-1], start)
            case "ATOMIC_GROUP":
                return self.add(value, start)
            case "BRANCH":
                end = self.state()
                for branch in value[1]:
                    first = self.state()
                    self.skips[start].append(first)
                    self.skips[self.add(branch, first)].append(end)
                return end
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                return self._repeat(value, start)
            case _:  # what is looked at and not read
                return start

    def _repeat(self, value: Any, start: int) -> int:
        least, most, body = value
        for _ in range(min(least, MOST_COPIES)):
            start = self.add(body, start)
        end = self.state()
        self.skips[start].append(end)
        if most is op.MAXREPEAT:
            first = self.state()
            self.skips[start].append(first)
            last = self.add(body, first)
            self.skips[last] += [first, end]
        else:
            for _ in range(min(most - least, MOST_COPIES)):
                start = self.add(body, start)
                self.skips[start].append(end)
        return end

    def _fits(self, kind: Any, value: Any, letter: str) -> bool:
        code = ord(letter)
        if self.flags & re.IGNORECASE:
            return any(_fits(kind, value, ord(c), self.flags) for c in {letter.lower(), letter.upper()} if len(c) == 1)
        return _fits(kind, value, code, self.flags)

    def steps(self) -> list[list[tuple[frozenset[str], int]]]:
        """For each state the letters that it reads next, once for each way to come to read them."""
        return [list(self._next(state)) for state in range(len(self.reads))]

    def _next(self, state: int) -> Iterator[tuple[frozenset[str], int]]:
        waiting = [(state, frozenset({state}))]
        ways: dict[tuple[int, int], int] = {}
        while waiting:
            at, seen = waiting.pop()
            for number, step in enumerate(self.reads[at]):
                ways[at, number] = ways.get((at, number), 0) + 1
                if ways[at, number] <= 2:
                    yield step
            if len(waiting) < 200:
                waiting += [(then, seen | {then}) for then in self.skips[at] if then not in seen]


def _fits(kind: Any, value: Any, code: int, flags: int) -> bool:
    match str(kind):
        case "LITERAL":
            return bool(code == value)
        case "NOT_LITERAL":
            return bool(code != value)
        case "ANY":
            return bool(flags & re.DOTALL) or code != 10
        case "RANGE":
            return bool(value[0] <= code <= value[1])
        case "CATEGORY":
            return _in_category(str(value), chr(code))
        case _:  # IN
            negated = value[0][0] is op.NEGATE
            return any(_fits(k, v, code, flags) for k, v in value[negated:]) != negated


def _in_category(name: str, letter: str) -> bool:
    tests: Mapping[str, Callable[[], bool]] = {
        "DIGIT": letter.isdigit,
        "SPACE": letter.isspace,
        "WORD": lambda: letter.isalnum() or letter == "_",
    }
    return tests[name.rsplit("_", 1)[1]]() != ("NOT" in name)


def _literals(items: Any) -> Iterator[str]:
    """The letters that a pattern names."""
    for kind, value in items:
        if str(kind) in ("LITERAL", "NOT_LITERAL"):
            yield chr(value)
        elif str(kind) == "RANGE":
            yield chr(value[0])
        elif isinstance(value, list):
            yield from _literals(item for item in value if isinstance(item, tuple))
        elif hasattr(value, "data"):
            yield from _literals(value)
        elif isinstance(value, tuple):
            for part in value:
                for inner in part if isinstance(part, list) else [part]:
                    if hasattr(inner, "data"):
                        yield from _literals(inner)


# Suspicions, and their trial


def find_slow(pattern: Pattern) -> tuple[str, float] | None:
    """A text that the pattern takes long for, with the seconds, or None."""
    tree = parser.parse(pattern.compiled.pattern, pattern.compiled.flags)
    letters = "".join(dict.fromkeys([*list(_literals(tree))[:40], *LETTERS]))
    automaton = _Automaton(letters, pattern.compiled.flags)
    start = automaton.state()
    if not pattern.anchored:
        automaton.reads[start].append((frozenset(letters), start))
    first = automaton.state()
    automaton.skips[start].append(first)
    automaton.add(tree, first)
    steps = automaton.steps()
    words = list(_words(steps, letters, pairs=_repeats_groups(tree)))
    if not pattern.anchored:  # what leads to a repeat leads to it from many places
        inner = _ways(steps, first).items()
        words += [way for state, way in inner if 1 < len(way) <= 12 and any(end == state for _, end in steps[state])]
    for before, word in islice(_suspicions(steps, words, start), MOST_TRIALS):
        for end in ENDS:
            if found := _try(pattern, before, word, end):
                return found
    return None


def _try(pattern: Pattern, before: str, word: str, end: str) -> tuple[str, float] | None:
    def text_of(length: int) -> str:
        return before + word * max(1, length // len(word)) + end

    for length in (*(n for n in LENGTHS if n < pattern.length), pattern.length):
        seconds = _seconds(pattern, text_of(length))
        if seconds > SLOW_S:  # once more: processor time too is longer beside other work
            seconds = min(seconds, _seconds(pattern, text_of(length)))
        if seconds > SLOW_S:
            return text_of(length), seconds
    if pattern.length == LENGTH and seconds > GROWING_S:
        whole, quarter = (min(_seconds(pattern, text_of(n)) for _ in range(3)) for n in (LENGTH, LENGTH // 4))
        if whole > GROWING_S and whole > GROWTH * quarter:
            return text_of(LENGTH), whole
    return None


def _seconds(pattern: Pattern, text: str) -> float:
    begun = time.process_time()
    if pattern.anchored:
        pattern.compiled.fullmatch(text)
        pattern.compiled.match(text)
    else:
        list(pattern.compiled.finditer(text))
    return time.process_time() - begun


def _repeats_groups(items: Any) -> bool:
    """Whether the body of a repeat without bound is more than one character."""
    for kind, value in items:
        inner = value if isinstance(value, tuple) else (value,)
        parts = [part for part in inner if hasattr(part, "data")]
        if str(kind).endswith("REPEAT") and value[1] is op.MAXREPEAT:
            body = value[2]
            if len(body) != 1 or str(body[0][0]) not in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
                return True
        if str(kind) == "BRANCH":
            parts = value[1]
        if any(map(_repeats_groups, parts)):
            return True
    return False


def _words(steps: _Steps, letters: str, *, pairs: bool) -> Iterator[str]:
    """One letter of all that the pattern treats alike, then each pair of them."""
    alike: dict[tuple[bool, ...], str] = {}
    for letter in letters:
        alike.setdefault(tuple(letter in read for state in steps for read, _ in state), letter)
    apart = list(alike.values())
    yield from apart
    yield from ("".join(pair) for pair in product(apart, apart) if pairs and pair[0] != pair[1])


def _suspicions(steps: _Steps, words: Sequence[str], start: int) -> Iterator[tuple[str, str]]:
    """(way there, word) of each word that repeats can divide among them in several ways."""
    ways = _ways(steps, start)
    for word in words:
        graph: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for state in ways:
            for phase, letter in enumerate(word):
                then = (phase + 1) % len(word)
                graph[state, phase] = [(end, then) for read, end in steps[state] if letter in read]
        if (at := _ambiguous(graph)) is not None:
            yield ways[at[0]], word[at[1] :] + word[: at[1]]


def _ways(steps: _Steps, start: int) -> dict[int, str]:
    """A shortest text that leads to each state."""
    ways, waiting = {start: ""}, deque([start])
    while waiting:
        state = waiting.popleft()
        for read, end in steps[state]:
            if read and end not in ways:
                ways[end] = ways[state] + min(read)
                waiting.append(end)
    return ways


def _ambiguous(graph: Mapping[tuple[int, int], Sequence[tuple[int, int]]]) -> tuple[int, int] | None:
    """A state from which the word leads back to it, and by another way back or to another such state."""
    parts = _strong_parts(graph)
    sizes: dict[int, int] = {}
    inner: dict[int, int] = {}
    for node, ends in graph.items():
        sizes[parts[node]] = sizes.get(parts[node], 0) + 1
        inner[parts[node]] = inner.get(parts[node], 0) + sum(parts[end] == parts[node] for end in ends)
    cyclic = {part for part in sizes if inner[part] >= sizes[part] and inner[part]}
    for node in graph:
        if parts[node] not in cyclic:
            continue
        if inner[parts[node]] > sizes[parts[node]]:
            return node
        seen, waiting = {node}, [node]
        while waiting:
            for end in graph[waiting.pop()]:
                if parts[end] in cyclic and parts[end] != parts[node]:
                    return node
                if end not in seen:
                    seen.add(end)
                    waiting.append(end)
    return None


def _strong_parts(graph: Mapping[tuple[int, int], Sequence[tuple[int, int]]]) -> dict[tuple[int, int], int]:
    """The strongly connected part of each node (Kosaraju)."""
    order: list[tuple[int, int]] = []
    seen: set[tuple[int, int]] = set()
    for root in graph:
        stack = [(root, iter(graph[root]))] if root not in seen else []
        seen.add(root)
        while stack:
            node, ends = stack[-1]
            end = next((end for end in ends if end not in seen), None)
            if end is None:
                order.append(stack.pop()[0])
            else:
                seen.add(end)
                stack.append((end, iter(graph[end])))
    back: dict[tuple[int, int], list[tuple[int, int]]] = {node: [] for node in graph}
    for node, ends_of in graph.items():
        for end in ends_of:
            back[end].append(node)
    parts: dict[tuple[int, int], int] = {}
    for number, root in enumerate(reversed(order)):
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if node not in parts:
                parts[node] = number
                waiting += back[node]
    return parts
