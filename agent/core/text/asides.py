"""Reasoning in forms that prose has too: it is reasoning only if it is closed in the same form."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.text.markers import FenceMark, read_fence

__all__ = ["NAMES", "OPENS", "find_asides", "find_fences", "is_mention"]

# "think", "reasoning", "inner_monologue", "antThinking", "longcat_think"
NAMES: Final = (
    r"(?:ant|(?:inner|internal|chain_of|longcat|my|model)_)?(?:think|thinking|thoughts?|reason|reasoning|reflection"
    r"|scratchpad|analysis|rationale|monologue|deliberation|brainstorm|brainstorming|cot)(?:_(?:process|content))?"
)


@dataclass(frozen=True, slots=True)
class _Form:
    """How a form begins on its first line, its whole beginning, and its end. at_start: it can only open a reply."""

    first: str
    opens: re.Pattern[str]
    closes: re.Pattern[str]
    at_start: bool = False


def _form(first: str, opens: str, closes: str, *, at_start: bool = False) -> _Form:
    return _Form(first, re.compile(opens, re.I), re.compile(closes, re.I), at_start)


_FORMS: Final = (
    # "<details><summary>Thoughts</summary>", "<details type="reasoning" done="true">"
    _form(
        r"<details\b",
        r"<details[^<>]{0,200}>\s{0,20}<summary>[^<>]{0,80}\b(?:think|thinking|thoughts?|reason|reasoning)\b[^<>]{0,80}"
        r"</summary>|<details[^<>]{0,200}\btype=\W?reasoning\b[^<>]{0,200}>",
        r"</details>",
    ),
    # "[Reasoning]", "(think)", "{think}"
    _form(r"[\[({]" + NAMES + r"[\])}](?!\()", r"[\[({]" + NAMES + r"[\])}]", r"[\[({]/" + NAMES + r"[\])}]"),
    # "< think >"
    _form(
        rf"<[ \t]{{1,3}}{NAMES}[ \t]{{0,3}}>",
        rf"<[ \t]{{1,3}}{NAMES}[ \t]{{0,3}}>",
        rf"<[ \t]{{0,3}}/[ \t]{{0,3}}{NAMES}[ \t]{{0,3}}>",
    ),
    # "＜think＞"
    _form("＜" + NAMES + "＞", "＜" + NAMES + "＞", "＜/" + NAMES + "＞"),
    # "<|think>", closed by "<think|>"
    _form(r"<\|" + NAMES + ">", r"<\|" + NAMES + ">", "<" + NAMES + r"\|>"),
    # Apertus
    _form(r"<\|inner_prefix\|>", r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    # DeepSeek's form of a special token
    _form(r"<｜" + NAMES + "▁begin｜>", r"<｜" + NAMES + "▁begin｜>", r"<｜" + NAMES + "▁end｜>"),
    # Ollama's command line
    _form(r"Thinking\.\.\.", r"Thinking\.\.\.[ \t]{0,20}\r?\n", r"\.\.\.done thinking\.?", at_start=True),
    # Granite
    _form(
        r"here(?:['’]s| is) my thought process:",
        r"here(?:['’]s| is) my thought process:",
        r"here(?:['’]s| is) my response:",
        at_start=True,
    ),
)
# How any of them begins on a line.
OPENS: Final = "|".join(form.first for form in _FORMS)
# "```thinking", whose whole content is reasoning
_FENCED: Final = re.compile(NAMES, re.I)
MOST_MENTIONED: Final = 20
# The words between two tags that are spoken of: "<think> and </think>", "<think>...</think>"
_MENTIONED: Final = re.compile(r"\W{0,3}(?:and|or|to|with|\.{2,4}|…)\W{0,3}", re.I)


def find_asides(text: str) -> dict[int, int]:
    """Begin and end of each piece of reasoning in these forms, in time linear in the text."""
    return {begin: end for form in _FORMS for begin, end in _find(form, text)}


def _find(form: _Form, text: str) -> Iterator[tuple[int, int]]:
    if form.at_start:
        start = len(text) - len(text.lstrip())
        opened = form.opens.match(text, start)
        closed = form.closes.search(text, opened.end()) if opened else None
        if opened and closed:
            yield start, closed.end()
        return
    begins = [(found.start(), found.end()) for found in form.opens.finditer(text)]
    ends = [(found.start(), found.end()) for found in form.closes.finditer(text)] if begins else []
    for begin, after in begins:
        at = bisect_left(ends, (after, 0))
        if at < len(ends):
            yield begin, ends[at][1]


def is_mention(between: str) -> bool:
    """Whether two tags in a sentence, with these words between them, are only spoken of."""
    return len(between) <= MOST_MENTIONED and _MENTIONED.fullmatch(between) is not None


def find_fences(lines: Sequence[str]) -> dict[int, int]:
    """First and last line of each fence of thoughts. Inside a fence, one with words after it opens another."""
    found: dict[int, int] = {}
    opened: list[tuple[int, FenceMark]] = []
    for index, line in enumerate(lines):
        mark = read_fence(line)
        if mark and opened and mark.ends(opened[-1][1]):
            first, opening = opened.pop()
            if _FENCED.fullmatch(opening.info):
                found[first] = index
        elif mark:
            opened.append((index, mark))
    return found
