"""Find the line of a reply that misses the format, to quote it back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.edit.apply import lines_of, name_edits
from agent.core.reply.plan import bare_plan_line
from agent.core.text.lexer import Kind, Line
from agent.core.text.plain import plain_line

__all__ = ["CUT", "Miss", "find_misses", "is_missed_command", "last_line"]

CUT: Final = "your reply was cut at its length limit; send less at once"
QUOTED_CHARS: Final = 160
# "REPLICATE"
_WORD: Final = re.compile(r"\b(ALL_COMPLETED|REPLICATE)\b")
_COMMAND_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Miss:
    """A fault in a reply's form. `quoted` is the text of `line` (1-based), which is 0 if no line is meant."""

    problem: str
    line: int = 0
    quoted: str = ""

    def __str__(self) -> str:
        if not self.line:
            return self.problem
        return f"line {self.line} of your reply, {plain_line(self.quoted, QUOTED_CHARS)!r}: {self.problem}"


def find_misses(reply: str, *, commands: bool = True, whole: bool = False) -> tuple[Miss, ...]:
    """Say why a reply without an edit asks for nothing: at most one miss of each kind.

    commands: whether its author may send plans and commands. An editor is told of blocks alone.
    whole: whether whole files and functions were asked for.
    """
    lines = lines_of(reply)
    found: list[Miss] = []
    if number := bare_plan_line(reply) if commands else 0:
        found.append(Miss("a plan begins here, but no numbered item follows", number, lines[number - 1].text))
    fence = next((line for line in lines if line.kind is Kind.FENCE), None)
    if fence:
        first = next((line.text for line in lines[fence.number :] if line.text.strip()), "")
        quoted = f"{fence.text.strip()} {first.strip()}"
        only = f"code in a fence is no edit; only {name_edits(several=True)} are"
        said = "no line above this fence names a file that may be edited" if whole else only
        found.append(Miss(said, fence.number, quoted))
    for line in lines if commands else ():
        if line.kind is Kind.PROSE and (word := _WORD.search(line.text)):
            found.append(Miss(f"{word[1]} counts only alone on a line", line.number, line.text))
            break
    return tuple(found) or (last_line(lines, "the reply ends here, as prose alone"),)


def is_missed_command(words: str) -> bool:
    """Whether all that is said is one short line with a command in it."""
    lines = [line for line in words.split("\n") if line.strip()]
    return len(lines) == 1 and len(lines[0]) <= _COMMAND_CHARS and _WORD.search(lines[0]) is not None


def last_line(lines: Sequence[Line], problem: str) -> Miss:
    """A miss that is seen only at the reply's end."""
    last = next((line for line in reversed(lines) if line.text.strip()), None)
    return Miss(problem, last.number, last.text) if last else Miss("the reply is empty")
