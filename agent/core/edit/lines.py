"""A file as lines that can be spliced without losing its byte order mark, line ends or final newline."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

__all__ = [
    "MOST_PLACES",
    "Lines",
    "Splice",
    "common_runs",
    "differing_runs",
    "find_runs",
    "losing_lines",
    "most_places",
    "shorten",
    "splice",
    "split_body",
    "split_lines",
]

LONGEST_SHOWN = 600
_BOM = "\ufeff"
# Steps that difflib may take at worst. Beyond them texts are compared by the lines that each has once.
_MOST_STEPS = 20_000_000
MOST_PLACES = 60  # that are told apart, however long they are
_MOST_LINES = 200_000  # of all places that are told apart


@dataclass(frozen=True, slots=True)
class Splice:
    """Lines start..stop (0-based, stop excluded) become new."""

    start: int
    stop: int
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a file. text: without their ends. ends: "\\n", "\\r\\n", or "" for a last line without newline."""

    text: tuple[str, ...]
    ends: tuple[str, ...]
    bom: bool

    def join(self) -> str:
        body = "".join(part for pair in zip(self.text, self.ends, strict=True) for part in pair)
        return _BOM + body if self.bom else body


@lru_cache(maxsize=32)
def split_lines(text: str) -> Lines:
    bom = text.startswith(_BOM)
    lines = text[len(_BOM) * bom :].split("\n")
    ends = ["\n"] * (len(lines) - 1)
    if "\r" in text:
        for i, line in enumerate(lines[:-1]):
            if line.endswith("\r"):
                lines[i], ends[i] = line[:-1], "\r\n"
    if lines[-1]:
        ends.append("")
    else:
        lines.pop()
    return Lines(tuple(lines), tuple(ends), bom)


def shorten(line: str) -> str:
    """A line as it is, or the start of one so long that in a hint it would drown the rest."""
    return (
        line
        if len(line) <= LONGEST_SHOWN
        else f"{line[:LONGEST_SHOWN]} [and {len(line) - LONGEST_SHOWN} characters more]"
    )


def split_body(body: str) -> tuple[str, ...]:
    """Lines of a SEARCH or REPLACE text, which ends with a newline unless empty."""
    return tuple(body.split("\n")[:-1])


def splice(lines: Lines, splices: Sequence[Splice]) -> Lines:
    """Put new lines in place of old ones, with the line ends of the lines they replace.

    The splices are in order and do not overlap. A last line without newline stays so unless replaced or followed.
    """
    newline = "\r\n" if lines.ends.count("\r\n") > lines.ends.count("\n") else "\n"
    text: list[str] = []
    ends: list[str] = []
    done = 0
    for s in splices:
        text += lines.text[done : s.start]
        ends += lines.ends[done : s.start]
        near = lines.ends[s.start] if s.start < s.stop else newline
        text += s.new
        ends += [near or newline] * len(s.new)
        done = s.stop
    text += lines.text[done:]
    ends += lines.ends[done:]
    ends[:-1] = [end or newline for end in ends[:-1]]
    return Lines(tuple(text), tuple(ends), lines.bom)


def common_runs(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int]]:
    """Runs of lines that two texts share, in order: (index in old, index in new, length).

    They are the longest ones of difflib, which takes cubic time if a line is frequent, or many lines. Large texts
    share their begin and their end, and the lines that both have once with equal lines around them.
    """
    if _steps(old, new) <= _MOST_STEPS:
        return _longest_runs(old, new)
    short = min(len(old), len(new))
    head = next((i for i in range(short) if old[i] != new[i]), short)
    tail = next((i for i in range(short - head) if old[-1 - i] != new[-1 - i]), short - head)
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    middle = _longest_runs(a, b) if _steps(a, b) <= _MOST_STEPS else _runs_of_single_lines(a, b)
    ends = [(0, 0, head), *((i + head, j + head, size) for i, j, size in middle)]
    return [run for run in [*ends, (len(old) - tail, len(new) - tail, tail)] if run[2]]


