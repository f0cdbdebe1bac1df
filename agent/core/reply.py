"""The parts of a model's reply that are not edits: the plan, REPLICATE and ALL_COMPLETED."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

__all__ = ["ParsedReply", "Plan", "PlanItem", "merge_plan", "parse_reply", "strip_reasoning"]


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One numbered item; `text` keeps its continuation lines and sub-bullets."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The items in order, each number once; `preamble` is the paragraph between PLAN: and the first item, if any."""

    items: tuple[PlanItem, ...]
    preamble: str = ""


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """What a reply asks for, apart from its edits."""

    plan: Plan | None
    replicate: bool
    all_completed: bool


_NAMES: Final = r"(?:[a-z]+:)?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad)"
_CLOSE: Final = rf"</{_NAMES}\s*>|◁/think▷"
_CLOSE_TAG: Final = re.compile(_CLOSE, re.IGNORECASE)
_TAG: Final = re.compile(rf"<{_NAMES}(?:\s[^<>]*)?>|◁think▷|{_CLOSE}", re.IGNORECASE)
_FENCE: Final = re.compile(r"\s*(?:\d{1,3}[.)]\s+|[-*+]\s+)?(`{3,}|~{3,})([^`]*)$")
_SEARCH: Final = re.compile(r"\s*<{5,9} ?SEARCH\b", re.IGNORECASE)
_REPLACE: Final = re.compile(r"\s*(?:={5,9}\s*)?>{5,9} ?REPLACE\b", re.IGNORECASE)

_HEADER: Final = re.compile(
    r"[ ]{0,3}(?P<hashes>\#{1,6}[ ]*)?[*_]{0,3}"
    r"(?:(?:revised|updated|new|current|proposed|experiment(?:al)?)\s+){0,3}plan"
    r"[*_]{0,3}\s*(?P<colon>[:：])?[*_]{0,3}\s*(?P<rest>.*)$",
    re.IGNORECASE,
)
_ITEM: Final = re.compile(
    r"(?P<indent>\s*)(?:[-*+]\s+)?[*_]{0,2}(?P<number>\d{1,4})[.)](?:[*_]{1,2})?\s+(?P<text>\S.*)$"
)
_HEADING: Final = re.compile(r"[ ]{0,3}(?:\#{1,6}\s|(?:-{3,}|\*{3,}|_{3,})\s*$)")
_WRAP: Final = r"[*_`\"'“”‘’]*"
_TAB_WIDTH: Final = 4


def parse_reply(text: str) -> ParsedReply:
    """Read a reply; reasoning, code fences, SEARCH/REPLACE blocks and quoted lines count for nothing."""
    lines = _prose_lines(strip_reasoning(text))
    return ParsedReply(
        plan=_find_plan(lines),
        replicate=any(_says(line, "REPLICATE") for line in lines),
        all_completed=any(_says(line, "ALL_COMPLETED") for line in lines),
    )


def merge_plan(old: Plan | None, new: Plan, done: Collection[int]) -> Plan:
    """The new plan, with the done items of the old one that it dropped in front of it.

    `done` holds item numbers of `old`; a done item keeps its number, also where the new plan repeats its words under
    another. The other new items keep theirs unless one is taken: then all of them are numbered on from the last done.
    """
    if old is None or not done:
        return new
    finished = {_gist(item.text): item for item in reversed(old.items) if item.number in done}
    kept = [item for item in old.items if item.number in done]
    listed: list[PlanItem] = []
    fresh: list[int] = []
    for index, item in enumerate(new.items):
        same = finished.pop(_gist(item.text), None)
        if same is None:
            fresh.append(index)
        else:
            kept.remove(same)
            item = replace(item, number=same.number)
        listed.append(item)
    if any(listed[index].number in done for index in fresh):
        for number, index in enumerate(fresh, start=max(done) + 1):
            listed[index] = replace(listed[index], number=number)
    return replace(new, items=(*kept, *listed))


