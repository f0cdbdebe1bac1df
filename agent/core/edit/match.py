"""Find the one place of a SEARCH text in a file, by comparisons that tolerate more from one to the next.

Lines that SEARCH and REPLACE have in common keep the bytes of the file. Only changed lines come from REPLACE.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_new

from agent.core.code.trailing import keep_comments, pair_lines
from agent.core.edit.compare import SearchPlace, find_places, indent_of, trailing_places
from agent.core.edit.lines import MOST_PLACES, Splice, differing_runs, most_places
from agent.core.text.markers import read_fence

__all__ = ["Ambiguous", "Match", "Missing", "Unpaired", "is_dots", "match_block", "places"]

Text = Sequence[str]

_MOST_PIECES = 60  # between lines of dots
# "...", "# ...", "[...]", "# ... 12 lines not shown ..."
_DOTS = re.compile(r"(?:\.{3}|…|\[(?:\.{3}|…)\])$|(?:#|//|--)\s*(?:\.{3}|…)")


@dataclass(frozen=True, slots=True)
class Match:
    """The one place: 0-based lines start..stop of the file, and the new lines there."""

    start: int
    stop: int
    splices: tuple[Splice, ...]


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several places: the 0-based first line of each."""

    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unpaired:
    """SEARCH has lines of dots that REPLACE does not repeat in the same order."""


@dataclass(frozen=True, slots=True)
class Missing:
    """No place at all."""


Outcome = Match | Ambiguous | Unpaired | Missing


def is_dots(line: str) -> bool:
    """Whether a line is an ellipsis for lines left out."""
    return _DOTS.match(line.strip()) is not None


def places(file: Text, search: Text) -> list[tuple[int, int]]:
    """(start, stop) of every place that the strictest comparison with any finds, dots aside."""
    return [p.span() for p in find_places(list(file), list(search), False)]


def _reindent(line: str, shift: tuple[str, str]) -> str:
    add, remove = shift
    return (add if line.strip() else "") + line.removeprefix(remove)


def _changes(search: Text, replace: Text, fine: bool) -> list[tuple[int, int, int, int]]:
    """Runs of lines that differ, as (search start, stop, replace start, stop). One run unless `fine`."""
    short = min(len(search), len(replace))
    head = next((i for i in range(short) if search[i] != replace[i]), short)
    tail = next((i for i in range(short - head) if search[-1 - i] != replace[-1 - i]), short - head)
    a, b = search[head : len(search) - tail], replace[head : len(replace) - tail]
    if not a and not b:
        return []
    if not fine:
        return [(head, head + len(a), head, head + len(b))]
    return [(head + i1, head + i2, head + j1, head + j2) for i1, i2, j1, j2 in differing_runs(a, b)]


def _splice_at(place: SearchPlace, search: Text, replace: Text, fine: bool) -> list[Splice]:
    splices = []
    for i1, i2, j1, j2 in _changes(search, replace, fine):
        paired = i2 - i1 == j2 - j1
        new = []
        for k, line in enumerate(replace[j1:j2]):
            keeps = paired and indent_of(line) == indent_of(search[i1 + k])
            new.append(_reindent(line, place.odd.get(i1 + k, place.shift) if keeps else place.shift))
        touched = [w for w in place.where[i1:i2] if w is not None]
        before = [w for w in place.where[:i1] if w is not None]
        at = touched[0] if touched else before[-1] + 1 if before else place.span()[0]
        splices.append(Splice(at, touched[-1] + 1 if touched else at, tuple(new)))
    return splices


def _with_comments(
    file: Text, place: SearchPlace, search: Text, replace: Text, splices: Sequence[Splice]
) -> tuple[Splice, ...]:
    """The splices with the comments of the file on the lines that they are about."""
    now: list[str] = []
    origins: dict[int, int] = {}
    begins, done = [], 0
    for splice, (i1, i2, j1, j2) in zip(splices, _changes(search, replace, fine=True), strict=True):
        now += file[done : splice.start]
        begins.append(len(now))
        for k, i in pair_lines(search[i1:i2], replace[j1:j2]).items():
            if (at := place.where[i1 + i]) is not None:
                origins[len(now) + k] = at
        now += splice.new
        done = splice.stop
    searched = {i: search[k] for k, i in enumerate(place.where) if i is not None}
    kept = keep_comments(file, [*now, *file[done:]], origins, searched)
    news = (tuple(kept.get(b + k, line) for k, line in enumerate(s.new)) for b, s in zip(begins, splices, strict=True))
    return tuple(replace_new(splice, new=new) for splice, new in zip(splices, news, strict=True))


