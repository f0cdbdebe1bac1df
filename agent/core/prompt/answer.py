"""The answer to a reply that asks to see code: the code, as far as there is room, or what there is instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from agent.core.code.definitions import read_definitions
from agent.core.edit.lines import split_lines
from agent.core.edit.seen import Ranges, lines_of, ranges_of
from agent.core.prompt.excerpt import render_excerpt
from agent.core.prompt.render import render_answer
from agent.core.prompt.view import asked_lines
from agent.core.reply.code_request import CodeRequest

__all__ = ["ANSWER_CHARS", "CodeAnswer", "ShownFile", "answer_request"]

ANSWER_CHARS: Final = 24_000
MOST_FILES: Final = 12
MOST_NAMES: Final = 80  # of one file
_HIDDEN_FILES: Final = ("idea", "notes.txt")


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file of an answer: its text with marks for lines left out, and the lines for which there was no room."""

    name: str
    text: str
    is_editable: bool
    cut: str = ""


@dataclass(frozen=True, slots=True)
class CodeAnswer:
    """The text of an answer, and by file the lines that it shows."""

    text: str
    shown: dict[str, Ranges]


def answer_request(
    request: CodeRequest, files: Mapping[str, str], editable: Collection[str], *, room_chars: int = ANSWER_CHARS
) -> CodeAnswer:
    """The code that was asked for. If a file has none of it, the names that there are.

    files: all texts that may be shown. room_chars: of the code. What has no room is named.
    """
    wanted = {name: lines_of(ranges) for name, ranges in asked_lines(request.places, files).items()}
    parts: list[ShownFile] = []
    shown: dict[str, Ranges] = {}
    left = room_chars
    for name, lines in wanted.items():
        ranges, cut = _within(files[name], lines, left)
        text = render_excerpt(files[name], ranges) if ranges else ""
        left -= len(text)
        parts.append(ShownFile(name, text, name in editable, cut))
        shown |= {name: ranges} if ranges else {}
    outlines = () if parts else outline_files(files)
    return CodeAnswer(render_answer(parts, request.missing, outlines), shown)


def _within(text: str, wanted: Collection[int], room_chars: int) -> tuple[Ranges, str]:
    """The first of the wanted lines that fit into so many characters, and the others as "40-90"."""
    lines, kept, left = split_lines(text).text, set[int](), room_chars
    ordered = [number for number in sorted(wanted) if number <= len(lines)]
    for number in ordered:
        left -= len(lines[number - 1]) + 1
        if left < 0:
            break
        kept.add(number)
    rest = ranges_of(number for number in ordered if number not in kept)
    return ranges_of(kept), ", ".join(f"{first}-{last}" for first, last in rest[:MOST_FILES])


def outline_files(files: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each file of code with its definitions and their lines."""
    names = [name for name in files if not name.startswith(_HIDDEN_FILES)]
    return tuple(
        _outline(name, files[name]) for name in sorted(names, key=lambda name: not name.endswith(".py"))[:MOST_FILES]
    )


def _outline(name: str, text: str) -> str:
    known = (read_definitions(text) or ()) if name.endswith(".py") else ()
    said = [f"{each.full_name} {each.first}-{each.last}" for each in known[:MOST_NAMES]]
    said += [f"and {len(known) - MOST_NAMES} more"] if len(known) > MOST_NAMES else []
    return f"{name}, {len(split_lines(text).text)} lines" + (f": {', '.join(said)}" if said else "")