def strip_reasoning(text: str) -> str:
    """The text with reasoning blanked, line by line, so that line numbers stay.

    Reasoning is <think>, <thinking> or <reasoning> up to its closing tag, or to the end where it opens a line and is
    never closed; and everything before a closing tag that nothing opened (some servers put the opening tag into the
    prompt). Tags inside code fences, SEARCH/REPLACE blocks and backticks are text.
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
    position = 0
    for line, is_code in _with_code(text.split("\n")):
        at, position = position, position + len(line) + 1
        if is_code or position <= start:
            continue
        for tag in _TAG.finditer(line):
            begin = at + tag.start()
            if begin < start or _in_backticks(line, tag.start()):
                continue
            if _CLOSE_TAG.fullmatch(tag.group()):
                if _stands_apart(line, tag):
                    return 0, at + tag.end()
            elif closing := _CLOSE_TAG.search(text, at + tag.end()):
                return begin, closing.end()
            elif not line[: tag.start()].strip():
                return begin, len(text)
    return None


def _stands_apart(line: str, tag: re.Match[str]) -> bool:
    return not line[: tag.start()].strip() or not line[tag.end() :].strip()


def _in_backticks(line: str, position: int) -> bool:
    return line.count("`", 0, position) % 2 == 1


def _with_code(lines: Sequence[str]) -> list[tuple[str, bool]]:
    """Each line, and whether it belongs to a code fence or a SEARCH/REPLACE block; an unclosed one runs to the end."""
    marked: list[tuple[str, bool]] = []
    fence = ""
    in_block = False
    for line in lines:
        is_code = bool(fence) or in_block
        if in_block:
            in_block = _REPLACE.match(line) is None
        elif _SEARCH.match(line):
            in_block = is_code = True
        elif found := _FENCE.match(line):
            mark, info = found.groups()
            if not fence:
                fence, is_code = mark, True
            elif mark[0] == fence[0] and len(mark) >= len(fence) and not info.strip():
                fence = ""
        marked.append((line, is_code))
    return marked


def _prose_lines(text: str) -> list[str | None]:
    """The lines outside code and quotation; None stands for the others."""
    lines = _with_code(text.replace("\r\n", "\n").split("\n"))
    return [None if is_code or line.lstrip().startswith(">") else line for line, is_code in lines]


def _says(line: str | None, word: str) -> bool:
    """Whether the word stands alone on the line, perhaps emphasised, quoted or with a full stop."""
    if line is None or _indent(line) > 3:
        return False
    pattern = re.escape(word).replace("_", r"\\?_")
    return re.fullmatch(rf"\s*{_WRAP}{pattern}{_WRAP}\.?{_WRAP}\s*", line) is not None


def _find_plan(lines: Sequence[str | None]) -> Plan | None:
    """The last plan of the reply that has items."""
    plan: Plan | None = None
    for index, line in enumerate(lines):
        header = _HEADER.match(line) if line is not None else None
        if header is None or not (header["colon"] or (header["hashes"] and not header["rest"])):
            continue
        body = [header["rest"], *lines[index + 1 :]] if header["rest"] else list(lines[index + 1 :])
        plan = _read_plan(body) or plan
    return plan


def _read_plan(lines: Sequence[str | None]) -> Plan | None:
    """The preamble, at most one paragraph, and the items that follow it."""
    preamble: list[str] = []
    for index, line in enumerate(lines):
        if line is None or _HEADING.match(line):
            return None
        if _ITEM.match(line):
            return Plan(_numbered(_read_items(lines[index:])), "\n".join(preamble).strip())
        if line.strip() and preamble and not preamble[-1].strip() and any(part.strip() for part in preamble):
            return None
        preamble.append(line.rstrip())
    return None


def _read_items(lines: Sequence[str | None]) -> list[PlanItem]:
    """The items from the first line on, up to a blank line with other text after it, a heading, code or a command."""
    items: list[tuple[int, list[str]]] = []
    base = 0
    after_blank = False
    for line in lines:
        if line is None or _HEADING.match(line) or _says(line, "ALL_COMPLETED") or _says(line, "REPLICATE"):
            break
        if not line.strip():
            after_blank = True
            continue
        found = _ITEM.match(line)
        if found and (not items or _indent(line) <= base + 1):
            base = base if items else _indent(line)
            items.append((int(found["number"]), [found["text"].rstrip()]))
        elif after_blank and _indent(line) <= base + 1:
            break
        else:
            items[-1][1].append(line.rstrip())
        after_blank = False
    return [PlanItem(number, "\n".join(text)) for number, text in items]


def _indent(line: str) -> int:
    expanded = line.expandtabs(_TAB_WIDTH)
    return len(expanded) - len(expanded.lstrip())


def _numbered(items: Sequence[PlanItem]) -> tuple[PlanItem, ...]:
    """The items as numbered by the model where the numbers rise, else counted on from the first."""
    numbers = [item.number for item in items]
    if all(a < b for a, b in pairwise(numbers)):
        return tuple(items)
    return tuple(replace(item, number=numbers[0] + index) for index, item in enumerate(items))


def _gist(text: str) -> str:
    """The first line of an item without marks of completion, case and punctuation, to tell a repeated item."""
    first = text.split("\n", 1)[0].casefold()
    plain = re.sub(r"\((?:done|completed?)\)|\[(?:done|completed?|x)\]|\b(?:done|completed):", " ", first)
    return " ".join(re.findall(r"[^\W_]+", plain))
