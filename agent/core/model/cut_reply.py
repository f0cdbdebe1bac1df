"""Replies that were cut at the limit of output tokens: requests for the rest, and joining the parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agent.core.model.messages import Message
from agent.core.text.lexer import find_unreadable, read_lines
from agent.core.text.markers import read_fence
from agent.core.text.reasoning import strip_reasoning

__all__ = ["ask_for_less", "ask_for_rest", "ask_for_text", "ends_in_loop", "has_answer", "join_rest", "whole_lines"]

TELLING_CHARS: Final = 20
# A reply whose last characters are the same ones so many times over would go on so.
LOOP_CHARS: Final = 400
LOOP_TIMES: Final = 4
LOOKED_AT_CHARS: Final = 8000
# "12" in "Step 12", so that steps that are counted are alike
_DIGITS: Final = re.compile(r"\d+")
GO_ON: Final = (
    "Your reply was cut off at the limit of its length. Go on with the line that follows the last one above: "
    "no greeting, no comment, no code fence opened again, nothing repeated."
)
LESS: Final = (
    "Your reply reached the limit of its length before it was complete, and was not used. Reply again in full, "
    "much shorter: think and explain less, and change only what matters most."
)
TEXT: Final = "Your last reply held no text. Answer in text, as asked above, and call no tool."


def has_answer(text: str) -> bool:
    """Whether the text holds more than reasoning. One that is too long to be read is refused later."""
    return bool(text.strip()) and (bool(find_unreadable(text)) or bool(strip_reasoning(text).strip()))


def whole_lines(text: str) -> str:
    """The text up to its last line break, or all of it if it has none. A join inside a line would guess at blanks."""
    return text[: text.rfind("\n") + 1] or text


def ask_for_rest(text: str) -> tuple[Message, Message]:
    """The turns that ask a model to go on with its reply."""
    return Message("assistant", whole_lines(text)), Message("user", GO_ON)


def ask_for_less() -> Message:
    """The turn that asks for a shorter reply."""
    return Message("user", LESS)


def ask_for_text() -> Message:
    """The turn that asks again for a reply that held no text."""
    return Message("user", TEXT)


def join_rest(text: str, rest: str) -> str:
    """The reply in one piece, without lines that the rest repeats and without a fence that it opens anew.

    If the model began its reply again, or was cut while it reasoned, the rest alone is the reply.
    """
    begun = whole_lines(text)
    if (rest.startswith(begun) and not begun[:1].isspace()) or (begun.strip() and not has_answer(begun)):
        return rest
    if not begun.endswith("\n") or not rest:
        return begun + rest
    lines, more = begun.splitlines(keepends=True), rest.splitlines(keepends=True)
    mark = read_fence(more[0]) if more else None
    if mark and mark.info and _ends_in_fence(begun):
        more = more[1:]
    return begun + "".join(more[_count_repeated(lines, more) :])


def ends_in_loop(text: str) -> bool:
    """Whether the end of a text says the same thing again and again, numbers aside."""
    end = _DIGITS.sub("0", text[-LOOKED_AT_CHARS:].rstrip())[::-1]
    # The border of a beginning of the reversed text tells its shortest period (Knuth, Morris and Pratt).
    borders, size = [0], 0
    for at in range(1, len(end)):
        while size and end[at] != end[size]:
            size = borders[size - 1]
        size += end[at] == end[size]
        borders.append(size)
        if at + 1 >= LOOP_CHARS and at + 1 >= LOOP_TIMES * (at + 1 - size):
            return True
    return False


def _count_repeated(lines: Sequence[str], more: Sequence[str]) -> int:
    """How many lines at the end of `lines` begin `more`, at most, if they tell that they are repeated."""
    if not lines or not more:
        return 0
    # By the borders of Knuth, Morris and Pratt, in linear time: `more` is moved along the end of `lines`.
    borders, size = [0], 0
    for line in [*more[1:], *lines[-len(more) :]]:
        at = len(borders)
        size = 0 if at == len(more) else size
        while size and (size == len(more) or line != more[size]):
            size = borders[size - 1]
        size += line == more[size]
        borders.append(size)
    return size if size >= _count_telling(more) else 0


def _count_telling(lines: Sequence[str]) -> int:
    """The least number of lines that are too much to be repeated by chance, as a bracket or `return x` may be."""
    first, done = -1, 0
    for number, line in enumerate(lines, start=1):
        if line.strip():
            first = done + len(line) - len(line.lstrip()) if first < 0 else first
            if done + len(line.rstrip()) - first >= TELLING_CHARS:
                return number
        done += len(line)
    return len(lines) + 1


def _ends_in_fence(text: str) -> bool:
    """Whether a line after the text would stand inside a code fence."""
    return read_lines(text)[-1].fence > 0
