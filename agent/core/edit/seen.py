"""The lines of a file that the model has been shown, followed through edits. Edits of other lines are refused.

Ranges are 1-based, both ends included, in order and apart. A file without ranges was shown whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from agent.core.edit.lines import common_runs, split_lines
from agent.core.edit.match import Match, is_dots

__all__ = [
    "Ranges",
    "as_ranges",
    "carry",
    "hidden_in_match",
    "hidden_in_text",
    "lines_of",
    "move",
    "ranges_of",
    "reveal",
]

Ranges = tuple[tuple[int, int], ...]

# "  12 | x = 1"
_NUMBERED = re.compile(r"^ *(\d{1,7}) \| (.*)$")


def ranges_of(lines: Iterable[int]) -> Ranges:
    """Line numbers as ranges."""
    ordered = sorted(set(lines))
    if not ordered:
        return ()
    breaks = [(a, b) for a, b in pairwise(ordered) if b > a + 1]
    starts, ends = [ordered[0], *(b for _, b in breaks)], [*(a for a, _ in breaks), ordered[-1]]
    return tuple(zip(starts, ends, strict=True))


def lines_of(ranges: Iterable[Sequence[int]]) -> set[int]:
    """Ranges as line numbers."""
    return {line for first, last in ranges for line in range(first, last + 1)}


def hidden_in_match(ranges: Ranges, lines: Sequence[str], search: Sequence[str], match: Match) -> list[int]:
    """The numbers of non-blank lines that a block touches although they were not shown.

    A SEARCH with lines of dots leaves lines out on purpose. The block touches only those of them that it changes.
    """
    shown = lines_of(ranges)
    if any(is_dots(line) for line in search):
        touched = {i for s in match.splices for i in range(s.start, s.stop)}
        touched |= {i for s in match.splices if s.start == s.stop for i in (s.start - 1, s.start)}
    else:
        touched = set(range(match.start, match.stop))
    return [i + 1 for i in sorted(touched) if 0 <= i < len(lines) and lines[i].strip() and i + 1 not in shown]


def hidden_in_text(ranges: Ranges, before: str, after: str) -> list[int]:
    """The numbers of lines of `before` that a whole new text lacks and that were not shown."""
    old = split_lines(before).text
    kept = {i for i, _ in _pairs(old, split_lines(after).text)}
    shown = lines_of(ranges)
    return [i + 1 for i in range(len(old)) if i not in kept and old[i].strip() and i + 1 not in shown]


def move(ranges: Ranges, count: int, match: Match) -> Ranges:
    """The ranges after a block is applied to a file of `count` lines. Its author knows the lines that it put there."""
    shown = lines_of(ranges)
    after: set[int] = set()
    shift = done = 0
    for s in match.splices:
        after |= {line + shift for line in range(done + 1, s.start + 1) if line in shown}
        after |= set(range(s.start + shift + 1, s.start + shift + len(s.new) + 1))
        shift += len(s.new) - (s.stop - s.start)
        done = s.stop
    after |= {line + shift for line in range(done + 1, count + 1) if line in shown}
    return ranges_of(after)


def carry(ranges: Ranges, before: str, after: str) -> Ranges:
    """The ranges in another version of the text. Its author knows the lines that only this version has."""
    if before == after:
        return ranges
    old, new = split_lines(before).text, split_lines(after).text
    pairs = {j: i for i, j in _pairs(old, new)}
    shown = lines_of(ranges)
    return ranges_of(j + 1 for j in range(len(new)) if j not in pairs or pairs[j] + 1 in shown)


def reveal(
    shown: Mapping[str, Ranges],
    told: str,
    files: Mapping[str, str],
    staged: Mapping[str, str],
    also: Mapping[str, Ranges] | None = None,
) -> dict[str, Ranges]:
    """The ranges of `files` after a message that quoted lines with their numbers in the staged texts.

    also: further lines of `files` that it shows.
    """
    numbered = [(int(m[1]), m[2]) for line in told.split("\n") if (m := _NUMBERED.match(line))]
    found = {}
    for name, ranges in shown.items():
        old, new = split_lines(files.get(name, "")).text, split_lines(staged.get(name, files.get(name, ""))).text
        back = {j: i for i, j in _pairs(old, new)}
        counts, first = Counter(old), {line: i for i, line in reversed(list(enumerate(old)))}
        seen = lines_of(ranges) | lines_of((also or {}).get(name, ()))
        for number, text in numbered:
            if 0 < number <= len(new) and new[number - 1] == text:
                seen |= {back[number - 1] + 1} if number - 1 in back else set()
            elif counts[text] == 1:  # numbered as the file was in the middle of the reply
                seen.add(first[text] + 1)
        found[name] = ranges_of(seen)
    return {name: ranges for name, ranges in found.items() if _hides(ranges, files.get(name, ""))}


def _hides(ranges: Ranges, text: str) -> bool:
    lines, shown = split_lines(text).text, lines_of(ranges)
    return any(line.strip() and number not in shown for number, line in enumerate(lines, start=1))


def _pairs(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Index pairs of the lines that two versions share, in order."""
    short = min(len(old), len(new))
    head = next((i for i in range(short) if old[i] != new[i]), short)
    tail = next((i for i in range(short - head) if old[-1 - i] != new[-1 - i]), short - head)
    pairs = [(i, i) for i in range(head)]
    for i, j, size in common_runs(old[head : len(old) - tail], new[head : len(new) - tail]):
        pairs += [(head + i + k, head + j + k) for k in range(size)]
    return pairs + [(len(old) - tail + k, len(new) - tail + k) for k in range(tail)]


def as_ranges(stored: Mapping[str, Collection[Sequence[int]]]) -> dict[str, Ranges]:
    """Read ranges back from JSON."""
    return {name: tuple((int(first), int(last)) for first, last in ranges) for name, ranges in stored.items()}
