"""Find the SEARCH/REPLACE blocks of a reply, with the file that each names; text of reasoning is blanked first.

A block that is not well formed is found as well, with what is wrong with it, so that it is never silently dropped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agent.core.edit.names import find_info_name, find_name, is_heading, mentioned
from agent.core.edit.result import Block
from agent.core.text.reasoning import strip_reasoning

__all__ = ["FENCE", "FoundBlock", "find_blocks", "visible_lines"]

FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([^`]*?)\s*$")
_HEAD = re.compile(r"^\s*(<{5,9}) ?SEARCH\b[ :>]*(.*?)\s*$", re.IGNORECASE)
_DIVIDER = re.compile(r"^\s*(={5,9})\s*$")
_CLOSER = re.compile(r"^\s*>{5,9} ?REPLACE\b\s*[`~]*\s*$", re.IGNORECASE)
_MERGED_CLOSER = re.compile(r"^\s*={5,9}\s*>{5,9} ?REPLACE\s*$", re.IGNORECASE)
_FOREIGN = re.compile(
    r"^(?:<{7}|>{7})(?:\s+\S.*)?\s*$|^\s*(?:<{5,9}|>{5,9}) ?(?:SEARCH|REPLACE|ORIGINAL|UPDATED|HEAD)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FoundBlock:
    """A block as the reply has it.

    name: the path on a line of its own beside the block; mention: a file that the sentence above names. splits: each
    way to divide the body into SEARCH and REPLACE lines, in order. problem: what is wrong with its form, "" if nothing.
    """

    line: int
    name: str | None
    mention: str | None
    splits: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    problem: str

    def as_block(self, path: str, split: int = 0) -> Block:
        search, replace = self.splits[split] if self.splits else ((), ())
        return Block(path, "".join(f"{s}\n" for s in search), "".join(f"{r}\n" for r in replace), self.line)


def _block_end(lines: Sequence[str], head: int) -> int | None:
    """Index of the line that closes the block opened at head; None where another opens first or the reply ends."""
    divided = False
    for i in range(head + 1, len(lines)):
        if _HEAD.match(lines[i]):
            return None
        if _CLOSER.match(lines[i]) or (divided and _MERGED_CLOSER.match(lines[i])):
            return i
        divided = divided or bool(_DIVIDER.match(lines[i]))
    return None


def visible_lines(reply: str) -> tuple[list[str], list[tuple[int, int | None]]]:
    """The lines of the reply with reasoning blanked, and the (first, last) index of each block; None: not closed."""
    lines = [line.removesuffix("\r") for line in strip_reasoning(reply).split("\n")]
    spans: list[tuple[int, int | None]] = []
    i = 0
    while i < len(lines):
        if _HEAD.match(lines[i]):
            end = _block_end(lines, i)
            spans.append((i, end))
            i = i if end is None else end
        i += 1
    return lines, spans


def _adjacent_name(
    lines: Sequence[str], head: int, floor: int, editable: Collection[str]
) -> tuple[str | None, str | None]:
    """(name, mention) from the lines directly above a block: on the fence, inside it, or above it."""
    fenced = skipped = False
    for i in range(head - 1, floor - 1, -1):
        line = lines[i]
        fence = FENCE.match(line)
        if not line.strip():
            continue
        if fence:
            if fenced:
                return None, None
            fenced = True
            if name := find_info_name(fence[2], editable):
                return name, None
            continue
        if name := find_name(line, editable):
            return name, None
        if not fenced and not skipped and i > floor and FENCE.match(lines[i - 1]):
            skipped = True  # a remark on the first line inside the fence
            continue
        return None, mentioned(line, editable)
    return None, None


def _heading_name(lines: Sequence[str], head: int, floor: int, editable: Collection[str]) -> str | None:
    """The last heading since the previous block that is a file name, outside fences."""
    name, fence = None, ""
    for line in lines[floor:head]:
        mark = FENCE.match(line)
        if mark:
            fence = "" if fence and not mark[2] else fence or mark[1]
        elif not fence and is_heading(line):
            name = find_name(line, editable) or name
    return name


def _splits(body: Sequence[str], marks: int) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Ways to divide a body; where some lines of `=` are as long as the block's own markers, the others are text."""
    dividers = [(i, len(m[1])) for i, line in enumerate(body) if (m := _DIVIDER.match(line))]
    alike = [i for i, n in dividers if n == marks] or [i for i, _ in dividers]
    return tuple((tuple(body[:i]), tuple(body[i + 1 :])) for i in alike)


def _say_unclosed(lines: Sequence[str], stop: int) -> str:
    """Where the closing marker is missed: at the next block, or at the reply's last words."""
    said = "no line >>>>>>> REPLACE closes it"
    if stop < len(lines):
        return f"{said} before line {stop + 1}, {lines[stop].strip()[:60]!r}, opens another"
    number = next((n for n in range(len(lines), 0, -1) if lines[n - 1].strip()), 1)
    return f"{said} before the reply ends at line {number}, {lines[number - 1].strip()[:60]!r}"


def find_blocks(reply: str, editable: Collection[str] = ()) -> list[FoundBlock]:
    lines, spans = visible_lines(reply)
    found: list[FoundBlock] = []
    floor = 0
    for head, end in [*spans, (len(lines), None)]:
        stray = next((i for i in range(floor, head) if _FOREIGN.match(lines[i])), None)
        if stray is not None:
            found.append(FoundBlock(stray + 1, None, None, (), f"a marker stands alone: {lines[stray].strip()[:60]}"))
        if head == len(lines):
            break
        mark = _HEAD.match(lines[head])
        assert mark is not None
        name, mention = _adjacent_name(lines, head, floor, editable)
        name = find_info_name(mark[2], editable) or name or _heading_name(lines, head, floor, editable)
        last = len(lines) if end is None else end
        if end is None:
            last = next((s for s, _ in spans if s > head), len(lines))
        splits = _splits(lines[head + 1 : last], len(mark[1]))
        problem = _say_unclosed(lines, last) if end is None else "" if splits else "no line ======= divides it"
        found.append(FoundBlock(head + 1, name, mention, splits or ((tuple(lines[head + 1 : last]), ()),), problem))
        floor = head + 1 if end is None else last + 1
    return sorted(found, key=lambda b: b.line)
