"""Commits of a branch as values, read from the output of `git log`."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["LOG_OPTIONS", "Commit", "parse_log"]

_FORM = "%x01%H%x00%ct%x00%s%x00%(trailers:only,unfold,separator=%x1f)%x00"
# "\x011f3a...\0", at the start of a commit; a message may hold the first character
_BEGIN = re.compile(r"\x01(?=[0-9a-f]{40,64}\0)")
LOG_OPTIONS = ("--reverse", "--no-ext-diff", "--no-textconv", "--no-renames", "--numstat", "-z", f"--format={_FORM}")


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the branch."""

    sha: str  # the whole hash
    time: float  # the committer's, in seconds since the epoch
    subject: str  # first line of the message
    trailers: dict[str, str]  # lines at the message's end, as "Run: 3", by name
    files: tuple[str, ...] = ()  # that it changed
    insertions: int = 0  # lines, over all files
    deletions: int = 0  # lines, over all files


def parse_log(out: str) -> list[Commit]:
    """The commits in the order of the output of `git log` with LOG_OPTIONS."""
    return [_parse_commit(part) for part in _BEGIN.split(out)[1:]]


def _parse_commit(part: str) -> Commit:
    sha, stamp, subject, trailers, rest = part.split("\0", 4)
    rows = [entry.lstrip("\n").split("\t", 2) for entry in rest.split("\0") if entry.count("\t") >= 2]
    return Commit(
        sha,
        float(stamp),
        subject,
        dict(pair.split(": ", 1) for pair in trailers.split("\x1f") if ": " in pair),
        tuple(row[2] for row in rows),
        sum(int(row[0]) for row in rows if row[0].isdigit()),
        sum(int(row[1]) for row in rows if row[1].isdigit()),
    )
