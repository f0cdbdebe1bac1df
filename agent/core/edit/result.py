"""The values of the edit engine: a change that is asked for, its refusal, and the result of a reply."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["NOTES", "Block", "EditResult", "Reason", "Rejected"]


NOTES: Final = "notes.txt"


class Reason(StrEnum):
    """Why a block was refused. The phrases are stable, so that they can be counted and compared."""

    NOT_FOUND = "SEARCH not found"
    AMBIGUOUS = "SEARCH matches several places"
    OTHER_FILE = "SEARCH is in another file"
    NO_FILE = "no file named"
    UNCLEAR_FILE = "file named unclearly"
    UNSAFE_PATH = "path not allowed"
    NOT_EDITABLE = "file not editable"
    NO_SUCH_FILE = "file does not exist"
    PLACEHOLDER = "placeholder in REPLACE"
    UNPAIRED_DOTS = "lines of dots do not pair"
    MALFORMED = "malformed block"
    NUMBERED = "lines begin with their numbers"
    SYNTAX = "Python does not parse"
    NOT_SHOWN = "lines were not shown"
    UNREAD = "a change that is not read"
    NOT_WHOLE = "neither a whole file nor whole functions"


@dataclass(frozen=True, slots=True)
class Block:
    """One requested change.

    path: as in the editable list once resolved, else as the reply has it, or "" if it names none. search and replace
    end with a newline unless empty. A whole file or function has an empty search. line: 1-based line of the reply.
    exact: blank lines at the ends of both halves are text, as in a hunk of a diff.
    """

    path: str
    search: str
    replace: str
    line: int
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A block that was not applied.

    line: 1-based line of the file that the hint is about, if any. hint: text for the model, with the real lines of
    the file and their numbers if there are any to show.
    """

    path: str
    block: Block
    reason: Reason
    line: int | None
    hint: str

    def is_only_of(self, files: Collection[str]) -> bool:
        """Whether it is about one of these files alone, so that the rest of the reply may be applied."""
        return self.path in files and self.reason is not Reason.OTHER_FILE


@dataclass(frozen=True, slots=True)
class EditResult:
    """The result of a reply."""

    # The texts to write: the input itself if a block is rejected.
    files: dict[str, str]
    # The input with the accepted blocks applied.
    staged: dict[str, str]
    # The accepted blocks.
    applied: list[Block]
    # The others, each with its reason.
    rejected: list[Rejected]
    # Whether `files` differs from the input.
    changed: bool
    # Files of which the reply gives lines, or all of them, as they are.
    same: tuple[str, ...] = ()
