"""Lines of unified diffs and of `*** Begin Patch` patches, told from the prose and code around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.text.markers import INVISIBLE, read_fence

__all__ = ["BEGIN", "END", "HunkHead", "PatchSpan", "ends_hunk", "find_patches", "is_file_head", "read_hunk_head"]

BEGIN: Final = "*** Begin Patch"
END: Final = "*** End Patch"
SECTIONS: Final = ("*** Update File: ", "*** Add File: ", "*** Delete File: ")
# "@@ -12,3 +14,7 @@ def train():"
_NUMBERED: Final = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(.*)")
# What git writes between "diff --git" and the hunks.
_GIT_HEADS: Final = (
    "index ",
    "old mode ",
    "new mode ",
    "new file mode ",
    "deleted file mode ",
    "similarity index ",
    "dissimilarity index ",
    "rename ",
    "copy ",
    "Binary files ",
)


@dataclass(frozen=True, slots=True)
class PatchSpan:
    """First and last line of one file's diff, or of one patch, as indices. has_end: false if its end is missing."""

    first: int
    last: int
    has_end: bool


@dataclass(frozen=True, slots=True)
class HunkHead:
    """A line that begins with @@. counts: how many old and new lines it announces, None if it has no numbers.

    at: the new side's first line, or 0. anchor: the words behind it, a line of the file above the hunk.
    """

    counts: tuple[int, int] | None
    at: int
    anchor: str


def read_hunk_head(line: str) -> HunkHead | None:
    """The head of a hunk: `@@ -1,2 +1,3 @@ def f():`, `@@ ... @@`, `@@ def f():`, `@@`. None for any other line."""
    if not line.startswith("@@"):
        return None
    if found := _NUMBERED.match(line):
        old, new = (int(found[i]) if found[i] is not None else 1 for i in (2, 4))
        return HunkHead((old, new), int(found[3]), found[5].strip())
    words = line[2:].strip()
    words = words.removesuffix("@@").strip()
    is_anchor = words and words.strip(". \u2026") and not words.startswith("-")
    return HunkHead(None, 0, words if is_anchor else "")


def is_file_head(lines: Sequence[str], i: int) -> bool:
    """Whether the diff of a file begins at a line: `diff --git`, or `---` above `+++`."""
    line = _bare(lines[i])
    if line.startswith("diff --git "):
        return True
    return line.startswith("--- ") and i + 1 < len(lines) and lines[i + 1].startswith("+++ ")


def ends_hunk(lines: Sequence[str], start: int, stop: int, head: HunkHead | None) -> int:
    """The index after the last line of a hunk whose lines begin at `start`.

    Counts in its head decide, if the line after so many is no line of a hunk. Models miscount, so else it runs to the
    first line that begins neither with a blank nor with + or -. An empty line ends it if what follows looks like prose.
    """
    counted = _end_by_counts(lines, start, stop, head.counts) if head and head.counts else -1
    if counted >= 0 and (counted == stop or not _goes_on(lines, counted)):
        return counted
    i = done = start
    while i < stop:
        line = lines[i]
        if not line.strip():
            i += 1
            if line:
                done = i
            continue
        is_after_gap = i > start and not lines[i - 1]
        if line[0] not in " +-\\" or is_file_head(lines, i) or (is_after_gap and _is_bullet(line)):
            break
        i = done = i + 1
    return done


def _end_by_counts(lines: Sequence[str], start: int, stop: int, counts: tuple[int, int]) -> int:
    """The index at which a hunk has as many lines as its head says, -1 if it ends before."""
    old, new = counts
    i = start
    while (old > 0 or new > 0) and i < stop:
        sign = lines[i][:1]
        if sign not in ("", " ", "+", "-", "\\"):
            return -1
        old -= sign in ("", " ", "-")
        new -= sign in ("", " ", "+")
        i += 1
    if old or new:
        return -1
    while i < stop and lines[i].startswith("\\"):
        i += 1
    return i


def _goes_on(lines: Sequence[str], i: int) -> bool:
    """Whether a line looks like one more of the hunk above."""
    line = lines[i]
    if line[:1] == " " and (fence := read_fence(line)) and not fence.info:
        return False
    return line[:1] in ("+", "-", " ") and bool(line.strip()) and not is_file_head(lines, i) and not _is_bullet(line)


def _is_bullet(line: str) -> bool:
    """Whether a line may be an item of a list: `- text`."""
    return line[:1] in ("+", "-") and line[1:2] == " " and line[2:3] not in ("", " ")


def find_patches(lines: Sequence[str], taken: Sequence[bool]) -> list[PatchSpan]:
    """The diffs and patches in a text, whether a fence is around them or not. taken: lines that are none."""
    found: list[PatchSpan] = []
    i = stop = 0
    while i < len(lines):
        if stop <= i:
            stop = next((k for k in range(i, len(lines)) if taken[k]), len(lines))
            stop = stop + 1 if stop == i else stop
        if taken[i] or lines[i][:1] not in "*d-" + INVISIBLE:
            i += 1
            continue
        line = _bare(lines[i])
        if line.rstrip() == BEGIN or line.startswith(SECTIONS):
            found.append(_read_envelope(lines, i, stop))
        elif is_file_head(lines, i):
            found.append(PatchSpan(i, _end_of_diff(lines, i, stop) - 1, has_end=True))
        else:
            i += 1
            continue
        i = found[-1].last + 1
    return found


def _bare(line: str) -> str:
    return line.lstrip(INVISIBLE)


def _read_envelope(lines: Sequence[str], start: int, stop: int) -> PatchSpan:
    """A patch from its first line to *** End Patch, or if that is missing to the next fence, patch or block."""
    for i in range(start + 1, stop):
        if lines[i].rstrip() == END:
            return PatchSpan(start, i, has_end=True)
        if lines[i].startswith(("```", "~~~")) or lines[i].rstrip() == BEGIN:
            return PatchSpan(start, i - 1, has_end=False)
    return PatchSpan(start, stop - 1, has_end=False)


def _end_of_diff(lines: Sequence[str], start: int, stop: int) -> int:
    """The index after the last line of one file's diff."""
    i = start
    if _bare(lines[i]).startswith("diff --git "):
        i += 1
        while i < stop and lines[i].startswith(_GIT_HEADS):
            i += 1
    if i < stop and _bare(lines[i]).startswith("--- ") and is_file_head(lines, i):
        i += 2
    if i < stop and not lines[i].startswith("@@"):
        i = ends_hunk(lines, i, stop, None)
    while i < stop:
        after = next((k for k in range(i, stop) if lines[k].strip()), stop)
        if after == stop or not lines[after].startswith("@@"):
            break
        i = ends_hunk(lines, after + 1, stop, read_hunk_head(lines[after]))
    return i
