"""Read the parts of a reply that are not edits: the plan, REPLICATE and ALL_COMPLETED."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, takewhile
from typing import Final

from agent.core.edit.apply import lines_of
from agent.core.edit.formats.foreign.tool_calls import read_calls
from agent.core.journal.kinds import PlanItem
from agent.core.reply.expectation import begins_label, read_labels
from agent.core.reply.plan_table import is_row, read_table
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import INVISIBLE, read_fence
from agent.core.text.plain import plain

__all__ = ["ParsedReply", "Plan", "PlanItem", "bare_plan_line", "merge_plan", "parse_reply", "without_plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The items in order, each number once. `preamble` is the paragraph between PLAN: and the first item, if any."""

    items: tuple[PlanItem, ...]
    preamble: str = ""


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """The requests of a reply apart from its edits."""

    plan: Plan | None
    replicate: bool
    all_completed: bool


# "PLAN:", "## Revised plan", "**Plan:** as before"
_HEADER: Final = re.compile(
    r"[ ]{0,3}(?P<hashes>\#{1,6}[ ]*)?[*_]{0,3}"
    r"(?:(?:revised|updated|new|current|proposed|experiment(?:al)?)\s+){0,3}plan"
    r"[*_]{0,3}[ \t]*(?P<colon>[:：])?[*_]{0,3}(?P<rest>.*)$",
    re.IGNORECASE,
)
# "1. Warm up", "### Run 2: warm up", "- Step 3 - warm up"
_ITEM: Final = re.compile(
    r"(?P<indent>\s*)(?P<hashes>\#{2,6}\s+)?(?:[-*+]\s+)?[*_]{0,2}"
    r"(?:(?P<number>\d{1,4})[.)]|(?:run|step|item)\s+(?P<named>\d{1,4})(?:[*_]{0,2}[.:)]|\s+[–—-](?=\s)))"
    r"(?:[*_]{1,2})?\s+(?P<text>\S.*)$",
    re.IGNORECASE,
)
# "## Results", "---"
_HEADING: Final = re.compile(r"[ ]{0,3}(?:\#{1,6}\s|(?:-{3,}|\*{3,}|_{3,})\s*$)")
_TEXT_FENCES: Final = ("", "text", "txt", "markdown", "md", "plain", "plaintext")
# "(done)", "[x]", "completed:"
_DONE_MARK: Final = re.compile(r"\((?:done|completed?)\)|\[(?:done|completed?|x)\]|\b(?:done|completed):")
# "learning"
_LETTERS: Final = re.compile(r"[^\W_]+")
_WRAP: Final = "*_`\"'“”‘’"
_BLANK: Final = " \t\r\f\v\u00a0" + INVISIBLE
_TAB_WIDTH: Final = 4


def parse_reply(text: str) -> ParsedReply:
    """Read a reply. Reasoning, code fences, SEARCH/REPLACE blocks and quoted lines count for nothing."""
    lines = lines_of(text)
    calls = _lines_of_calls(lines)
    prose = [None if line.number in calls else _prose_of(line) for line in lines]
    return ParsedReply(
        plan=_find_plan(_plan_lines(lines)),
        replicate=any(_says(line, "REPLICATE") for line in prose),
        all_completed=any(_says(line, "ALL_COMPLETED") for line in prose),
    )


def bare_plan_line(text: str) -> int:
    """The 1-based line of the last header of a plan, if no header has items. 0 if one has, or if there is no header."""
    lines = _plan_lines(lines_of(text))
    bare = [n for n, line in enumerate(lines, start=1) if line is not None and _is_header(line)]
    return bare[-1] if bare and _find_plan(lines) is None else 0


def without_plan(text: str) -> str:
    """The reply without reasoning and without its plans: its words about the step that is due."""
    lines = lines_of(text)
    kept = [line.text for line in lines]
    for index, stop in reversed(list(_plans(_plan_lines(lines)))):
        in_fence = index > 0 and stop < len(lines) and lines[index - 1].kind is lines[stop].kind is Kind.FENCE
        in_fence = in_fence and all(_is_text_fence(lines[i]) for i in (index - 1, stop))
        del kept[index - in_fence : stop + in_fence]
    return "\n".join(kept).strip()


