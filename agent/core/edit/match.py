"""Find the one place of a SEARCH text in a file, by comparisons that tolerate more from one to the next.

Lines that SEARCH and REPLACE have in common keep the bytes of the file. Only changed lines come from REPLACE.
"""

from __future__ import annotations

import io
import re
import tokenize
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.core.edit.lines import MOST_PLACES, Splice, differing_runs, find_runs, most_places
from agent.core.text.markers import read_fence

__all__ = ["Ambiguous", "Match", "Missing", "Unpaired", "is_dots", "match_block", "places"]

Text = Sequence[str]

_MOST_PIECES = 60  # between lines of dots
_QUOTES = str.maketrans("‘’‚‛“”„‟\u00a0\u202f", "''''\"\"\"\"  ")
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


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that a comparison found. where: the file line of each SEARCH line, None for a blank one that it lacks.

    shift: (indent to add, indent to remove) to get from SEARCH to the file. odd: the shifts of lines that have another.
    """

    where: tuple[int | None, ...]
    shift: tuple[str, str]
    odd: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    def span(self) -> tuple[int, int]:
        known = [i for i in self.where if i is not None]
        return known[0], known[-1] + 1


def is_dots(line: str) -> bool:
    """Whether a line is an ellipsis for lines left out."""
    return _DOTS.match(line.strip()) is not None


def _fold(line: str) -> str:
    return line if line.isascii() else unicodedata.normalize("NFC", line).translate(_QUOTES)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _line_shift(have: str, want: str) -> tuple[str, str] | None:
    """(indent to add, indent to remove) that takes one SEARCH line to the file's."""
    a, b = _indent(have), _indent(want)
    if a.endswith(b):
        return a[: len(a) - len(b)], ""
    return ("", b[: len(b) - len(a)]) if b.endswith(a) else None


def _shift(file: Text, search: Text) -> tuple[str, str] | None:
    """The shift that all non-blank lines share, None if they differ."""
    shifts = {_line_shift(have, want) for have, want in zip(file, search, strict=True) if want.strip()}
    return shifts.pop() if len(shifts) == 1 else None


def _line_places(file: Text, search: Text, key: Callable[[str], str]) -> list[_Place]:
    """Places at which every line, blank ones included, has an equal key and all indents differ by the same amount."""
    places = []
    hay, needle = [key(line) for line in file], [key(line) for line in search]
    starts = find_runs(hay, needle)
    for start in starts:
        shift = _shift(file[start : start + len(search)], search)
        if shift is not None or len(starts) >= most_places(needle):
            places.append(_Place(tuple(range(start, start + len(search))), shift or ("", "")))
    return places


def _place_blanks(file: Text, search: Text, solid: dict[int, int]) -> tuple[int | None, ...]:
    """Complete a pairing of non-blank lines: pair each blank SEARCH line with a blank neighbour in the file."""
    where: list[int | None] = [solid.get(i) for i in range(len(search))]
    first = min(solid)
    for i in range(first + 1, len(search)):
        before = where[i - 1]
        if where[i] is None and before is not None and before + 1 < len(file) and not file[before + 1].strip():
            where[i] = before + 1
    for i in range(first - 1, -1, -1):
        after = where[i + 1]
        if after is not None and after > 0 and not file[after - 1].strip():
            where[i] = after - 1
    return tuple(where)


def _blank_places(file: Text, search: Text, key: Callable[[str], str]) -> list[_Place]:
    """Places at which the non-blank lines agree, however many blank lines stand between them."""
    file_solid = [i for i, line in enumerate(file) if line.strip()]
    search_solid = [i for i, line in enumerate(search) if line.strip()]
    hay, needle = [key(file[i]) for i in file_solid], [key(search[i]) for i in search_solid]
    places = []
    starts = find_runs(hay, needle)
    for start in starts:
        at = file_solid[start : start + len(needle)]
        shift = _shift([file[i] for i in at], [search[i] for i in search_solid])
        if shift is not None or len(starts) >= most_places(needle):
            where = _place_blanks(file, search, dict(zip(search_solid, at, strict=True)))
            places.append(_Place(where, shift or ("", "")))
    return places


def _exact_places(file: Text, search: Text) -> list[_Place]:
    return [_Place(tuple(range(i, i + len(search))), ("", "")) for i in find_runs(file, search)]