def _pieces(body: Text) -> list[list[str]]:
    """The runs of lines between lines of dots."""
    runs: list[list[str]] = [[]]
    for line in body:
        if is_dots(line):
            runs.append([])
        else:
            runs[-1].append(line)
    return runs


def _first_in_order(spans: Sequence[Sequence[tuple[int, int]]]) -> list[int] | None:
    """For each piece the index of its first place after the piece before. None if some piece has no such place."""
    chosen, after = [], 0
    for options in spans:
        at = next((i for i, (start, _) in enumerate(options) if start >= after), None)
        if at is None:
            return None
        chosen.append(at)
        after = options[at][1]
    return chosen


def _last_in_order(spans: Sequence[Sequence[tuple[int, int]]]) -> list[int]:
    """For each piece the index of its last place before the piece after. Each must have one."""
    chosen: list[int] = []
    before = max(stop for options in spans for _, stop in options)
    for options in reversed(spans):
        at = max(i for i, (_, stop) in enumerate(options) if stop <= before)
        chosen.append(at)
        before = options[at][0]
    return chosen[::-1]


def _match_dots(file: Text, search: Text, replace: Text) -> Outcome:
    wanted, given = _pieces(search), _pieces(replace)
    if len(wanted) > _MOST_PIECES:
        return Missing()
    dots = [line.strip() for line in search if is_dots(line)]
    if dots != [line.strip() for line in replace if is_dots(line)]:
        return Unpaired()
    if any(bool(a) != bool(b) for a, b in zip(wanted, given, strict=True) if not a):
        return Unpaired()
    pairs = [(a, b) for a, b in zip(wanted, given, strict=True) if a]
    if not all(any(line.strip() for line in a) for a, _ in pairs) or not pairs:
        return Missing()
    options = [trailing_places(file, a) for a, _ in pairs]
    spans = [[place.span() for place in each] for each in options]
    first = _first_in_order(spans)
    if first is None:
        return Missing()
    if any(len(each) >= most_places(a) for each, (a, _) in zip(spans, pairs, strict=True)):
        return Ambiguous(tuple(start for each in spans for start, _ in each)[:MOST_PLACES])
    last = _last_in_order(spans)
    if first != last:  # the way that is leftmost everywhere is not also the rightmost: there are several
        return Ambiguous(tuple(sorted({spans[k][at][0] for way in (first, last) for k, at in enumerate(way)})))
    chosen = [options[k][at] for k, at in enumerate(first)]
    splices = [s for place, (a, b) in zip(chosen, pairs, strict=True) for s in _splice_at(place, a, b, fine=True)]
    return Match(chosen[0].span()[0], chosen[-1].span()[1], tuple(splices))


def _is_fenced(body: Text) -> bool:
    opening, closing = (read_fence(body[0]), read_fence(body[-1])) if len(body) > 1 else (None, None)
    return opening is not None and closing is not None and closing.ends(opening)


def match_block(path: str, file: Text, search: Text, replace: Text) -> Outcome:
    """Compare until a comparison finds a place: exact, trailing blanks, uniform indent, blank lines, NFC and quotes.

    Then in Python the indent of statements alone and comments at the ends of lines, then without a fence around both
    bodies, then paired lines of dots.
    """
    file, search, replace = list(file), list(search), list(replace)
    found = find_places(file, search, path.endswith(".py"))
    if len(found) > 1:
        return Ambiguous(tuple(p.span()[0] for p in found[:MOST_PLACES]))
    if found:
        fine = [file[i] if i is not None else None for i in found[0].where] != search
        splices = tuple(_splice_at(found[0], search, replace, fine))
        if found[0].keeps_comments:
            splices = _with_comments(file, found[0], search, replace, splices)
        return Match(*found[0].span(), splices)
    if _is_fenced(search) and (_is_fenced(replace) or not replace):
        return match_block(path, file, search[1:-1], replace[1:-1])
    if any(is_dots(line) for line in search):
        return _match_dots(file, search, replace)
    return Missing()
