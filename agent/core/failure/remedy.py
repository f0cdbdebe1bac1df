"""Ways in which a person can help a template's own code over a failure that no edit made."""

from __future__ import annotations

import re

from agent.core.failure.cause import OFFLINE
from agent.core.failure.diagnose import Failure, FailureKind

__all__ = ["remedy_for"]

_DOWNLOADS = "download what it needs first and give the folder with --data, or set [sandbox] network = true"
# "FileNotFoundError: [Errno 2] No such file or directory: 'points.tsv'"
_NO_FILE = re.compile(r"No such file or directory: '[^/'~]")
_NO_METRIC = "has no number under `means`"  # as core/evidence/means.py says it


def remedy_for(failure: Failure) -> str:
    """What to do about the failure, in half a sentence. Empty if the code itself has to change."""
    if failure.kind is FailureKind.TIMED_OUT:
        return "launch with a longer --run-s"
    if failure.kind is FailureKind.OUT_OF_MEMORY and "memory" in failure.summary and ">" in failure.summary:
        return "launch with a larger --memory-gib"
    if failure.kind is FailureKind.BAD_RESULTS and _NO_METRIC in failure.summary:
        return "name its numbers as [[metrics]] in template.toml"
    if _NO_FILE.search(failure.summary):
        return "put it into the template's folder, or name the folder that is to be ./data with --data"
    return f"{_DOWNLOADS} in template.toml" if OFFLINE in failure.summary else ""
