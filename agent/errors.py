"""Exceptions of the project: each means that work cannot go on. Expected failures of an experiment are values instead.

ScientistError                  exit code
├── UsageError                  2   bad input, named with its file and field
├── Locked                      5   another process works on the workspace
├── StopRequested               3   `scientist stop` came while a model call waited
├── BudgetSpent                 4   a model call would pass a limit of tokens or money, and was not made
├── IntegrityError              6   code, template or journal disagree
│   └── JournalCorrupt          6   a line of the journal is damaged
└── ProviderError               3   the model could not be asked
    ├── ProviderUnavailable     3   outage, rate limit: worth another try later
    └── ProviderRefused         3   key, quota, unknown model: needs a person
        └── ContextTooLong      3   the prompt is longer than the model takes: a shorter one may pass
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from agent.core.journal.budget import Paid

__all__ = [
    "BudgetSpent",
    "ContextTooLong",
    "IntegrityError",
    "JournalCorrupt",
    "Locked",
    "ProviderError",
    "ProviderRefused",
    "ProviderUnavailable",
    "ScientistError",
    "StopRequested",
    "UsageError",
    "in_one_line",
]


def in_one_line(value: str) -> str:
    """A path or another value as it can stand in a line, whatever line breaks it holds."""
    return value.replace("\n", "\\n").replace("\r", "\\r")


class ScientistError(Exception):
    """Base of all. Its `str()` is one line fit for a terminal."""

    exit_code: ClassVar[int] = 1


class UsageError(ScientistError):
    """Input that cannot be used. `where` names the file, field or option, `remedy` the next step for the user."""

    exit_code = 2

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        self.where, self.problem, self.remedy = in_one_line(where), problem, remedy
        super().__init__(f"{self.where}: {problem}" + (f"; {remedy}" if remedy else ""))


class Locked(ScientistError):
    """Another process, `holder`, works on the workspace."""

    exit_code = 5

    def __init__(self, workspace: Path, holder: str, remedy: str) -> None:
        self.workspace, self.holder, self.remedy = workspace, holder, remedy
        super().__init__(f"{workspace}: locked by {holder}; {remedy}")


class StopRequested(ScientistError):
    """`scientist stop` was called while a model call waited for its next try."""

    exit_code = 3


class BudgetSpent(ScientistError):
    """A model call would pass a limit and was not sent. `remedy` holds the options of `resume` that make room.

    paid: used by earlier requests of the same question. None if there were none.
    """

    exit_code = 4

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason, self.remedy = reason, remedy
        self.paid: Paid | None = None
        super().__init__(reason)


class IntegrityError(ScientistError):
    """The workspace contradicts its journal. Nothing was changed."""

    exit_code = 6

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        self.where, self.problem, self.remedy = in_one_line(where), problem, remedy
        super().__init__(f"{self.where}: {problem}; {remedy}")


class JournalCorrupt(IntegrityError):
    """Line `line` (1-based) of the journal at `path` cannot be read. Nothing was changed."""

    def __init__(self, path: Path, line: int, problem: str, remedy: str = "") -> None:
        self.path, self.line = path, line
        super().__init__(f"{path}:{line}", problem, remedy or "restore the file from a copy, or launch the idea again")


class ProviderError(ScientistError):
    """A model call failed for good. The conversation is as it was before the call.

    paid: counted by the provider all the same. None if it counted nothing.
    """

    exit_code = 3

    def __init__(self, model: str, problem: str) -> None:
        self.model, self.problem = model, problem
        self.paid: Paid | None = None
        super().__init__(f"{model}: {problem}")


class ProviderUnavailable(ProviderError):
    """Outage, rate limit or empty answer that outlasted the patience of the caller."""


class ProviderRefused(ProviderError):
    """Key, quota, permission or model name: asking again cannot help before a person acts."""


class ContextTooLong(ProviderRefused):
    """The prompt is longer than the model takes. `window_tokens` is the model's window, if the provider named it."""

    def __init__(self, model: str, problem: str, window_tokens: int | None = None) -> None:
        self.window_tokens = window_tokens
        super().__init__(model, problem)
