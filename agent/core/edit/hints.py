"""Hints for the model about a refused block, with the real lines and their numbers. Nothing here decides an edit."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from agent.core.code.comments import without_comment
from agent.core.code.source import BadPython
from agent.core.code.trailing import target_of
from agent.core.edit.formats.found import FoundBlock
from agent.core.edit.lines import common_runs, differing_runs, shorten, split_body
from agent.core.edit.match import places
from agent.core.edit.result import Block, Reason

__all__ = [
    "Nearest",
    "ambiguous_hint",
    "find_nearest",
    "malformed_hint",
    "not_found_hint",
    "not_shown_hint",
    "other_file_hint",
    "path_hint",
    "placeholder_hint",
    "show_lines",
    "syntax_hint",
    "unread_hint",
]

_MAX_SHOWN = 80
_CONTEXT = 2
_UNSEEN_CONTEXT = 12
_MAX_DIFFERENCES = 8
_MIN_RATIO = 0.6
_SHORTEST_BEGIN = 6  # characters of a line that may be the begin of another
_MAX_NUMBERS = 20
_MAX_COMPARED = 20_000  # pairs of lines that are compared to find the most similar one
_MAX_RATIOS = 100  # and how many of them letter by letter
# "12 lines not shown (30-41)", as an excerpt says of its gaps
_NOT_SHOWN = re.compile(r"lines? not shown \((\d{1,7})(?:-(\d{1,7}))?\)")


@dataclass(frozen=True, slots=True)
class Nearest:
    """The 0-based lines start..stop of a file that are most like a SEARCH text. score: the share found there, 0..1."""

    start: int
    stop: int
    score: float


def _numbered(lines: Sequence[str], start: int, stop: int) -> list[str]:
    width = len(str(stop))
    return [f"{i + 1:>{width}} | {shorten(lines[i])}" for i in range(start, stop)]


def show_lines(lines: Sequence[str], start: int, stop: int, context: int = _CONTEXT) -> str:
    """Lines start..stop with some around them, numbered from 1. A long run loses its middle, with a remark there."""
    start, stop = max(0, start - context), min(len(lines), stop + context)
    if stop - start <= _MAX_SHOWN:
        return "\n".join(_numbered(lines, start, stop))
    half = _MAX_SHOWN // 2
    left_out = f"(lines {start + half + 1} to {stop - half} not shown)"
    return "\n".join([*_numbered(lines, start, start + half), left_out, *_numbered(lines, stop - half, stop)])


def _show_places(lines: Sequence[str], places: Sequence[tuple[int, int]]) -> str:
    """The first lines of each place with the lines above it, which tell the places apart."""
    shown = []
    for start, stop in places[:6]:
        shown.append(show_lines(lines, start - _CONTEXT, min(stop, start + 4), context=1))
    more = [f"(and {len(places) - 6} more)"] if len(places) > 6 else []
    return "\n--\n".join([*shown, *more])


def _votes(file: Sequence[str], search: Sequence[str]) -> Counter[int]:
    """For each offset of SEARCH in the file, how many lines agree there, rare lines counting more."""
    where: defaultdict[str, list[int]] = defaultdict(list)
    for i, line in enumerate(file):
        where[line].append(i)
    votes: Counter[int] = Counter()
    for i, line in enumerate(search):
        at = where.get(line, ()) if line else ()
        for j in at if len(at) <= 40 else ():
            votes[j - i] += 1000 // len(at)
    return votes


def _same_begin(file: Sequence[str], search: Sequence[str]) -> tuple[int, int] | None:
    """(file line, SEARCH line) of a pair of which the first begins with the second, or that give one name a value."""
    targets: dict[str, int] = {}
    for j, line in enumerate(file):
        targets.setdefault(target_of(line), j)
    for i in sorted((i for i, line in enumerate(search) if line), key=lambda i: -len(search[i]))[:4]:
        code = without_comment(search[i]).strip()
        if len(code) >= _SHORTEST_BEGIN:
            for j, line in enumerate(file):
                if line.startswith(code):
                    return j, i
        if (target := target_of(search[i])) and target in targets:
            return targets[target], i
    return None


def _likest_line(file: Sequence[str], search: Sequence[str]) -> tuple[int, int] | None:
    """(file line, SEARCH line) of the most similar pair among the longest lines of SEARCH."""
    if begins := _same_begin(file, search):
        return begins
    best, ratio, ratios = None, _MIN_RATIO, 0
    wanted = sorted((i for i, line in enumerate(search) if line), key=lambda i: -len(search[i]))[:4]
    for i in wanted:
        matcher = SequenceMatcher(None, autojunk=False)
        matcher.set_seq2(search[i][:200])
        for j, line in enumerate(file[: _MAX_COMPARED // len(wanted)]):
            matcher.set_seq1(line[:200])
            if not line or matcher.real_quick_ratio() <= ratio or matcher.quick_ratio() <= ratio:
                continue
            ratios += 1
            if ratios > _MAX_RATIOS:
                return best
            if matcher.ratio() > ratio:
                best, ratio = (j, i), matcher.ratio()
    return best


def find_nearest(file: Sequence[str], search: Sequence[str]) -> Nearest | None:
    """The part of the file that a SEARCH text most likely meant, None if no part is like it."""
    hay, needle = [line.strip() for line in file], [line.strip() for line in search]
    solid = sum(bool(line) for line in needle)
    if not solid or not hay:
        return None
    votes = _votes(hay, needle)
    slack = max(2, len(needle) // 8)
    if votes:
        likely = [offset for offset, _ in votes.most_common(_MAX_COMPARED // slack)]
        offset = max(likely, key=lambda o: (sum(votes.get(o + d, 0) for d in range(-slack, slack + 1)), votes[o]))
    elif likest := _likest_line(hay, needle):
        offset = likest[0] - likest[1]
    else:
        return None
    start, stop = max(0, offset - slack), min(len(hay), offset + len(needle) + slack)
    runs = common_runs(needle, hay[start:stop])
    same = sum(bool(line) for i, _, size in runs for line in needle[i : i + size])
    if runs:  # the begin and end of SEARCH, counted from the first and last line that agree
        top, bottom = start + runs[0][1] - runs[0][0], start + runs[-1][1] + len(needle) - runs[-1][0]
        start, stop = max(0, min(top, len(hay) - 1)), min(len(hay), max(bottom, 1))
    else:
        start, stop = max(0, min(offset, len(hay) - 1)), max(1, min(len(hay), offset + len(needle)))
    return Nearest(start, max(stop, start + 1), same / solid)


def _differences(file: Sequence[str], near: Nearest, search: Sequence[str]) -> list[str]:
    """Each run of SEARCH lines that differs from the file, beside the file's own lines."""
    here = file[near.start : near.stop]
    told: list[str] = []
    for i1, i2, j1, j2 in differing_runs([s.strip() for s in search], [h.strip() for h in here]):
        told += [f"  SEARCH has: {shorten(line)}" for line in search[i1:i2][:3] if line.strip()]
        told += [
            f"  file has, line {near.start + j + 1}: {shorten(here[j])}"
            for j in range(j1, min(j2, j1 + 3))
            if here[j].strip()
        ]
    return told[: 2 * _MAX_DIFFERENCES]


