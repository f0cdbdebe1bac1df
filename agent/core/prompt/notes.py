"""notes.txt without what the orchestrator wrote into it: the facts of runs are shown elsewhere."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["end_of_notes"]

_REVIEW: Final = "## Review after run "
_FACT: Final = re.compile(
    r"(?:- \S+ = \S+|Verdict: |Settings: |Tag run/|Commit [0-9a-f]{12},|Results are |Failed before: |Failed attempts: )"
)
_POINT: Final = re.compile(r"- |The idea was revised: ")


def end_of_notes(notes: str, chars: int) -> str:
    """The last whole lines, at most `chars` characters of them, that are the model's own words."""
    kept: list[str] = []
    in_review = 0  # the line of a review that is due next: its heading, its reason, its points
    for line in notes.splitlines():
        if line.startswith("## "):
            in_review = 1 if line.startswith(_REVIEW) else 0
        elif in_review and line.strip():
            in_review = in_review + 1 if in_review == 1 or _POINT.match(line) else 0
        if in_review or _FACT.match(line) or (not line.strip() and not (kept and kept[-1].strip())):
            continue
        if line.startswith("## ") and kept and _is_heading_of_run(kept[-1]):
            kept.pop()  # nothing of the model's stood under it
        kept.append(line)
    while kept and (not kept[-1].strip() or _is_heading_of_run(kept[-1])):
        kept.pop()
    text = "\n".join(kept)
    return text if len(text) <= chars else text[-chars:].partition("\n")[2]


def _is_heading_of_run(line: str) -> bool:
    return re.fullmatch(r"## Run \d+(?:: given up)?", line) is not None
