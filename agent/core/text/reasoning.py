"""Reasoning that a model left in its reply: it is never parsed."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from enum import Enum
from itertools import accumulate
from typing import Final

from agent.core.text.asides import NAMES, OPENS, find_asides, find_fences, is_mention
from agent.core.text.markers import FenceMark, closes_block, read_fence, read_head

__all__ = ["split_reasoning", "strip_reasoning"]

# How the final channel of gpt-oss begins, with some of its tokens lost: "<|end|><|start|>assistant<|channel|>final
# <|message|>" on one line, "<|channel|>final <|constrain|>json<|message|>", "assistantfinal"
_FINAL: Final = (
    r"(?:<\|end\|>)?(?:<\|start\|>)?(?:assistant)?<\|channel\|>final\b(?:[^<>\n]{0,40}<\|constrain\|>\w{0,20})?(?:<\|message\|>)?"
    r"|(?:<\|end\|>)?<\|start\|>assistant<\|message\|>|(?<![_`])(?-i:assistantfinal)(?![_(=])(?:<\|message\|>)?"
)
# Special tokens that end reasoning, which no prose holds: "[/THINK]", "<|end_of_thought|>", "<|/thinking|>"
_TOKEN_CLOSE: Final = re.compile(
    rf"{_FINAL}|(?-i:\[/(?:THINK|THINKING|REASONING)\])|<\|end_(?:of_)?{NAMES}\|>|<\|{NAMES}_end\|>"
    rf"|<\|/{NAMES}\|>|</\|{NAMES}\|>|<channel\|>|<unused95>",
    re.IGNORECASE,
)
# "</think>", "</reasoning >", "◁/think▷", and those tokens
_CLOSE: Final = re.compile(rf"</(?:[a-z]+:)?{NAMES}\s*>|◁/think▷|{_TOKEN_CLOSE.pattern}", re.IGNORECASE)
# Tokens around an answer: "<|return|>", "<|begin_of_solution|>", "<end_of_turn>"
_EDGE: Final = re.compile(
    r"<\|(?:return|end|im_end|eot_id|endoftext|end_of_text|(?:begin|end)_of_solution|(?:START|END)_(?:RESPONSE|TEXT))\|>"
    r"|<end_of_turn>|<｜end▁of▁sentence｜>",
    re.IGNORECASE,
)
# A form that prose has too: "<details", "[Reasoning]", "Thinking..."
_ASIDE: Final = re.compile(rf"(?!(?-i:\[(?:THINK|THINKING|REASONING)\]))(?:{OPENS})", re.IGNORECASE)
# "<think>", "<ns:reasoning effort='high'>", "[THINK]", "<|begin_of_thought|>", "<|channel|>analysis", and the others
_TAG: Final = re.compile(
    rf"{_CLOSE.pattern}|<(?:[a-z]+:)?{NAMES}(?:\s[^<>]*)?>|◁think▷|(?-i:\[(?:THINK|THINKING|REASONING)\])"
    rf"|<\|(?:(?:begin|start)_(?:of_)?)?{NAMES}(?:_(?:start|begin))?\|>"
    rf"|(?:<\|start\|>assistant)?<\|channel\|>\s?(?!final)\w{{1,20}}|<\|channel>\s?(?!final)\w{{1,20}}"
    rf"|<unused94>|{_EDGE.pattern}|{OPENS}",
    re.IGNORECASE,
)
# A text that begins in gpt-oss's channel of analysis, of which a token was lost: "analysis<|message|>We", "analysisWe"
_BEGUN: Final = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?:<\|message\|>|(?=[A-Z]))")

# "```thinking"
_FENCE_OF_THOUGHTS: Final = re.compile(rf"(?:```|~~~)[ \t]{{0,3}}{NAMES}[ \t\r]{{0,3}}$", re.IGNORECASE | re.MULTILINE)

_SPACES: Final = re.compile(r"\s*")
# How a line begins that may open or close a fence or a block: "```", "1. ```", "<<<<<<< SEARCH", "======>>>>>> REPLACE"
_OPENING: Final = re.compile(r"\s*(?:[<>=]{5}|`{3}|~{3}|\d{1,3}[.)]|[-*+])")


def strip_reasoning(text: str) -> str:
    """The text with reasoning blanked, line by line, so that line numbers stay.

    Reasoning is <think>, [THINK], <|channel|>analysis or another of their kind up to a closing one, or to the end if it
    opens a line and is never closed. Forms that prose has too, as <details>, "Thinking..." and "Here is my thought
    process:", have to be closed. It is also everything before a closing tag that nothing opened, even if that left
    a fence or a block open: some servers put the opening tag into the prompt, and some lose a token of it. Tags inside
    fences, closed blocks and backticks are text.
    """
    return "\n".join(line for line, _ in split_reasoning(text))


def split_reasoning(text: str) -> list[tuple[str, bool]]:
    """The lines of the text without reasoning, and whether each is blank because it was reasoning."""
    if _BEGUN.match(text) and not _TOKEN_CLOSE.search(text):
        return [("", True)] * (text.count("\n") + 1)
    if _TAG.search(text) or _FENCE_OF_THOUGHTS.search(text):
        return _Splitter(text).split()
    return [(line, False) for line in text.split("\n")]


class _Within(Enum):
    """The place of a line. Tags are read in prose, and counted in code."""

    PROSE = 1
    CODE = 2
    BLOCK = 3


class _Splitter:
    """Goes through a text once, line by line, in time linear in its length."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.starts = [0, *accumulate(len(line) + 1 for line in self.lines)]
        self.closings = [(found.start(), found.end()) for found in _CLOSE.finditer(text)]
        self.asides, self.fences = find_asides(text), find_fences(self.lines)
        self.closed_below = _closed_below(self.lines)
        self.done: list[tuple[str, bool]] = []
        self.blank_until = 0  # lines before this one turned out to be reasoning
        self.fence: FenceMark | None = None
        self.in_block = False
        self.has_head = False  # a block was opened, and nothing closes it before another opens
        self.tags_in_code = 0  # opened in code and not closed yet

    def split(self) -> list[tuple[str, bool]]:
        column = 0
        while (index := len(self.done)) < len(self.lines):
            last = self.fences.get(index) if not column and self.fence is None and not self.in_block else None
            if last is not None:
                self.done += [("", True)] * (last - index + 1)
            else:
                column = self._read_line(index, column)
        return [("", True)] * self.blank_until + self.done[self.blank_until :]

    def _read_line(self, index: int, column: int) -> int:
        """Read a line from `column` on, or more if reasoning ends further below. Returns the column to go on from."""
        line = _Rest(self.lines[index], column)
        place = self._enter(index, line.text[column:])
        while not self.in_block and (tag := line.next_tag()):
            is_token = _TOKEN_CLOSE.fullmatch(tag[0])
            if line.ticks % 2 or (place is _Within.BLOCK and not is_token):
                continue
            if _CLOSE.fullmatch(tag[0]):
                if place is _Within.CODE and self.tags_in_code:
                    self.tags_in_code -= 1
                elif is_token or line.is_blank_before(tag) or tag.end() >= line.last:
                    line = _Rest(line.text, tag.end())
                    self.blank_until, self.tags_in_code = index, 0
                    self.fence, self.in_block, self.has_head = None, False, False
                    place = self._enter_again(index, line)
            elif _EDGE.fullmatch(tag[0]):
                if place is _Within.PROSE:
                    line.leave_out(tag.start(), tag.end())
                    place = self._enter_again(index, line)
            elif place is _Within.CODE:
                self.tags_in_code += not _ASIDE.fullmatch(tag[0])
            elif (span := self._find_end(self.starts[index], tag)) and line.mentions(tag, span[0] - self.starts[index]):
                line.pass_over(span[1] - self.starts[index])
            elif span:
                self.tags_in_code, end = 0, span[1]
                last = bisect_right(self.starts, end - 1) - 1
                if last > index:
                    return self._skip(index, line.text_before(tag), last, end)
                line.leave_out(tag.start(), end - self.starts[index])
                place = self._enter_again(index, line)
            elif line.is_blank_before(tag) and not _ASIDE.fullmatch(tag[0]):
                return self._skip(index, line.text_before(tag), len(self.lines), 0)
        text = line.rest()
        if line.has_text:
            self._enter(index, text)
        self.done.append((text, line.is_touched and not text.strip()))
        return 0

    def _skip(self, index: int, before: str, last: int, end: int) -> int:
        """Leave out the rest of a line and all lines up to `last`. Returns the column at which reasoning ends there."""
        if before.strip():
            self._enter(index, before)
        self.done.append((before, not before.strip()))
        self.done += [("", True)] * (last - index - 1)
        if last == len(self.lines):
            return 0
        column = end - self.starts[last]
        if self.has_head and (self.closed_below[last] or closes_block(self.lines[last][column:])):
            self.in_block, self.has_head = True, False
        return column

    def _find_end(self, start: int, tag: re.Match[str]) -> tuple[int, int] | None:
        """Begin and end of the tag that closes this one, None if nothing does. start: of the line."""
        if _ASIDE.fullmatch(tag[0]):
            end = self.asides.get(start + tag.start())
            return None if end is None else (end, end)
        at = bisect_left(self.closings, (start + tag.end(), 0))
        return self.closings[at] if at < len(self.closings) else None

    def _enter_again(self, index: int, line: _Rest) -> _Within:
        may_open = not line.has_text and _OPENING.match(line.text, line.column)
        return self._enter(index, line.text[line.column :]) if may_open else _Within.PROSE

    def _enter(self, index: int, text: str) -> _Within:
        """The place of a line. Notes the fence or block that opens or closes on it."""
        if self.in_block:
            self.in_block = not closes_block(text)
            return _Within.BLOCK
        if read_head(text):
            self.in_block = self.closed_below[index]
            self.has_head = not self.in_block
            if self.in_block:
                return _Within.BLOCK
        elif closes_block(text):
            self.has_head = False
        was_open, mark = self.fence, read_fence(text)
        if mark and was_open is None:
            self.fence = mark
        elif mark and was_open and mark.ends(was_open):
            self.fence = None
        return _Within.CODE if was_open or mark else _Within.PROSE