def differing_runs(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """The runs between those that two texts share: (start and stop in old, start and stop in new)."""
    runs = [(0, 0, 0), *common_runs(old, new), (len(old), len(new), 0)]
    between = ((a + size, b, c + size, d) for (a, c, size), (b, d, _) in pairwise(runs))
    return [(i1, i2, j1, j2) for i1, i2, j1, j2 in between if i1 < i2 or j1 < j2]


def losing_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[int]:
    """The indices of `new` in runs of changes in which more lines go than come. Comments do not count."""
    for i1, i2, j1, j2 in differing_runs([line.strip() for line in old], [line.strip() for line in new]):
        gone, come = (sum(map(_is_statement, lines)) for lines in (old[i1:i2], new[j1:j2]))
        if gone > come:
            yield from range(j1, j2)


def _is_statement(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _steps(old: Sequence[str], new: Sequence[str]) -> int:
    """How many steps difflib takes at worst: for every line it may look at all pairs of equal lines."""
    there = Counter(new)
    pairs = sum(count * there[line] for line, count in Counter(old).items())
    return (len(old) + pairs) * min(len(old), len(new))


def _longest_runs(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int]]:
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return [(block.a, block.b, block.size) for block in blocks if block.size]


def _runs_of_single_lines(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int]]:
    """The longest rising row of lines that both texts have once, each with the equal lines around it."""
    once, there = Counter(old), {line: j for j, line in enumerate(new)}
    many = Counter(new)
    pairs = [(i, there[line]) for i, line in enumerate(old) if once[line] == 1 and many[line] == 1]
    runs: list[tuple[int, int, int]] = []
    for i, j in _rising(pairs):
        above = runs[-1][0] + runs[-1][2] if runs else 0, runs[-1][1] + runs[-1][2] if runs else 0
        if i < above[0] or j < above[1]:
            continue  # within the run before it
        while i > above[0] and j > above[1] and old[i - 1] == new[j - 1]:
            i, j = i - 1, j - 1
        size = 1
        while i + size < len(old) and j + size < len(new) and old[i + size] == new[j + size]:
            size += 1
        runs.append((i, j, size))
    return runs


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of the pairs, which are in order of their first number, in which the second rises too."""
    ends: list[int] = []  # the least second number at which a row of each length ends
    last: list[int] = []  # and the pair that ends it
    before: list[int] = []
    for at, (_, j) in enumerate(pairs):
        length = bisect_left(ends, j)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1], last[length : length + 1] = [j], [at]
    row: list[tuple[int, int]] = []
    at = last[-1] if last else -1
    while at >= 0:
        row.append(pairs[at])
        at = before[at]
    return row[::-1]


def find_runs(hay: Sequence[str], needle: Sequence[str]) -> list[int]:
    """Every index at which `needle` is a run of `hay`, of very many the first `most_places`. Takes linear time."""
    if not needle:
        return []
    found: list[int] = []
    most = most_places(needle)
    shorter = _borders(needle)
    size = 0
    for i, line in enumerate(hay):
        while size and (size == len(needle) or line != needle[size]):
            size = shorter[size - 1]
        size += line == needle[size]
        if size == len(needle):
            found.append(i + 1 - size)
            if len(found) == most:
                break
    return found


def most_places(needle: Sequence[object]) -> int:
    """How many places of a text are looked at. If it has so many, it is ambiguous."""
    return max(MOST_PLACES, _MOST_LINES // max(1, len(needle)))


def _borders(needle: Sequence[str]) -> list[int]:
    """For each begin of `needle` the length of the longest shorter begin that also ends it (Knuth, Morris, Pratt)."""
    borders = [0]
    size = 0
    for line in needle[1:]:
        while size and line != needle[size]:
            size = borders[size - 1]
        size += line == needle[size]
        borders.append(size)
    return borders
