"""The parts of a model's reply that are not edits: the plan, REPLICATE and ALL_COMPLETED."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from agent.core.expectation import read_labels
from agent.core.reasoning import mark_code, strip_reasoning

__all__ = ["ParsedReply", "Plan", "PlanItem", "bare_plan_line", "merge_plan", "parse_reply", "without_plan"]


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One numbered item; `text` keeps its continuation lines and sub-bullets, and with them the parts it labels.

    hypothesis, expected (a metric and a size), refuted_if: in the model's words, "" where the item has no such label.
    """

    number: int
    text: str
    hypothesis: str = ""
    expected: str = ""
    refuted_if: str = ""


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


def bare_plan_line(text: str) -> int:
    """The 1-based line of the last header of a plan, where no header has items; 0 where there is none."""
    lines = _prose_lines(strip_reasoning(text))
    bare = [n for n, line in enumerate(lines, start=1) if line is not None and _is_header(_HEADER.match(line))]
    return bare[-1] if bare and _find_plan(lines) is None else 0


def without_plan(text: str) -> str:
    """The reply without reasoning and without its plans: what it says of the step that is due."""
    lines = strip_reasoning(text).replace("\r\n", "\n").split("\n")
    prose = _prose_lines("\n".join(lines))
    kept = list(lines)
    for index, stop in reversed([(index, stop) for index, _, stop in _plans(prose)]):
        del kept[index:stop]
    return "\n".join(kept).strip()


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


def _prose_lines(text: str) -> list[str | None]:
    """The lines outside code and quotation; None stands for the others."""
    lines = mark_code(text.replace("\r\n", "\n").split("\n"))
    return [None if is_code or line.lstrip().startswith(">") else line for line, is_code in lines]


def _says(line: str | None, word: str) -> bool:
    """Whether the word stands alone on the line, perhaps emphasised, quoted or with a full stop."""
    if line is None or _indent(line) > 3:
        return False
    pattern = re.escape(word).replace("_", r"\\?_")
    return re.fullmatch(rf"\s*{_WRAP}{pattern}{_WRAP}\.?{_WRAP}\s*", line) is not None


def _is_header(found: re.Match[str] | None) -> bool:
    return found is not None and bool(found["colon"] or (found["hashes"] and not found["rest"]))


def _find_plan(lines: Sequence[str | None]) -> Plan | None:
    """The last plan of the reply that has items."""
    return next((plan for _, plan, _ in reversed(list(_plans(lines)))), None)


def _plans(lines: Sequence[str | None]) -> Iterator[tuple[int, Plan, int]]:
    """Each plan that has items: the index of its header, the plan, the index after its last line."""
    for index, line in enumerate(lines):
        header = _HEADER.match(line) if line is not None else None
        if header is None or not _is_header(header):
            continue
        first = index if header["rest"] else index + 1
        body = [header["rest"], *lines[index + 1 :]] if header["rest"] else list(lines[index + 1 :])
        if found := _read_plan(body):
            plan, count = found
            yield index, plan, first + count


def _read_plan(lines: Sequence[str | None]) -> tuple[Plan, int] | None:
    """The preamble, at most one paragraph, and the items that follow it; and how many lines they take."""
    preamble: list[str] = []
    for index, line in enumerate(lines):
        if line is None or _HEADING.match(line):
            return None
        if _ITEM.match(line):
            items, count = _read_items(lines[index:])
            return Plan(_numbered(items), "\n".join(preamble).strip()), index + count
        if line.strip() and preamble and not preamble[-1].strip() and any(part.strip() for part in preamble):
            return None
        preamble.append(line.rstrip())
    return None


def _read_items(lines: Sequence[str | None]) -> tuple[list[PlanItem], int]:
    """The items from the first line on, up to a blank line with other text after it, a heading, code or a command.

    With them the number of lines that they take.
    """
    items: list[tuple[int, list[str]]] = []
    base = count = 0
    after_blank = False
    for index, line in enumerate(lines):
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
        after_blank, count = False, index + 1
    return [_make_item(number, "\n".join(text)) for number, text in items], count


def _make_item(number: int, text: str) -> PlanItem:
    labels = read_labels(text)
    return PlanItem(number, text, labels.hypothesis, labels.expected, labels.refuted_if)


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
