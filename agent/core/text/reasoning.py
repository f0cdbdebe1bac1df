"""Where a reply's reasoning and its code stand: reasoning is never parsed, and words inside code are text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["mark_code", "strip_reasoning"]

_NAMES: Final = r"(?:[a-z]+:)?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad)"
_CLOSE: Final = rf"</{_NAMES}\s*>|◁/think▷"
_CLOSE_TAG: Final = re.compile(_CLOSE, re.IGNORECASE)
_TAG: Final = re.compile(rf"<{_NAMES}(?:\s[^<>]*)?>|◁think▷|{_CLOSE}", re.IGNORECASE)
_FENCE: Final = re.compile(r"\s*(?:\d{1,3}[.)]\s+|[-*+]\s+)?(`{3,}|~{3,})([^`]*)$")
_SEARCH: Final = re.compile(r"\s*<{5,9} ?SEARCH\b", re.IGNORECASE)
_REPLACE: Final = re.compile(r"\s*(?:={5,9}\s*)?>{5,9} ?REPLACE\b", re.IGNORECASE)


def strip_reasoning(text: str) -> str:
    """The text with reasoning blanked, line by line, so that line numbers stay.

    Reasoning is <think>, <thinking> or <reasoning> up to its closing tag, or to the end where it opens a line and is
    never closed; and everything before a closing tag that nothing opened (some servers put the opening tag into the
    prompt), even where that left a fence or a block open. Tags inside fences, closed blocks and backticks are text.
    """
    start = 0
    while (region := _next_reasoning(text, start)) is not None:
        begin, end = region
        blank = "\n" * text.count("\n", begin, end)
        text = text[:begin] + blank + text[end:]
        start = begin + len(blank)
    return text


def _next_reasoning(text: str, start: int) -> tuple[int, int] | None:
    """Where the first stretch of reasoning at or after `start` begins and ends."""
    lines = text.split("\n")
    in_block = _in_closed_blocks(lines)
    position = opened_in_code = 0
    for (line, is_code), is_body in zip(mark_code(lines, closed_only=True), in_block, strict=True):
        at, position = position, position + len(line) + 1
        if is_body or position <= start:
            continue
        for tag in _TAG.finditer(line):
            begin = at + tag.start()
            if begin < start or _in_backticks(line, tag.start()):
                continue
            if _CLOSE_TAG.fullmatch(tag.group()):
                if is_code and opened_in_code:
                    opened_in_code -= 1
                elif _stands_apart(line, tag):
                    return 0, at + tag.end()
            elif is_code:
                opened_in_code += 1
            elif closing := _CLOSE_TAG.search(text, at + tag.end()):
                return begin, closing.end()
            elif not line[: tag.start()].strip():
                return begin, len(text)
    return None


def _stands_apart(line: str, tag: re.Match[str]) -> bool:
    return not line[: tag.start()].strip() or not line[tag.end() :].strip()


def _in_backticks(line: str, position: int) -> bool:
    return line.count("`", 0, position) % 2 == 1


def _in_closed_blocks(lines: Sequence[str]) -> list[bool]:
    """Whether each line belongs to a SEARCH/REPLACE block that is closed before another opens."""
    inside = [False] * len(lines)
    head: int | None = None
    for index, line in enumerate(lines):
        if _SEARCH.match(line):
            head = index
        elif head is not None and _REPLACE.match(line):
            inside[head : index + 1] = [True] * (index + 1 - head)
            head = None
    return inside


def mark_code(lines: Sequence[str], *, closed_only: bool = False) -> list[tuple[str, bool]]:
    """Each line, and whether it belongs to a code fence or a SEARCH/REPLACE block; an unclosed one runs to the end.

    closed_only: a block that is never closed is none.
    """
    closed = _in_closed_blocks(lines) if closed_only else []
    marked: list[tuple[str, bool]] = []
    fence = ""
    in_block = False
    for index, line in enumerate(lines):
        is_code = bool(fence) or in_block
        if in_block:
            in_block = _REPLACE.match(line) is None
        elif _SEARCH.match(line) and (not closed_only or closed[index]):
            in_block = is_code = True
        elif found := _FENCE.match(line):
            mark, info = found.groups()
            if not fence:
                fence, is_code = mark, True
            elif mark[0] == fence[0] and len(mark) >= len(fence) and not info.strip():
                fence = ""
        marked.append((line, is_code))
    return marked
