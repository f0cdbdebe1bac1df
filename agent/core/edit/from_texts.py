"""Write the change of a file as SEARCH/REPLACE blocks: the way back from texts to a reply.

`apply_reply(old, blocks_of(old, new))` gives the lines of `new` with the line ends, byte order mark and final newline
of `old`, which any edit keeps. A new file ends its lines with a newline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agent.core.edit.lines import differing_runs, split_lines
from agent.core.text.markers import closes_block, divider_width, read_head

__all__ = ["Unwritable", "blocks_of"]

CONTEXT = 2
MOST_CONTEXT = 40  # lines on either side that may make a place unique, before it takes the whole file
MOST_CHANGES = 60  # of one file, before one block holds them all
_MARKS = (7, 8, 9, 6, 5)
# "```"
_BACKTICKS = re.compile("`+")
_SENTINEL = "the end of the file, as it was"

_TextLines = Sequence[str]


class Unwritable(ValueError):
    """The change of `path` cannot be written as a block, because its lines are markers of blocks."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path}: its lines are markers of SEARCH/REPLACE blocks")


def blocks_of(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Blocks that turn `old` into `new`, file by file, or "" if no line differs. A file that `new` lacks stays.

    Raises: Unwritable.
    """
    parts: list[str] = []
    for path, text in new.items():
        after = split_lines(text).text
        if path not in old:
            parts.append(_block(path, (), after))
        elif (before := split_lines(old[path]).text) != after:
            parts += [_block(path, search, replace) for search, replace in _changes(before, after)]
    return "\n".join(parts)


def _block(path: str, search: _TextLines, replace: _TextLines) -> str:
    body = [*search, *replace]
    if any(read_head(line) or closes_block(line) for line in body):
        raise Unwritable(path)
    taken = {divider_width(line) for line in body}
    free = [mark for mark in _MARKS if mark not in taken]
    if not free:
        raise Unwritable(path)
    # A line of `=` in the text is told from the divider by its length: that of the block's own markers.
    marks = [sign * free[0] for sign in "<=>"]
    fence = "`" * max(3, 1 + max((len(run) for line in body for run in _BACKTICKS.findall(line)), default=0))
    lines = [path, fence, f"{marks[0]} SEARCH", *search, marks[1], *replace, f"{marks[2]} REPLACE", fence]
    return "".join(f"{line}\n" for line in lines)


def _changes(before: _TextLines, after: _TextLines) -> list[tuple[_TextLines, _TextLines]]:
    """(SEARCH, REPLACE) for every run of lines that differs, in order, each to be applied after those above it."""
    found: list[tuple[_TextLines, _TextLines]] = []
    runs = differing_runs(before, after)
    if len(runs) > MOST_CHANGES:
        runs = [(runs[0][0], runs[-1][1], runs[0][2], runs[-1][3])]
    for i1, i2, j1, j2 in runs:
        now = [*after[:j1], *before[i1:]]
        found += _change(now, j1, j1 + i2 - i1, after[j1:j2])
    return found


def _change(now: _TextLines, start: int, stop: int, new: _TextLines) -> list[tuple[_TextLines, _TextLines]]:
    """Blocks that put `new` in place of the lines start..stop of `now`."""
    if not now:
        return [((), new)]
    above, below = CONTEXT, CONTEXT
    while True:
        first, last = max(0, start - above), min(len(now), stop + below)
        search, replace = now[first:last], [*now[first:start], *new, *now[stop:last]]
        if _is_unique(now, search):
            break
        if first == 0 and last == len(now):
            return _at_the_end(now, start, stop, new)  # blank lines alone: nothing to search for
        wider = 1 if above < MOST_CONTEXT else len(now)
        above, below = above + wider, below + wider
    if "\n".join(search).rstrip() == "\n".join(replace).rstrip():  # what the block is about
        return [(search, replace)]
    # Else an empty last line that only one half has is layout: REPLACE gets one more, SEARCH cannot have one less.
    if search[-1] == "" and replace[-1:] != [""]:
        return _at_the_end(now, start, stop, new)
    if replace[-1:] == [""] and search[-1] != "":
        replace.append("")
    return [(search, replace)]


def _at_the_end(now: _TextLines, start: int, stop: int, new: _TextLines) -> list[tuple[_TextLines, _TextLines]]:
    """The same in two steps: a last line that is sure to be unique, then the change together with that line."""
    mark = _SENTINEL
    while any(mark in line for line in now):
        mark += "."
    replace = [*now[:start], *new, *now[stop:]]
    if replace[-1:] == [""]:
        replace.append("")
    return [((), (mark,)), ([*now, mark], replace)]


def _is_unique(text: _TextLines, part: _TextLines) -> bool:
    """Whether a run of lines, not all of them blank, stands in a text once."""
    if not any(line.strip() for line in part):
        return False
    whole, wanted = ("\n".join(["", *lines, ""]) for lines in (text, part))
    first = whole.find(wanted)
    return first >= 0 and whole.find(wanted, first + 1) < 0
