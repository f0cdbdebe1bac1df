"""What became of a supervised step, and what a person needs to know to repair it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How a supervised process ended.

    Exactly one of exit_code and signal is set, unless the command never started (then `error` says why).
    """

    exit_code: int | None
    signal: int | None
    timed_out: bool
    stopped: bool
    deadline_s: float
    wall_s: float
    max_rss_gib: float | None
    error: str | None = None
