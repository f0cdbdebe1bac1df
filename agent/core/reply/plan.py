"""The parts of a model's reply that are not edits: the plan, REPLICATE and ALL_COMPLETED."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from agent.core.journal.kinds import PlanItem
from agent.core.reply.expectation import begins_label, read_labels
from agent.core.reply.plan_table import read_table
from agent.core.text.plain import plain
from agent.core.text.reasoning import mark_code, strip_reasoning

__all__ = ["ParsedReply", "Plan", "PlanItem", "bare_plan_line", "merge_plan", "parse_reply", "without_plan"]


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
    r"(?P<indent>\s*)(?P<hashes>\#{2,6}\s+)?(?:[-*+]\s+)?[*_]{0,2}"
    r"(?:(?P<number>\d{1,4})[.)]|(?:run|step|item)\s+(?P<named>\d{1,4})(?:[*_]{0,2}[.:)]|\s+[–—-](?=\s)))"
    r"(?:[*_]{1,2})?\s+(?P<text>\S.*)$",
    re.IGNORECASE,
)
_HEADING: Final = re.compile(r"[ ]{0,3}(?:\#{1,6}\s|(?:-{3,}|\*{3,}|_{3,})\s*$)")
_TEXT_FENCE: Final = re.compile(
    r"[ ]{0,3}(?:`{3,}|~{3,})[ ]*(?:text|txt|markdown|md|plain(?:text)?)?[ ]*", re.IGNORECASE
)
_WRAP: Final = r"[*_`\"'“”‘’]*"
_TAB_WIDTH: Final = 4


def parse_reply(text: str) -> ParsedReply:
    """Read a reply; reasoning, code fences, SEARCH/REPLACE blocks and quoted lines count for nothing."""
    text = strip_reasoning(text)
    lines = _prose_lines(text)
    return ParsedReply(
        plan=_find_plan(_plan_lines(text)),
        replicate=any(_says(line, "REPLICATE") for line in lines),
        all_completed=any(_says(line, "ALL_COMPLETED") for line in lines),
    )


def bare_plan_line(text: str) -> int:
    """The 1-based line of the last header of a plan, where no header has items; 0 where there is none."""
    lines = _plan_lines(strip_reasoning(text))
    bare = [n for n, line in enumerate(lines, start=1) if line is not None and _is_header(_HEADER.match(line))]
    return bare[-1] if bare and _find_plan(lines) is None else 0


def without_plan(text: str) -> str:
    """The reply without reasoning and without its plans: what it says of the step that is due."""
    lines = strip_reasoning(text).replace("\r\n", "\n").split("\n")
    prose = _plan_lines("\n".join(lines))
    kept = list(lines)
    for index, stop in reversed([(index, stop) for index, _, stop in _plans(prose)]):
        in_fence = prose[index - 1 : index] == [None] and prose[stop : stop + 1] == [None]
        in_fence = in_fence and all(_TEXT_FENCE.fullmatch(kept[i]) for i in (index - 1, stop))
        del kept[index - in_fence : stop + in_fence]
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


def _plan_lines(text: str) -> list[str | None]:
    """The prose lines, and with them those of a fence of text that begins with the header of a plan."""
    lines = text.replace("\r\n", "\n").split("\n")
    prose = _prose_lines(text)
    start = 0
    while (start := next((i for i in range(start, len(lines)) if _opens_text(lines, prose, i)), -1)) >= 0:
        stop = next((i for i in range(start + 1, len(lines)) if _TEXT_FENCE.fullmatch(lines[i])), len(lines))
        first = next((line for line in lines[start + 1 : stop] if line.strip()), "")
        if stop < len(lines) and _is_header(_HEADER.match(first)):
            prose[start + 1 : stop] = lines[start + 1 : stop]
        start = stop + 1
    return prose


def _opens_text(lines: Sequence[str], prose: Sequence[str | None], index: int) -> bool:
    """Whether a fence of text opens here, with prose or nothing above it."""
    above = prose[index - 1] if index else ""
    return prose[index] is None and above is not None and _TEXT_FENCE.fullmatch(lines[index]) is not None


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
        if line is None:
            return None
        if line.lstrip().startswith("|"):
            rows, taken = read_table(lines[index:])
            items = [_make_item(number, text) for number, text in rows]
            return (Plan(_numbered(items), "\n".join(preamble).strip()), index + taken) if items else None
        if _ITEM.match(line):
            items, count = _read_items(lines[index:])
            return Plan(_numbered(items), "\n".join(preamble).strip()), index + count
        if _HEADING.match(line):
            return None
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
    style: tuple[str, bool] = ("", False)
    after_blank = False
    for index, line in enumerate(lines):
        found = _ITEM.match(line) if line is not None else None
        starts = found is not None and (not items or _starts_item(found, style, items[-1][0]))
        if line is None or _says(line, "ALL_COMPLETED") or _says(line, "REPLICATE"):
            break
        if _HEADING.match(line) and not starts:
            break
        if not line.strip():
            after_blank = True
            continue
        if found and starts and (not items or _indent(line) <= base + 1):
            base, style = (base, style) if items else (_indent(line), _style(found))
            items.append((int(found["number"] or found["named"]), [found["text"].rstrip()]))
        elif after_blank and _indent(line) <= base + 1 and not (begins_label(line) or _goes_on(lines[index:], style)):
            break
        else:
            items[-1][1].append(line.rstrip())
        after_blank, count = False, index + 1
    return [_make_item(number, "\n".join(text)) for number, text in items], count


def _style(found: re.Match[str]) -> tuple[str, bool]:
    """How an item begins: its heading's hashes, and whether it is named ("Run 1:") rather than numbered alone."""
    return (found["hashes"] or "").strip(), found["named"] is not None


def _starts_item(found: re.Match[str], style: tuple[str, bool], last: int) -> bool:
    """Whether a line like an item is one of the list: it begins as the first does, and numbers of headings rise."""
    return _style(found) == style and (style == ("", False) or int(found["number"] or found["named"]) > last)


def _goes_on(lines: Sequence[str | None], style: tuple[str, bool]) -> bool:
    """Whether, of a plan whose items are headings, another one follows before anything that ends the plan."""
    for line in lines if style[0] else ():
        if line is None:
            return False
        if _HEADING.match(line):
            found = _ITEM.match(line)
            return found is not None and _style(found) == style
    return False


def _make_item(number: int, text: str) -> PlanItem:
    text = plain(text)
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
