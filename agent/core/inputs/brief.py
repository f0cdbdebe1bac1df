"""Divide a template's brief into the task, with its rules and data, and the background for a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agent.core.text.lexer import Kind, mark_lines

__all__ = ["Brief", "split_brief"]

# "# Background", "# Task #"
_HEADING: Final = re.compile(r"#[ \t]+(?P<name>\S.*)")
# "Field brief"
_BACKGROUND: Final = re.compile(r"(?:field(?: brief)?|background|related work|literature)\b", re.IGNORECASE)
# "# Task\n"
_TASK: Final = re.compile(r"#[ \t]+task[ \t#]*\n+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Brief:
    """`task` is without its own heading "# Task", `background` with its headings, which are also in `headings`."""

    task: str
    background: str = ""
    headings: tuple[str, ...] = ()


def split_brief(text: str) -> Brief:
    """The sections under a heading of level 1 that says background, field, related work or literature, and the rest."""
    task: list[str] = []
    background: list[str] = []
    headings: list[str] = []
    part = task
    for line in mark_lines(text.split("\n")):
        if line.kind is Kind.PROSE and (heading := _HEADING.fullmatch(line.text)):
            is_background = _BACKGROUND.match(heading["name"]) is not None
            part = background if is_background else task
            headings += [heading["name"].rstrip(" \t#")] if is_background else []
        part.append(line.text)
    told = "\n".join(task).strip()
    own = _TASK.match(told)
    return Brief(told[own.end() :] if own else told, "\n".join(background).strip(), tuple(headings))