def _indents_differ(file: Sequence[str], near: Nearest, search: Sequence[str]) -> bool:
    return near.score == 1 and near.stop - near.start == len(search)


def _say_tabs(file: Sequence[str], near: Nearest, search: Sequence[str]) -> str:
    """Words about tabs, if one side is indented by them and the other by blanks."""
    has, given = (any(line[:1] == "\t" for line in lines) for lines in (file[near.start : near.stop], search))
    if has == given:
        return ""
    return " The file has tabs there, SEARCH has blanks." if has else " The file has blanks there, SEARCH has tabs."


def _show_nearest(path: str, file: Sequence[str], near: Nearest, search: Sequence[str]) -> str:
    """The nearest lines with their numbers, then the differences of SEARCH from them."""
    advice = "copy them exactly, without the numbers"
    if any(shorten(line) != line for line in file[max(0, near.start - _CONTEXT) : near.stop + _CONTEXT]):
        advice += "; of a line that is cut here, change the lines around it alone"
    shown = [f"The nearest lines of {path} are these; {advice}:", show_lines(file, near.start, near.stop)]
    differences = _differences(file, near, search)
    if differences:
        shown += ["What differs:", *differences]
    elif _indents_differ(file, near, search):
        shown.append(f"The words are the same; the indentation is not.{_say_tabs(file, near, search)}")
    return "\n".join(shown)


def not_found_hint(
    block: Block, lines: Sequence[str], reason: Reason, changed_by: Block | None
) -> tuple[int | None, str]:
    """(line, hint) for a SEARCH that fits nowhere: the block that changed its lines, or the nearest lines."""
    search, replace = split_body(block.search), split_body(block.replace)
    said = []
    if reason is Reason.UNPAIRED_DOTS:
        said.append(
            "SEARCH leaves lines out with dots; REPLACE must repeat these dots in order, or write every line out."
        )
    if changed_by is not None:
        said.append(
            f"The block at line {changed_by.line} of the same reply changed these lines; write SEARCH as they read now."
        )
    there = places(lines, replace)
    if len(there) == 1:
        start = there[0][0]
        said.append(
            f"REPLACE is in {block.path} already, at line {start + 1}. If you exchanged the two, send it again with "
            "these lines in SEARCH and the new ones in REPLACE; else leave this block out."
        )
    near = find_nearest(lines, search)
    if near is None and there:
        near = Nearest(*there[0], 0.0)
    if near is None:
        said.append(f"Nothing in {block.path} is like this SEARCH; it has {len(lines)} lines and begins:")
        return None, "\n".join([*said, show_lines(lines, 0, min(10, len(lines)), context=0)])
    return near.start + 1, "\n".join([*said, _show_nearest(block.path, lines, near, search)])