def merge_plan(old: Plan | None, new: Plan, done: Collection[int]) -> Plan:
    """The new plan, with the done items of the old one that it dropped in front of it.

    `done` holds item numbers of `old`. A done item keeps its number, even if the new plan repeats its words under
    another. The other new items keep theirs unless one is taken. Then all of them are numbered on from the last done.
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


def _prose_of(line: Line) -> str | None:
    """The text of a line outside code and quotation, None for any other."""
    is_prose = line.kind in (Kind.PROSE, Kind.REASONING) and not line.text.lstrip().startswith(">")
    return line.text if is_prose else None


def _lines_of_calls(lines: Sequence[Line]) -> set[int]:
    """Numbers of the lines in calls of tools and in comments of HTML: they say nothing, as those in a fence do not."""
    _, taken = read_calls([line for line in lines if line.kind is Kind.PROSE], ())
    is_inside = False
    for line in lines:
        if line.kind is Kind.PROSE and line.text.lstrip().startswith("<!--"):
            is_inside = True
        if is_inside:
            taken.add(line.number)
        is_inside = is_inside and line.kind is Kind.PROSE and "-->" not in line.text
    return taken


def _plan_lines(lines: Sequence[Line]) -> list[str | None]:
    """The prose lines, and with them those of a fence of text that begins with the header of a plan."""
    prose = [_prose_of(line) for line in lines]
    for number, part in groupby(lines, key=lambda line: line.fence):
        fence = list(part)
        if not number or fence[-1].kind is not Kind.FENCE or not _is_text_fence(fence[0]):
            continue
        inner = fence[1:-1]
        first = next((line for line in inner if line.text.strip()), None)
        if first and _is_header(first.text):
            for line in inner:
                prose[line.number - 1] = None if line.block else line.text
    return prose


def _is_text_fence(line: Line) -> bool:
    """Whether a line opens or closes a fence that holds text rather than code."""
    mark = read_fence(line.text) if line.kind is Kind.FENCE and _indent(line.text) <= 3 else None
    return mark is not None and line.text.lstrip().startswith(mark.mark) and mark.info.lower() in _TEXT_FENCES


def _says(line: str | None, word: str) -> bool:
    """Whether the word stands alone on the line, perhaps emphasised, quoted or with a full stop."""
    if line is None or _indent(line) > 3:
        return False
    return line.strip(_BLANK).strip(_WRAP).removesuffix(".").strip(_WRAP).replace("\\_", "_") == word


def _match_header(line: str | None) -> re.Match[str] | None:
    """The header of a plan on a line: with a colon, or as a heading without more words."""
    found = _HEADER.match(line) if line is not None else None
    return found if found and (found["colon"] or (found["hashes"] and not found["rest"].strip())) else None


def _is_header(line: str) -> bool:
    return _match_header(line) is not None


def _find_plan(lines: Sequence[str | None]) -> Plan | None:
    """The last plan of the reply that has items."""
    found = (_read_plan(lines, index) for index in reversed(range(len(lines))))
    return next((plan for plan, _ in filter(None, found)), None)


def _plans(lines: Sequence[str | None]) -> Iterator[tuple[int, int]]:
    """The index of the header of each plan that has items, and the index after its last line."""
    done = 0
    for index in range(len(lines)):
        found = _read_plan(lines, index) if index >= done else None
        if found:
            done = found[1]
            yield index, done


def _read_plan(lines: Sequence[str | None], header: int) -> tuple[Plan, int] | None:
    """The plan of a header, with a preamble of at most one paragraph, and the index after its last line."""
    found = _match_header(lines[header])
    if found is None:
        return None
    preamble: list[str] = []
    for index in range(header, len(lines)):
        line = found["rest"].lstrip() if index == header else lines[index]
        if line is None or (index > header and _is_header(line)):
            return None
        if is_row(line):
            rows, taken = read_table([line, *takewhile(is_row, (lines[i] for i in range(index + 1, len(lines))))])
            items = [_make_item(number, text) for number, text in rows]
            return (Plan(_numbered(items), "\n".join(preamble).strip()), index + taken) if items else None
        if _ITEM.match(line):
            items, stop = _read_items(line, lines, index)
            return Plan(_numbered(items), "\n".join(preamble).strip()), stop
        if _HEADING.match(line):
            return None
        if line.strip() and preamble and not preamble[-1].strip() and any(part.strip() for part in preamble):
            return None
        preamble.append(line.rstrip())
    return None


def _read_items(first: str, lines: Sequence[str | None], start: int) -> tuple[list[PlanItem], int]:
    """The items from a line on, up to a blank line with other text after it, a heading, code or a command.

    first: the text of that line. Returns also the index after the last line of the items.
    """
    items: list[tuple[int, list[str]]] = []
    base, stop, goes_on = 0, start, -1
    style: tuple[str, bool] = ("", False)
    after_blank = False
    for index in range(start, len(lines)):
        line = first if index == start else lines[index]
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
        elif after_blank and _indent(line) <= base + 1 and not begins_label(line):
            goes_on = goes_on if goes_on > index else _next_heading(lines, index, style)
            if goes_on < 0:
                break
            items[-1][1].append(line.rstrip())
        else:
            items[-1][1].append(line.rstrip())
        after_blank, stop = False, index + 1
    return [_make_item(number, "\n".join(text)) for number, text in items], stop


def _style(found: re.Match[str]) -> tuple[str, bool]:
    """How an item begins: its heading's hashes, and whether it is named ("Run 1:") rather than numbered alone."""
    return (found["hashes"] or "").strip(), found["named"] is not None


def _starts_item(found: re.Match[str], style: tuple[str, bool], last: int) -> bool:
    """Whether a line like an item is one of the list: it begins as the first does, and numbers of headings rise."""
    return _style(found) == style and (style == ("", False) or int(found["number"] or found["named"]) > last)


def _next_heading(lines: Sequence[str | None], start: int, style: tuple[str, bool]) -> int:
    """The index of the next item, if items are headings and nothing before it ends the plan, else -1."""
    for index in range(start, len(lines)) if style[0] else ():
        line = lines[index]
        if line is None:
            return -1
        if _HEADING.match(line):
            found = _ITEM.match(line)
            return index if found is not None and _style(found) == style else -1
    return -1


def _make_item(number: int, text: str) -> PlanItem:
    text = plain(text)
    labels = read_labels(text)
    return PlanItem(number, text, labels.hypothesis, labels.expected, labels.refuted_if)


def _indent(line: str) -> int:
    expanded = line.expandtabs(_TAB_WIDTH)
    return len(expanded) - len(expanded.lstrip())


def _numbered(items: Sequence[PlanItem]) -> tuple[PlanItem, ...]:
    """The items as numbered by the model if the numbers rise, else counted on from the first."""
    numbers = [item.number for item in items]
    if all(a < b for a, b in pairwise(numbers)):
        return tuple(items)
    return tuple(replace(item, number=numbers[0] + index) for index, item in enumerate(items))


def _gist(text: str) -> str:
    """The first line of an item without marks of completion, case and punctuation, to tell a repeated item."""
    first = text.split("\n", 1)[0].casefold()
    return " ".join(_LETTERS.findall(_DONE_MARK.sub(" ", first)))
