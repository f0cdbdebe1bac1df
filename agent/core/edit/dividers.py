"""Decide which line of `=` divides a block, and what the others are: a divider written twice, or text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from agent.core.code.source import find_bad_python
from agent.core.edit.formats.found import FoundBlock, Split
from agent.core.edit.lines import split_lines
from agent.core.edit.match import Match, match_block
from agent.core.text.markers import divider_width

__all__ = ["divide_block"]

_Lines = Sequence[str]


def divide_block(found: FoundBlock, path: str, text: str) -> Split | str:
    """SEARCH and REPLACE of a block for a file, or why they cannot be told apart.

    Of several dividers the last whose SEARCH fits the file counts, else the first. A further one directly below it, or
    directly above the closing marker, is the same divider written twice and is left out, unless it may be the line
    under a heading.
    """
    lines = split_lines(text).text
    splits = found.splits or (((), ()),)
    at = _choose(splits, path, lines)
    search, replace = splits[at]
    inner = [len(other) - len(search) - 1 for other, _ in splits[at + 1 :]]  # indices of dividers within REPLACE
    start, stop = 0, len(replace)
    while inner and not _has_words(replace[start : inner[0]]) and not (start == 0 and _is_rule(search[-1:])):
        start = inner.pop(0) + 1
    if inner and not _has_words(replace[inner[-1] + 1 :]):
        above = next((line for line in reversed(replace[start : inner[-1]]) if line.strip()), "")
        pair = (above.strip(), replace[inner[-1]].strip())
        if path.endswith(".py") or not (_holds(search, pair) or _holds(lines, pair)):
            if not path.endswith(".py") and _may_be_heading(pair, lines):
                return "its last line is a second divider, or the line under a heading: write the heading with #"
            stop = inner.pop()
    if inner and path.endswith(".py") and find_bad_python(text) is not None:
        return "a second line of ======= stands in its REPLACE"
    return search, replace[start:stop]


def _choose(splits: Sequence[Split], path: str, lines: _Lines) -> int:
    if len(splits) > 1 and _has_words(splits[0][0]):
        for i in reversed(range(len(splits))):
            if isinstance(match_block(path, lines, *splits[i]), Match):
                return i
    return 0


def _has_words(lines: _Lines) -> bool:
    return any(line.strip() for line in lines)


def _is_rule(lines: _Lines) -> bool:
    """Whether a line is nothing but one sign repeated, as the line under a heading is."""
    return any(len(line.strip()) > 2 and len(set(line.strip())) == 1 for line in lines)


def _holds(lines: _Lines, pair: tuple[str, str]) -> bool:
    return any((a.strip(), b.strip()) == pair for a, b in pairwise(lines))


def _may_be_heading(pair: tuple[str, str], lines: _Lines) -> bool:
    """Whether the second line may underline the first: it is as long, or the file has such lines of other lengths."""
    above, rule = pair
    lengths = [(len(a.strip()), divider_width(b)) for a, b in pairwise(lines) if a.strip()]
    return bool(above) and (len(above) == len(rule) or any(width not in (0, length) for length, width in lengths))