def _trailing_places(file: Text, search: Text) -> list[_Place]:
    hay, needle = [line.rstrip() for line in file], [line.rstrip() for line in search]
    return [_Place(tuple(range(i, i + len(search))), ("", "")) for i in find_runs(hay, needle)]


def _continuations(file: Text) -> frozenset[int]:
    """Lines of a Python file that begin inside brackets, so that their indent means nothing. Empty if unknown."""
    inside, depth, last_row = set(), 0, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO("\n".join(file)).readline):
            if token.start[0] > last_row and depth > 0:
                inside.add(token.start[0] - 1)
            last_row = token.end[0]
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
    except (tokenize.TokenError, SyntaxError):
        return frozenset()
    return frozenset(inside)


def _statement_places(file: Text, search: Text) -> list[_Place]:
    """Places in Python at which the lines agree and all statements and comments differ by the same indent."""
    search_solid = [i for i, line in enumerate(search) if line.strip()]
    file_solid = [i for i, line in enumerate(file) if line.strip()]
    starts = find_runs([file[i].strip() for i in file_solid], [search[i].strip() for i in search_solid])
    inside = _continuations(file) if starts else frozenset()
    found = []
    for start in starts:
        at = dict(zip(search_solid, file_solid[start : start + len(search_solid)], strict=True))
        firm = [i for i in search_solid if at[i] not in inside] or search_solid[:1]
        shift = _shift([file[at[i]] for i in firm], [search[i] for i in firm])
        shifts = {i: _line_shift(file[at[i]], search[i]) for i in search_solid}
        if inside and (shift is not None or len(starts) >= most_places(search_solid)):
            odd = {i: other for i, other in shifts.items() if other is not None and other != shift}
            found.append(_Place(_place_blanks(file, search, at), shift or ("", ""), odd))
    return found


_COMPARISONS: tuple[Callable[[Text, Text], list[_Place]], ...] = (
    _exact_places,
    _trailing_places,
    lambda file, search: _line_places(file, search, str.strip),
    lambda file, search: _blank_places(file, search, str.rstrip),
    lambda file, search: _blank_places(file, search, str.strip),
    lambda file, search: _line_places(file, search, lambda line: _fold(line).strip()),
    lambda file, search: _blank_places(file, search, lambda line: _fold(line).strip()),
)


def _find(file: Text, search: Text, is_python: bool) -> list[_Place]:
    """All places that the strictest comparison with any finds."""
    if any(line.strip() for line in search):
        for compare in (*_COMPARISONS, *([_statement_places] if is_python else [])):
            found = compare(file, search)
            if found:
                return found
    return []


def places(file: Text, search: Text) -> list[tuple[int, int]]:
    """(start, stop) of every place that the strictest comparison with any finds, dots aside."""
    return [p.span() for p in _find(list(file), list(search), False)]


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


def _splice_at(place: _Place, search: Text, replace: Text, fine: bool) -> list[Splice]:
    splices = []
    for i1, i2, j1, j2 in _changes(search, replace, fine):
        paired = i2 - i1 == j2 - j1
        new = []
        for k, line in enumerate(replace[j1:j2]):
            keeps = paired and _indent(line) == _indent(search[i1 + k])
            new.append(_reindent(line, place.odd.get(i1 + k, place.shift) if keeps else place.shift))
        touched = [w for w in place.where[i1:i2] if w is not None]
        before = [w for w in place.where[:i1] if w is not None]
        at = touched[0] if touched else before[-1] + 1 if before else place.span()[0]
        splices.append(Splice(at, touched[-1] + 1 if touched else at, tuple(new)))
    return splices


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
    options = [_trailing_places(file, a) for a, _ in pairs]
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

    Then in Python the indent of statements alone, then without a fence around both bodies, then paired lines of dots.
    """
    file, search, replace = list(file), list(search), list(replace)
    found = _find(file, search, path.endswith(".py"))
    if len(found) > 1:
        return Ambiguous(tuple(p.span()[0] for p in found[:MOST_PLACES]))
    if found:
        fine = [file[i] if i is not None else None for i in found[0].where] != search
        return Match(*found[0].span(), tuple(_splice_at(found[0], search, replace, fine)))
    if _is_fenced(search) and (_is_fenced(replace) or not replace):
        return match_block(path, file, search[1:-1], replace[1:-1])
    if any(is_dots(line) for line in search):
        return _match_dots(file, search, replace)
    return Missing()
