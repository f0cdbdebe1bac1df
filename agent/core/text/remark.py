"""Lines of a report on something that was looked at: a template, or this machine before a launch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.errors import ScientistError, UsageError

__all__ = ["Level", "Remark"]

# "mend" is a fault of a template, "FAIL" one that would end a launch, "warn" something that may cost time or results.
Level = Literal["ok", "note", "warn", "mend", "FAIL"]


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was looked at, how it is, and what to do about it."""

    level: Level  # how grave it is, "ok" to "FAIL"
    what: str  # the thing, or a whole sentence with place and remedy
    detail: str = ""  # its state in a few words, or empty
    remedy: str = ""  # what a person can do, or empty
    lines: tuple[str, ...] = ()  # to add or write, exactly as they stand
    blocks: bool = False  # no run is worth trying before it is mended

    @classmethod
    def of(cls, what: str, error: ScientistError, level: Level = "FAIL") -> Remark:
        """The remark that an error of a launch would be."""
        if isinstance(error, UsageError):
            return cls(level, what, f"{error.where}: {' '.join(error.problem.split())}", error.remedy)
        return cls(level, what, str(error))

    @property
    def is_fault(self) -> bool:
        return self.level in ("mend", "FAIL")

    @property
    def text(self) -> str:
        """The remark in one line, without its level and its lines to add."""
        detail = " ".join(self.detail.split())
        if self.remedy:
            detail = f"{detail.rstrip('.')}; {self.remedy}"
        what = " ".join(self.what.split())
        return f"{what}: {detail}" if detail else what
