"""Lines of Python whose comments at the end are left out or spaced otherwise, and what becomes of those comments.

A comment of the file stays on a line that REPLACE changes, unless REPLACE gives the line another one. A line and its
new form are known by what they begin with: the name that is given a value, the function, the word `for`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from agent.core.code.comments import LineEnd, line_ends, without_comment

__all__ = ["code_key", "fits_but_for_comment", "keep_comments", "pair_lines", "target_of"]

_Lines = Sequence[str]
# "LR" of "LR = 0.02", "self.rate" of "self.rate: float = 3", "x" of "x += 1"
_TARGET = re.compile(r"([\w.\[\]]+)\s*(?::[^=]*)?(?:[-+*/%@&|^]|//|\*\*|<<|>>)?=(?!=)")
# "def train" of "def train(x):", "for" of "for x in y:"
_HEAD = re.compile(r"((?:async\s+)?(?:def|class)\s+\w+|\w+)")
LONGEST_HEAD = 300  # characters of a line in which its head is looked for


def code_key(line: str) -> str:
    """What a line has in common with those that differ from it in the comment at its end alone."""
    return without_comment(line).strip() or " ".join(_words(line))


def _words(comment: str) -> tuple[str, ...]:
    return tuple(comment.strip().lstrip("#").split())


def fits_but_for_comment(line: str, end: LineEnd, search: str, *, left_out: bool) -> bool:
    """Whether a line of SEARCH is this line of the file, its comment spaced otherwise.

    left_out: or all of the comment or the end of it is left out.
    """
    have, want = line.strip(), search.strip()
    if have == want:
        return True
    if end.comment is None or end.is_open:
        return False
    code, comment = line[: end.comment].strip(), _words(line[end.comment :])
    if code and want == code:
        return left_out
    rest = want[len(code) :].lstrip()
    if not want.startswith(code) or not rest.startswith("#"):
        return False
    said = _words(rest)
    return said == comment or (left_out and bool(code and said) and " ".join(comment).startswith(" ".join(said)))


def pair_lines(old: _Lines, new: _Lines) -> dict[int, int]:
    """For lines of `new` the line of `old` that each is a new form of."""
    heads = [[_head(line) for line in lines] for lines in (old, new)]
    counts = [Counter(each) for each in heads]
    at = {head: i for i, head in enumerate(heads[0])}
    pairs = {j: at[h] for j, h in enumerate(heads[1]) if h and counts[0][h] == 1 and counts[1][h] == 1}
    if len(old) == len(new):
        taken = set(pairs.values())
        for k in range(len(new)):
            is_free = k not in pairs and k not in taken and old[k].strip() and new[k].strip()
            if is_free and not (target_of(old[k]) and target_of(new[k])):
                pairs[k] = k
    return pairs


def _begin(line: str) -> str:
    return line.strip()[:LONGEST_HEAD]


def target_of(line: str) -> str:
    """The name that a line gives a value, "" if it gives none."""
    found = _TARGET.match(_begin(line))
    return found[1] if found else ""


def _head(line: str) -> str:
    if target := target_of(line):
        return f"{target} ="
    head = _HEAD.match(_begin(line))
    return " ".join(head[1].split()) if head else ""


def keep_comments(file: _Lines, now: _Lines, origins: Mapping[int, int], searched: Mapping[int, str]) -> dict[int, str]:
    """The lines of `now`, the changed file, that get a comment of the file since REPLACE gives them no other one.

    origins: by index of a line of `now`, the file's line that it is a new form of. searched: that line of the file as
    SEARCH has it.
    """
    before, after = line_ends(file), line_ends(now)
    kept: dict[int, str] = {}
    if before is None or after is None:
        return kept
    for k, i in origins.items():
        col, end = before[i].comment, after[k]
        code = file[i][:col].rstrip()
        if col is None or end.is_open or not code or _is_own(now[k], end.comment, file[i][col:], searched[i]):
            continue
        if changed := now[k][: end.comment].rstrip():
            kept[k] = changed + file[i][len(code) :]
    return kept


def _is_own(line: str, col: int | None, comment: str, searched: str) -> bool:
    """Whether a new line has a comment that is neither the file's nor the one that SEARCH took for it."""
    if col is None:
        return False
    said = searched[len(without_comment(searched)) :]
    return _words(line[col:]) not in (_words(comment), _words(said))
