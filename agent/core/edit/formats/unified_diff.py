"""Unified diffs of a reply: fenced or bare, git's, and those whose hunks have no numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Final

from agent.core.edit.formats.found import FoundBlock, HunkPlace, Split, read_hunk
from agent.core.edit.formats.heads import mentioned_above, name_above
from agent.core.edit.formats.names import named_files
from agent.core.text.hunks import HunkHead, ends_hunk, is_file_head, read_hunk_head
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import INVISIBLE, read_fence

__all__ = ["UNIFIED_DIFF", "UnifiedDiff", "is_diff"]

FORM: Final = "unified diff"
NOWHERE: Final = "/dev/null"
_INFOS: Final = ("diff", "patch", "udiff", "unified", "unidiff")
_PREFIXES: Final = ("a/", "b/", "i/", "w/", "c/", "o/")
_COPIES: Final = (".orig", ".old", ".bak", "~")
# " 2025-01-31 12:00:00"
_DATE: Final = re.compile(r" \d{4}-\d\d-\d\d\b")
NOT_OF_HUNK: Final = "it begins with neither a blank nor + nor -"
_SHAPES: Final = ("@@", "@@ ... @@", "@@ @@")


class UnifiedDiff:
    """Hunks of lines that stay, go and come, under --- and +++, or in a fence of diffs under the name of a file."""

    name = FORM
    plural = "unified diffs"
    own_marks = ()

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
        found: list[FoundBlock] = []
        for number, part in groupby(lines, key=lambda line: line.block if line.kind is Kind.PATCH else 0):
            span = list(part)
            if number and not span[0].text.lstrip(INVISIBLE).startswith("*** "):
                found += _read_diff(lines, span, editable)
        found += _read_fences(lines, editable)
        for line in lines:
            head = read_hunk_head(line.text) if line.kind is Kind.PROSE else None
            if head and (head.counts or line.text.strip() in _SHAPES):
                said = "a hunk without the lines --- and +++ that name its file"
                found.append(FoundBlock(line.number, None, (), (), said, HunkPlace(FORM)))
        return found

    def explain(self, *, in_part: bool = False) -> str:
        return (
            "A unified diff names its file in --- and +++, and each hunk repeats a few lines around those it changes."
        )


UNIFIED_DIFF: Final = UnifiedDiff()


def _read_diff(lines: Sequence[Line], span: Sequence[Line], editable: Collection[str]) -> Iterator[FoundBlock]:
    """The hunks of one file's diff."""
    texts = [line.text for line in span]
    first = next((i for i, text in enumerate(texts) if text.lstrip(INVISIBLE).startswith("--- ")), len(texts))
    if first == len(texts):
        name = texts[0].rpartition(" b/")[2].strip()
        said = "it renames, deletes or only marks a file, and shows no lines"
        yield FoundBlock(span[0].number, name, (), (), said, HunkPlace(FORM))
        return
    name, problem = _name_of(_path(texts[first]), _path(texts[first + 1]), editable)
    problem = problem or _is_torn(lines, span)
    hunks = list(_hunks(span[first + 2 :]))
    if not hunks:
        yield FoundBlock(span[0].number, name, (), (), problem or "it holds no hunk", HunkPlace(FORM))
    for number, split, place in hunks:
        yield FoundBlock(number, name, (), (split,), problem or _is_cut(split, place), place)


def _hunks(lines: Sequence[Line]) -> Iterator[tuple[int, Split, HunkPlace]]:
    """Number of the first line, halves and place of every hunk."""
    texts = [line.text for line in lines]
    i = 0
    while i < len(texts):
        if not texts[i].strip():
            i += 1
            continue
        head = read_hunk_head(texts[i])
        start = i + 1 if head else i
        stop = max(ends_hunk(texts, start, len(texts), head), start)
        split = read_hunk(texts[start:stop])
        if split is not None and stop > start:
            yield lines[i].number, split, _place(head, split)
        i = max(stop, i + 1)


def _place(head: HunkHead | None, split: Split) -> HunkPlace:
    if head is None:
        return HunkPlace(FORM)
    is_counted = head.counts == (len(split[0]), len(split[1]))
    return HunkPlace(FORM, head.at, (head.anchor,) if head.anchor else (), is_counted)


