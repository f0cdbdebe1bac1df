"""Warnings of libraries, which are for their developers: they change nothing that a user asked for."""

from __future__ import annotations

import warnings

# Every module but our own: "litellm.utils", not "agent.loop".
NOT_OURS = r"(?!agent\.)"


def ignore_library_warnings() -> None:
    """Ignore them from now on, even if PYTHONWARNINGS or a test run turns warnings into errors.

    An error that a warning was turned into ends the library's call in the middle, as if the provider had failed.
    """
    warnings.filterwarnings("ignore", module=NOT_OURS)