def not_shown_hint(path: str, lines: Sequence[str], hidden: Sequence[int]) -> str:
    """Hint for a block that changes lines which were not shown. hidden: their 1-based numbers."""
    head = f"This edit touches lines of {path} that you had not been shown. They are these; send the block again if it"
    shown = show_lines(lines, hidden[0] - 1, hidden[-1], context=_UNSEEN_CONTEXT)
    return f"{head} still does what you mean:\n{shown}"


def ambiguous_hint(path: str, lines: Sequence[str], starts: Sequence[int], count: int) -> str:
    numbers = ", ".join(str(i + 1) for i in starts[:_MAX_NUMBERS]) + (" and more" if len(starts) > _MAX_NUMBERS else "")
    spans = [(i, i + count) for i in starts]
    head = f"SEARCH fits {path} at lines {numbers}; add lines above or below that only the place meant has."
    return f"{head}\n{_show_places(lines, spans)}"


def other_file_hint(path: str, other: str, lines: Sequence[str], start: int, stop: int, is_editable: bool) -> str:
    """lines, start, stop: those of the other file."""
    advice = f"name {other} on the line above the fence" if is_editable else f"{other} cannot be edited"
    return f"These lines are not in {path} but in {other}; {advice}.\n{other}:\n{show_lines(lines, start, stop)}"


def placeholder_hint(
    path: str, lines: Sequence[str], search: Sequence[str], placeholder: str
) -> tuple[int | None, str]:
    """(line, hint) with the lines that REPLACE has to write out, or with those that an excerpt left out."""
    held = f"REPLACE holds `{placeholder.strip()}`, which would stand in {path} in place of the text"
    if (hidden := _NOT_SHOWN.search(placeholder)) and 0 < int(hidden[1]) <= len(lines):
        first, last = int(hidden[1]), min(len(lines), int(hidden[2] or hidden[1]))
        advice = "Lines that a block does not hold stay as they are: give only those that change, with one or two near."
        return first, f"{held}. {advice} It was shown in place of:\n{show_lines(lines, first - 1, last, context=0)}"
    head = f"{held}; write all lines out."
    there = places(lines, search)
    near = Nearest(*there[0], 1.0) if there else find_nearest(lines, search)
    if near is None:
        return None, head
    return near.start + 1, f"{head} SEARCH is after:\n{show_lines(lines, near.start, near.stop)}"


def syntax_hint(path: str, lines: Sequence[str], bad: BadPython, half_done: bool) -> tuple[int, str]:
    """(line, hint) for Python that does not parse. lines: the file as it would be with the block applied."""
    said = [f"With this block {path} is no longer Python: {bad.message}, line {bad.line} of what would be the file:"]
    if half_done:
        said.insert(0, "Another block of this file was refused, which may be why; send this one again with it.")
    return bad.line, "\n".join([*said, show_lines(lines, bad.line - 1, bad.line, context=6)])


def malformed_hint(found: FoundBlock, problem: str) -> str:
    """Hint about the form of a block or hunk."""
    if found.place:
        advice = "Send the change as a SEARCH/REPLACE block"
        return f"The {found.place.form} at line {found.line} of the reply cannot be applied: {problem}. {advice}."
    return f"The block at line {found.line} of the reply is malformed: {problem}. Send it again whole."


def unread_hint(line: int, what: str) -> str:
    """Hint for a reply that holds a change beside its edits which is none of them."""
    advice = "Send it as a SEARCH/REPLACE block, or leave it out if it is no change"
    return f"At line {line} of the reply, beside edits that can be applied, stands {what}. {advice}."


def path_hint(reason: Reason, name: str, editable: Sequence[str], fitting: Sequence[str]) -> str:
    """fitting: editable files that the block would fit."""
    problem = {
        Reason.UNSAFE_PATH: f"{name} is not a path inside the workspace.",
        Reason.NOT_EDITABLE: f"{name} may not be edited or created.",
        Reason.UNCLEAR_FILE: "It is not clear which file this block is for.",
    }.get(reason, "This block names no file.")
    fits = f" It fits {', '.join(fitting)}." if fitting else ""
    return f"{problem}{fits} Name one of these on the line above the fence: {', '.join(editable)}."
