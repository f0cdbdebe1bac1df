"""Exceptions of an evaluation: the SAE, the process that encodes, or the data is at fault."""

from __future__ import annotations


class BrokenSAE(Exception):
    """The SAE cannot be scored. The message says in one line how to mend it, `output` is the end of its output."""

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(" ".join(reason.split()))
        self.output = output


class CannotServe(BrokenSAE):
    """The process that encodes could not be started, ended, or did not answer in time."""


class CannotEvaluate(Exception):
    """The profile or the prepared data is at fault, not the SAE. The message says in one line how to mend it."""
