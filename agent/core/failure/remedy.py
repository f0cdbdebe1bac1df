"""Ways in which a person can help a template's own code over a failure that no edit made."""

from __future__ import annotations

from agent.core.failure.cause import OFFLINE
from agent.core.failure.diagnose import Failure, FailureKind

__all__ = ["remedy_for"]

_DOWNLOADS = "download what it needs first and give the folder with --data, or set [sandbox] network = true"
_NO_METRIC = "has no number under `means`"  # as core/evidence/means.py says it


def remedy_for(failure: Failure) -> str:
    """What to do about the failure, in half a sentence. Empty if the code itself has to change."""
    if failure.kind is FailureKind.TIMED_OUT:
        return "launch with a longer --run-s"
    if failure.kind is FailureKind.OUT_OF_MEMORY and "memory" in failure.summary and ">" in failure.summary:
        return "launch with a larger --memory-gib"
    if failure.kind is FailureKind.BAD_RESULTS and _NO_METRIC in failure.summary:
        return "name its numbers as [[metrics]] in template.toml"
    return f"{_DOWNLOADS} in template.toml" if OFFLINE in failure.summary else ""
