"""Settle what a block says by the text of its file: its divider, marks of a hint around its lines, a hunk's place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

from agent.core.code.source import find_bad_python
from agent.core.edit.formats.found import FoundBlock, HunkPlace, Split
from agent.core.edit.lines import Splice, shorten, splice, split_body, split_lines
from agent.core.edit.match import Ambiguous, Match, Missing, Outcome, match_block
from agent.core.edit.result import Block
from agent.core.text.markers import divider_width

__all__ = ["adds_again", "as_in_file", "divide_block", "edit_text", "locate_hunk", "with_tail_of"]

_Lines = Sequence[str]
_MOST_ALIKE: Final = 8  # earlier blocks with the same new lines that one is compared with
# " 12 | x = 1", as hints number lines
_NUMBERED = re.compile(r"\s{0,9}(\d{1,7}) \|(?: (.*))?$")


def edit_text(text: str | None, block: Block) -> str | Outcome:
    """The text after one block: created if it was None, appended to if SEARCH is blank, else changed in one place."""
    blank = not block.search.strip()
    if text is None:
        return block.replace if blank else Missing()
    if block.search == block.replace:
        return text
    lines, search, replace = split_lines(text), split_body(block.search), split_body(block.replace)
    if blank:
        end = len(lines.text)
        return splice(lines, [Splice(end, end, replace)]).join() if replace else text
    found = match_block(block.path, lines.text, search, with_tail_of(block, search, replace))
    return splice(lines, found.splices).join() if isinstance(found, Match) else found


def adds_again(block: Block, text: str, steps: Sequence[tuple[Block, str | None, str]]) -> bool:
    """Whether a block would add lines to `text` that an earlier one added in the same place, and that are still in it.

    steps: the earlier blocks of its file, with the text before and after each.
    """
    added = _added(block)
    alike = [step for step in steps if added and _added(step[0]) == added]
    if not alike or not added <= Counter(line.strip() for line in text.split("\n")):
        return False
    return any(edit_text(before, block) == after for _, before, after in alike[-_MOST_ALIKE:] if before is not None)


@lru_cache(maxsize=512)
def _added(block: Block) -> Counter[str]:
    """The lines that REPLACE has and SEARCH has not, without their indents. Empty if it lacks one of SEARCH's."""
    search, new = (Counter(line.strip() for line in split_body(half)) for half in (block.search, block.replace))
    return new - search if search <= new else Counter()


def with_tail_of(block: Block, search: Sequence[str], replace: Sequence[str]) -> Sequence[str]:
    """REPLACE with an empty last line added or removed if SEARCH disagrees: such a line is layout, not text.

    If the halves differ in nothing else, it is what the block is about.
    """
    if block.exact or block.search.rstrip() == block.replace.rstrip():
        return replace
    search_open, replace_open = (bool(body) and body[-1] == "" for body in (search, replace))
    if replace_open and not search_open:
        return replace[:-1]
    return [*replace, ""] if search_open and not replace_open else replace


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


def locate_hunk(block: Block, place: HunkPlace, text: str | None) -> Block | str:
    """The hunk with as many lines of the file around it as make it unique, or why it can be applied nowhere.

    A hunk that only adds lines belongs to a new file or to the end of one.
    """
    lines, search = split_lines(text or "").text, split_body(block.search)
    if not block.search:
        return _append(block, place, len(lines)) if text else block
    if not block.search.strip():
        return "it shows no line with words"
    found = match_block(block.path, lines, search, split_body(block.replace))
    if not isinstance(found, Ambiguous):
        return block
    start = _by_number(place, found.starts)
    if start is None:
        start = _by_anchors(place, lines, found.starts)
    if start is None or [line.rstrip() for line in lines[start : start + len(search)]] != [s.rstrip() for s in search]:
        return block
    return _widen(block, lines, start, len(search))


def _append(block: Block, place: HunkPlace, count: int) -> Block | str:
    if place.at == count + 1 or (not place.at and not place.anchors and not block.path.endswith(".py")):
        return block
    if place.at == 1:
        return f"it would make {block.path} anew, which exists; it must show the lines that it changes"
    return "it adds lines and shows none that stand beside them"