def _is_cut(split: Split, place: HunkPlace) -> str:
    """The fault of a hunk that ends before the lines which it is about, "" if it does not."""
    is_short = split[0] == split[1] and place.at > 0 and not place.is_counted
    return "it changes no line, and its head counts other lines than it has" if is_short else ""


def _is_torn(lines: Sequence[Line], span: Sequence[Line]) -> str:
    """The fault of a diff that seems to go on behind its end, "" if there is none."""
    after = span[-1].number
    if after >= len(lines) or not lines[after].text.strip():
        return ""
    line = lines[after]
    if line.kind is Kind.PATCH or is_file_head([line.text for line in lines[after : after + 2]], 0):
        return ""
    if line.kind is Kind.FENCE or (line.fence and (mark := read_fence(line.text)) and not mark.info):
        below = next((line for line in lines[after + 1 : after + 4] if line.text.strip()), None)
        goes_on = below is not None and below.kind is not Kind.PATCH and _looks_like_hunk(below.text)
        return f"line {below.number}, behind its fence, seems to belong to it" if below and goes_on else ""
    counted = [place.is_counted for _, _, place in _hunks(span)]
    return "" if counted and counted[-1] and not line.fence else f"line {line.number} is none of a diff: {NOT_OF_HUNK}"


def _looks_like_hunk(text: str) -> bool:
    return text.startswith("@@") or (text[:1] in ("+", "-") and text[1:2] not in ("", " ", "-", "+"))


def _read_fences(lines: Sequence[Line], editable: Collection[str]) -> Iterator[FoundBlock]:
    """The hunks in fences of diffs that have no head with the file's name."""
    floor = 0
    for number, part in groupby(lines, key=lambda line: line.fence):
        fence = list(part)
        held = [line for line in fence if line.kind is Kind.CODE]
        texts = [line.text for line in held]
        is_whole = number and len(held) == len(fence) - (fence[-1].kind is Kind.FENCE and len(fence) > 1) - 1
        if is_whole and held and is_diff(fence[0].text, texts):
            name = name_above(lines, number, floor, editable)
            mentions = mentioned_above(lines, number, floor, editable)
            problem = "" if fence[0].is_closed else "its fence is not closed"
            odd = next((line for line in held if line.text[:1] not in ("", " ", "+", "-", "\\", "@")), None)
            problem = problem or (f"line {odd.number} is none of a diff: {NOT_OF_HUNK}" if odd else "")
            for at, split, place in _hunks(held):
                yield FoundBlock(at, name, mentions, (split,), problem or _is_cut(split, place), place)
            floor = fence[-1].number
        floor = max([floor, *(line.number for line in fence if line.block)])


def is_diff(opening: str, texts: Sequence[str]) -> bool:
    """Whether a fence holds hunks: it says so, and some line goes or comes, or its first line is the head of one."""
    mark = read_fence(opening)
    words = mark.info.lower().split() if mark else []
    if any(text[:1] in ("+", "-") for text in texts):
        first = next((text for text in texts if text.strip()), "")
        return bool(words and words[0].partition(":")[0] in _INFOS) or read_hunk_head(first) is not None
    return False


def _path(head: str) -> str:
    """The name behind --- or +++, without time, quotes and remarks."""
    name = head.lstrip(INVISIBLE)[4:].split("\t", 1)[0].strip().strip("\"'`*")
    return _DATE.split(name.partition(" (")[0], maxsplit=1)[0].strip()


def _name_of(old: str, new: str, editable: Collection[str]) -> tuple[str, str]:
    """The file that both names mean, and the fault if there is none."""
    if new == NOWHERE:
        return old.removeprefix("a/"), "it deletes a file"
    if new.startswith(_PREFIXES) and (old == NOWHERE or old.startswith(_PREFIXES)):
        old, new = old if old == NOWHERE else old[2:], new[2:]
    if old.startswith(new) and old[len(new) :] in _COPIES:
        return new, ""
    if old not in (NOWHERE, new):
        last = new.rpartition("/")[2]
        is_copy = last == old.rpartition("/")[2] and not named_files(old, editable) and not named_files(new, editable)
        return (last, "") if is_copy else (new, f"it names two files, {old} and {new}")
    return new, ""
