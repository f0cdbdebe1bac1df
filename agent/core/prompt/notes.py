"""Sections of facts in notes.txt, each with a mark at its end, and the model's own words below it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["append_facts", "end_of_notes"]

END: Final = "[end of facts]"
_REVIEW: Final = "## Review after run "
# "## Run 3", "## Run 3: given up", "## Run 3 again", "## Beginning"
_RUN: Final = re.compile(r"## (?:Run \d+(?:: given up| again)?|Beginning)")


def append_facts(notes: str, section: str) -> str:
    """The text of notes.txt with one more section, after an empty line, and a mark at the section's end."""
    return notes.rstrip("\n") + ("\n\n" if notes.strip() else "") + f"{section}{END}\n"


def end_of_notes(notes: str, chars: int) -> str:
    """The last whole lines, at most `chars` characters of them, that are the model's own words."""
    kept: list[str] = []
    for section in _sections(notes.splitlines()):
        words = list(_own_words(section))
        if any(line.strip() for line in words[1:]) or not _is_heading(section[0]):
            kept += words[section[0].startswith(_REVIEW) :]
    text = "\n".join(_without_gaps(kept))
    return text if len(text) <= chars else text[-chars:].partition("\n")[2]


def _sections(lines: Sequence[str]) -> list[list[str]]:
    """The lines from each heading to the next; a first section may have none."""
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("## ") or not found:
            found.append([])
        found[-1].append(line)
    return found


def _is_heading(line: str) -> bool:
    """Whether the orchestrator wrote this heading."""
    return line.startswith(_REVIEW) or _RUN.fullmatch(line) is not None


def _own_words(section: Sequence[str]) -> Iterator[str]:
    if not _is_heading(section[0]):
        yield from section
    elif END in section:
        yield section[0]
        yield from section[section.index(END) + 1 :]
    else:
        yield from _without_unmarked_facts(section)


def _without_gaps(lines: Sequence[str]) -> list[str]:
    """The lines with no empty ones at either end, and one between others."""
    kept: list[str] = []
    for line in lines:
        if line.strip() or (kept and kept[-1].strip()):
            kept.append(line)
    return kept[:-1] if kept and not kept[-1].strip() else kept


# Notes of version 0.1, which have no marks.

# "- score = 0.9", "Verdict: better.", "Tag run/1, seed 1", "Commit 0123456789ab, seed 1", "Failed before: AError: no"
_FACT: Final = re.compile(
    r"- \S+ = \S+|Verdict: |Settings: |Tag run/|Commit [0-9a-f]{12},|Results are |Failed before: |Failed attempts: "
)
# "- try x", "The idea was revised: idea.json is version 2."
_POINT: Final = re.compile(r"- |The idea was revised: ")


def _without_unmarked_facts(section: Sequence[str]) -> Iterator[str]:
    """The section without facts that are told by their words alone: of a review its reason and the points below."""
    in_review = section[0].startswith(_REVIEW)
    has_reason = False
    yield section[0]
    for line in section[1:]:
        if in_review and line.strip():
            in_review = not has_reason or _POINT.match(line) is not None
            has_reason = True
        if not in_review and not _FACT.match(line):
            yield line
