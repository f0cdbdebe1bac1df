"""The file that the lines above an edit name."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from agent.core.edit.formats.names import find_info_name, find_name, is_heading, mentioned
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import read_fence

__all__ = ["calls_example", "is_unsure", "mentioned_above", "name_above"]

# Words above a fence that is no edit.
_EXAMPLES = frozenset(
    (
        *("alternative", "alternatively", "call", "called", "concept", "example", "formula", "idea", "instance"),
        *("later", "math", "otherwise", "pseudo", "pseudocode", "sketch", "usage", "use", "used"),
    )
)
# Words above code that is weighed, and not sent.
_UNSURE = frozenset(("could", "consider", "if", "may", "maybe", "might", "perhaps", "should", "would"))
# "example"
_WORD = re.compile(r"[A-Za-z_]+")
# "- ", "2. "
_LIST_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s")


def name_above(lines: Sequence[Line], head: int, floor: int, editable: Collection[str]) -> str | None:
    """The file of the edit at index `head`, by the lines above it from index `floor` on, which is where the last ended.

    In this order: a name directly above, on the fence, inside it or in a fence of its own; the last heading that is a
    name; a line that is nothing but a name, if no other file is named after it.
    """
    name = _adjacent_name(lines, head, floor, editable)
    prose = [line.text for line in lines[floor:head] if line.kind is Kind.PROSE or not line.is_closed]
    headings = (line for line in reversed(prose) if is_heading(line))
    name = name or next((found for line in headings if (found := find_name(line, editable))), None)
    return name or _lone_name(prose, editable)


def calls_example(lines: Sequence[Line], end: int) -> bool:
    """Whether the words just above index `end` call what follows an example."""
    return not _EXAMPLES.isdisjoint(_words_above(lines, end))


def is_unsure(lines: Sequence[Line], end: int) -> bool:
    """Whether the words just above index `end` weigh what follows: "I would set"."""
    return not _UNSURE.isdisjoint(_words_above(lines, end))


def mentioned_above(lines: Sequence[Line], head: int, floor: int, editable: Collection[str]) -> tuple[str, ...]:
    """The editable files that prose mentions between the last edit and this one."""
    prose = (line.text for line in lines[floor:head] if line.kind is Kind.PROSE)
    return tuple({file: None for line in prose for file in mentioned(line, editable)})


def _words_above(lines: Sequence[Line], end: int) -> list[str]:
    above = next((line.text for line in reversed(lines[max(0, end - 3) : end]) if line.text.strip()), "")
    return _WORD.findall(above[:400].lower())


def _adjacent_name(lines: Sequence[Line], head: int, floor: int, editable: Collection[str]) -> str | None:
    """The name directly above: on the fence, inside it, or above it."""
    fenced = skipped = False
    for i in range(head - 1, floor - 1, -1):
        line = lines[i].text
        if lines[i].kind is Kind.OWN:
            return None
        fence = read_fence(line)
        if not line.strip():
            continue
        if fence:
            if fenced or (not fence.info and lines[i].kind is Kind.FENCE and not lines[i].opens):
                return _name_in_fence(lines, i, floor, editable)
            fenced = True
            if name := find_info_name(fence.info, editable):
                return name
            continue
        if name := find_name(line, editable):
            return name
        if not fenced and not skipped and i > floor and read_fence(lines[i - 1].text):
            skipped = True  # a remark on the first line inside the fence
            continue
        return None
    return None


def _name_in_fence(lines: Sequence[Line], end: int, floor: int, editable: Collection[str]) -> str | None:
    """The name that is all that stands in the fence which ends at index `end`."""
    start = lines[end].fence - 1
    held = [line.text for line in lines[start + 1 : end] if line.text.strip()] if floor <= start < end else []
    return find_name(held[0], editable) if len(held) == 1 else None


def _lone_name(prose: Sequence[str], editable: Collection[str]) -> str | None:
    """The last line that names a file, if it is nothing but the name."""
    for line in reversed(prose):
        name = None if _LIST_ITEM.match(line.lstrip()) else find_name(line, editable)
        if name or mentioned(line, editable):
            return name
    return None