def _by_number(place: HunkPlace, starts: Sequence[int]) -> int | None:
    """The place that the hunk's numbers say. They are trusted only if they count its own lines right."""
    return place.at - 1 if place.is_counted and place.at - 1 in starts else None


def _by_anchors(place: HunkPlace, lines: _Lines, starts: Sequence[int]) -> int | None:
    """The first place within the definition that the anchors name, if each of them is found once."""
    at, depth = -1, -1
    for anchor in place.anchors:
        fitting = [i for i in range(at + 1, len(lines)) if lines[i].strip().startswith(anchor)]
        same = [i for i in fitting if lines[i].strip() == anchor] or fitting
        if len(same) != 1:
            return None
        at = same[0]
        depth = len(lines[at]) - len(lines[at].lstrip())
    below = [start for start in starts if start > at] if at >= 0 else []
    if not below:
        return None
    between = (line for line in lines[at + 1 : below[0] + 1] if line.strip())
    return below[0] if all(len(line) - len(line.lstrip()) > depth for line in between) else None


def _widen(block: Block, lines: _Lines, start: int, count: int) -> Block:
    """The block with lines above and below it, twice as many each time, until only one place has all of them."""
    replaced = split_body(block.replace)
    width = 1
    while True:
        first, last = max(0, start - width), min(len(lines), start + count + width)
        search = lines[first:last]
        changed = [*lines[first:start], *replaced, *lines[start + count : last]]
        if isinstance(match_block(block.path, lines, search, changed), Match) or last - first == len(lines):
            return replace(block, search=_join(search), replace=_join(changed))
        width *= 2


def _join(lines: _Lines) -> str:
    return "".join(f"{line}\n" for line in lines)


def as_in_file(block: Block, *versions: Sequence[str]) -> Block | str:
    """The block without marks that a hint put around lines of the file, or why they cannot be taken off.

    versions: lines of the file before the reply and by now. If every line of SEARCH has its own number in the file, the
    numbers are taken off both halves. A line that a hint cut stands for the whole one.
    """
    search, replaced = list(split_body(block.search)), list(split_body(block.replace))
    held = {line for lines in versions for line in lines}
    words = [line for line in search if line.strip()]
    if words and all(map(_read_number, words)) and held.isdisjoint(words):
        if not all(_has_own_number(line, versions) for line in words):
            return "its SEARCH begins with numbers that are not those of its lines; leave the numbers out"
        search = [_without_number(line) for line in search]
        are_all = all(_read_number(line) for line in replaced if line.strip())
        replaced = [_without_number(line) if are_all or _has_own_number(line, versions) else line for line in replaced]
    given = [line for line in replaced if line.strip() and line not in held]
    numbered = [line for line in given if _read_number(line)]
    quoted = [line for line in numbered if _without_number(line).strip() and _has_own_number(line, versions)]
    if quoted or (numbered and len(numbered) == len(given)):
        return f"its REPLACE begins with line numbers, as in {numbered[0].strip()[:60]!r}; leave them out"
    whole = {shorten(line): line for lines in versions for line in lines if shorten(line) != line}
    search, replaced = [whole.get(line, line) for line in search], [whole.get(line, line) for line in replaced]
    old, new = ("".join(f"{line}\n" for line in half) for half in (search, replaced))
    return block if (old, new) == (block.search, block.replace) else replace(block, search=old, replace=new)


def _read_number(line: str) -> tuple[int, str] | None:
    """Number and text of a line as hints quote it."""
    found = _NUMBERED.match(line)
    return (int(found[1]), found[2] or "") if found else None


def _without_number(line: str) -> str:
    read = _read_number(line)
    return read[1] if read else line


def _has_own_number(line: str, versions: Sequence[Sequence[str]]) -> bool:
    """Whether a line begins with its number in one of the texts."""
    read = _read_number(line)
    if read is None:
        return False
    number, text = read
    own = [lines[number - 1] for lines in versions if 0 < number <= len(lines)]
    return any(text.rstrip() in (line.rstrip(), shorten(line)) for line in own)
