"""How a supervised process ended, as it is written to exit.json."""

from __future__ import annotations

from dataclasses import dataclass
from signal import SIGKILL, SIGTERM

__all__ = ["LOST_OUTPUT", "ExitRecord"]

LOST_OUTPUT = "its output could not be kept: "  # begins the error of a command that ran

_KILLED = (128 + SIGKILL, -SIGKILL, 128 + SIGTERM, -SIGTERM)


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How a supervised process ended.

    Exactly one of exit_code and signal is set, unless the command never started: then `error` says why, or `stopped`.
    """

    # None if a signal ended it, or if it never started.
    exit_code: int | None
    # Number of the signal that ended it, else None.
    signal: int | None
    # Ended because its deadline passed.
    timed_out: bool
    # Ended by a request: the stop file, or SIGTERM to the supervisor.
    stopped: bool
    # Seconds that it was allowed.
    deadline_s: float
    # Seconds that it took, from its start to its end.
    wall_s: float
    # Most memory of all its processes together. None if it was never measured.
    max_rss_gib: float | None
    # Why the command never started or its end was not seen. None if neither holds.
    error: str | None = None
    # The limit that was met, as "memory 8.1 GiB > 8 GiB". The step was killed for it unless it ended by itself.
    breach: str = ""
    # The sandbox that held it. "off": none. Empty: not recorded, as in records of version 0.1.
    sandbox: str = ""
    # Whether it could reach no network.
    offline: bool = False
    # Whether its machine has a driver of NVIDIA's. None: not recorded.
    has_gpu: bool | None = None

    @classmethod
    def lost(cls, reason: str, deadline_s: float = 0.0) -> ExitRecord:
        """Record of a command that no supervisor saw end, or none started."""
        return cls(
            exit_code=None,
            signal=None,
            timed_out=False,
            stopped=False,
            deadline_s=deadline_s,
            wall_s=0.0,
            max_rss_gib=None,
            error=reason,
        )

    @property
    def was_killed(self) -> bool:
        """Whether somebody else's SIGKILL or SIGTERM ended the command: no limit was met, and no end was asked for.

        Daemons that watch the memory send SIGTERM first. A shell tells such a death as exit code 137 or 143.
        """
        asked = self.timed_out or self.stopped or self.error or self.breach
        return (self.signal in (SIGKILL, SIGTERM) or self.exit_code in _KILLED) and not asked

    @property
    def is_well(self) -> bool:
        """Whether the command ended by itself with exit code 0 and within its limits."""
        return self.exit_code == 0 and not (self.timed_out or self.stopped or self.error or self.breach)
