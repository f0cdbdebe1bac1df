"""Why a run's SAE could not be evaluated."""

from __future__ import annotations


class BrokenSAE(Exception):
    """The SAE cannot be scored: one line that says what to change, and `output`, the last that its code printed."""

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(" ".join(reason.split()))
        self.output = output


class CannotServe(BrokenSAE):
    """The process that encodes could not be started, or ended, or fell silent."""


class CannotEvaluate(Exception):
    """Not the SAE but the profile or the prepared data is at fault; one line that says what to do."""
