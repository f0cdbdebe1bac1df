"""Compare a SEARCH text with a file, ever more tolerant: each comparison finds all places at which the lines agree."""

from __future__ import annotations

import io
import tokenize
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.core.code.comments import line_ends
from agent.core.code.trailing import code_key, fits_but_for_comment
from agent.core.edit.lines import find_runs, most_places

__all__ = ["SearchPlace", "find_places", "indent_of", "trailing_places"]

Text = Sequence[str]

_QUOTES = str.maketrans("‘’‚‛“”„‟\u00a0\u202f", "''''\"\"\"\"  ")


@dataclass(frozen=True, slots=True)
class SearchPlace:
    """A place that a comparison found. where: the file line of each SEARCH line, None for a blank one that it lacks.

    shift: (indent to add, indent to remove) to get from SEARCH to the file. odd: the shifts of lines that have another.
    keeps_comments: comments of the file that SEARCH may lack stay.
    """

    where: tuple[int | None, ...]
    shift: tuple[str, str]
    odd: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    keeps_comments: bool = False

    def span(self) -> tuple[int, int]:
        known = [i for i in self.where if i is not None]
        return known[0], known[-1] + 1


def _fold(line: str) -> str:
    return line if line.isascii() else unicodedata.normalize("NFC", line).translate(_QUOTES)


def indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _line_shift(have: str, want: str) -> tuple[str, str] | None:
    """(indent to add, indent to remove) that takes one SEARCH line to the file's."""
    a, b = indent_of(have), indent_of(want)
    if a.endswith(b):
        return a[: len(a) - len(b)], ""
    return ("", b[: len(b) - len(a)]) if b.endswith(a) else None


def _shift(file: Text, search: Text) -> tuple[str, str] | None:
    """The shift that all non-blank lines share, None if they differ."""
    shifts = {_line_shift(have, want) for have, want in zip(file, search, strict=True) if want.strip()}
    return shifts.pop() if len(shifts) == 1 else None


def _line_places(file: Text, search: Text, key: Callable[[str], str]) -> list[SearchPlace]:
    """Places at which every line, blank ones included, has an equal key and all indents differ by the same amount."""
    places = []
    hay, needle = [key(line) for line in file], [key(line) for line in search]
    starts = find_runs(hay, needle)
    for start in starts:
        shift = _shift(file[start : start + len(search)], search)
        if shift is not None or len(starts) >= most_places(needle):
            places.append(SearchPlace(tuple(range(start, start + len(search))), shift or ("", "")))
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


def _blank_places(file: Text, search: Text, key: Callable[[str], str]) -> list[SearchPlace]:
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
            places.append(SearchPlace(where, shift or ("", "")))
    return places


def _exact_places(file: Text, search: Text) -> list[SearchPlace]:
    return [SearchPlace(tuple(range(i, i + len(search))), ("", "")) for i in find_runs(file, search)]


def trailing_places(file: Text, search: Text) -> list[SearchPlace]:
    hay, needle = [line.rstrip() for line in file], [line.rstrip() for line in search]
    return [SearchPlace(tuple(range(i, i + len(search))), ("", "")) for i in find_runs(hay, needle)]


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


def _statement_places(file: Text, search: Text) -> list[SearchPlace]:
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
            found.append(SearchPlace(_place_blanks(file, search, at), shift or ("", ""), odd))
    return found


def _comment_places(file: Text, search: Text) -> list[SearchPlace]:
    """Places in Python at which the lines agree but for comments at their ends, first those spaced otherwise alone."""
    file_solid = [i for i, line in enumerate(file) if line.strip()]
    search_solid = [i for i, line in enumerate(search) if line.strip()]
    texts, wanted = [_fold(file[i]) for i in file_solid], [_fold(search[i]) for i in search_solid]
    starts = find_runs([code_key(line) for line in texts], [code_key(line) for line in wanted])
    ends = line_ends([_fold(line) for line in file]) if starts else None
    if ends is None:
        return []
    told = [ends[i] for i in file_solid]
    for left_out in (False, True):
        found = []
        for start in starts:
            here = range(start, start + len(wanted))
            fits = (fits_but_for_comment(texts[i], told[i], wanted[i - start], left_out=left_out) for i in here)
            at = [file_solid[i] for i in here]
            shift = _shift([file[i] for i in at], [search[i] for i in search_solid]) if all(fits) else None
            if shift is not None or len(starts) >= most_places(wanted):
                where = _place_blanks(file, search, dict(zip(search_solid, at, strict=True)))
                found.append(SearchPlace(where, shift or ("", ""), keeps_comments=True))
        if found:
            return found
    return []


_COMPARISONS: tuple[Callable[[Text, Text], list[SearchPlace]], ...] = (
    _exact_places,
    trailing_places,
    lambda file, search: _line_places(file, search, str.strip),
    lambda file, search: _blank_places(file, search, str.rstrip),
    lambda file, search: _blank_places(file, search, str.strip),
    lambda file, search: _line_places(file, search, lambda line: _fold(line).strip()),
    lambda file, search: _blank_places(file, search, lambda line: _fold(line).strip()),
)


def find_places(file: Text, search: Text, is_python: bool) -> list[SearchPlace]:
    """All places that the strictest comparison with any finds."""
    if any(line.strip() for line in search):
        for compare in (*_COMPARISONS, *([_statement_places, _comment_places] if is_python else [])):
            found = compare(file, search)
            if found:
                return found
    return []
