"""Whole files and whole functions in fences, each under the name of its file: the format of a repair's last turn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Final

from agent.core.edit.formats.found import FoundText
from agent.core.edit.formats.names import find_info_name, find_name
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import read_fence

__all__ = ["WHOLE_TEXTS", "WholeTexts"]

UNCLOSED: Final = "its fence is not closed"
TORN: Final = "it holds fences as long as its own"


class WholeTexts:
    """Fences headed by a file's name, on the line above or on the fence itself. Any other fence is prose."""

    name = "fenced file or function"
    plural = "fenced files or functions"

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundText]:
        found: list[FoundText] = []
        for number, part in groupby(lines, key=lambda line: line.fence):
            fence = list(part)
            if not number or fence[0].kind is Kind.BLOCK:
                continue
            mark = read_fence(fence[0].text)
            info = mark.info if mark else ""
            has_block = any(line.kind in (Kind.BLOCK, Kind.PATCH) for line in fence)
            name = find_info_name(info, editable) or _name_above(lines, number - 1, editable)
            if name and not has_block:
                is_ended = len(fence) > 1 and fence[-1].kind is Kind.FENCE
                body = tuple(line.text for line in (fence[1:-1] if is_ended else fence[1:]))
                found.append(FoundText(number, name, body, "" if fence[0].is_closed else UNCLOSED))
            elif found and not info and not found[-1].name.endswith(".py") and not (name or has_block):
                found[-1] = FoundText(found[-1].line, found[-1].name, found[-1].body, TORN)
        return found

    def explain(self, *, in_part: bool = False) -> str:
        parts = (
            "the complete functions or classes that change, of those that you have been shown"
            if in_part
            else "either the complete functions or classes that change, or the complete file"
        )
        return f"Write a line with the file's name, and under it a fenced block that holds {parts}."


WHOLE_TEXTS: Final = WholeTexts()


def _name_above(lines: Sequence[Line], fence: int, editable: Collection[str]) -> str | None:
    """The file named on the line above a fence, or above the blank line there."""
    above = fence - 1
    if above > 0 and not lines[above].text.strip():
        above -= 1
    return find_name(lines[above].text, editable) if above >= 0 and lines[above].kind is Kind.PROSE else None