class _Rest:
    """A line from `column` on, with the pieces of it that were kept before."""

    def __init__(self, text: str, column: int) -> None:
        self.text = text
        self.kept: list[str] = []
        self.has_text = False  # among the kept pieces
        self.is_touched = column > 0
        self.last = len(text.rstrip())
        self.ticks = 0
        self._go_to(column)

    def _go_to(self, column: int) -> None:
        self.column = self._counted = self._next = column
        spaces = _SPACES.match(self.text, column)
        self._first = spaces.end() if spaces else column

    def next_tag(self) -> re.Match[str] | None:
        """The next tag, with the backticks before it counted in `ticks`."""
        tag = _TAG.search(self.text, self._next)
        if tag:
            self.ticks += self.text.count("`", self._counted, tag.start())
            self._counted, self._next = tag.start(), tag.end()
        return tag

    def is_blank_before(self, tag: re.Match[str]) -> bool:
        return not self.has_text and tag.start() <= self._first

    def mentions(self, tag: re.Match[str], closing: int) -> bool:
        """Whether the tag and the one that closes it at that column, on the same line, are only spoken of."""
        is_inside = not self.is_blank_before(tag) and closing <= len(self.text)
        return is_inside and is_mention(self.text[tag.end() : closing])

    def pass_over(self, column: int) -> None:
        """Look for the next tag behind the column."""
        self._next = column

    def leave_out(self, start: int, end: int) -> None:
        """Leave out the columns start..end."""
        self.kept.append(self.text[self.column : start])
        self.has_text = self.has_text or start > self._first
        self.is_touched = True
        self._go_to(end)

    def text_before(self, tag: re.Match[str]) -> str:
        return "".join([*self.kept, self.text[self.column : tag.start()]])

    def rest(self) -> str:
        return "".join([*self.kept, self.text[self.column :]])


def _closed_below(lines: Sequence[str]) -> list[bool]:
    """For each line whether the first marker of a block below it is one that closes."""
    closed = [False] * len(lines)
    for i in range(len(lines) - 2, -1, -1):
        below = lines[i + 1]
        closed[i] = not read_head(below) and (closes_block(below) or closed[i + 1])
    return closed
