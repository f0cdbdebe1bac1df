"""Whole files and whole functions in fences, each under the name of its file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from agent.core.edit.formats.found import FoundText
from agent.core.edit.formats.heads import calls_example, name_above
from agent.core.edit.formats.names import find_info_name, find_name, mentioned, named_files
from agent.core.edit.formats.pairs import paired_fences
from agent.core.edit.formats.unified_diff import is_diff
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import bare_header, is_marker, read_fence

__all__ = ["WHOLE_FILES", "WHOLE_TEXTS", "WholeTexts"]

UNCLOSED: Final = "its fence is not closed"
TORN: Final = "it holds fences as long as its own"
FEWEST_LINES: Final = 5  # of a fence without a name that may be a whole file
LOOK_BACK: Final = 40  # lines above a fence that may name its file
# Fences of these hold commands, output or data.
_NOT_CODE: Final = frozenset(
    ("bash", "sh", "shell", "zsh", "console", "powershell", "cmd", "terminal", "output", "log", "csv", "json", "yaml")
)
_NOT_PYTHON: Final = _NOT_CODE | {"text", "txt", "plaintext", "plain", "markdown", "md", "rst"}
_PYTHON: Final = frozenset(["python", "py", "python3"])
# How a line begins that runs a program, as under "Run experiment.py with:".
_COMMANDS: Final = ("python ", "python3 ", "pip ", "uv ", "bash ", "torchrun ", "$ ", "./", "cd ", "export ")
_COMMENTS: Final = ("#", "//", "<!--", "/*")


class WholeTexts:
    """Fences with a file's name: on the fence, above it, in a heading, as a comment on the first line inside.

    A sentence directly above that mentions one editable file is a weaker sign. is_asked: the model was asked for whole
    texts. If it was not, they must be whole files, and fences of other files than the editable ones are prose.
    """

    name = "whole file or function in a fence"
    plural = "whole files or functions in fences"
    own_marks = ()

    def __init__(self, *, is_asked: bool) -> None:
        self.is_asked = is_asked

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundText]:
        found: list[FoundText] = []
        floor = 0
        paired = paired_fences(lines)
        for number, part in groupby(lines, key=lambda line: line.fence):
            fence = list(part)
            taken = [line.number for line in fence if line.block]
            floor = taken[-1] if taken else floor
            if not number or fence[0].block or number in paired:
                continue
            mark = read_fence(fence[0].text)
            info = mark.info if mark else ""
            is_ended = len(fence) > 1 and fence[-1].kind is Kind.FENCE
            body = tuple(line.text for line in (fence[1:-1] if is_ended else fence[1:]))
            text = None if taken or is_diff(fence[0].text, body) else self._read(lines, number, body, floor, editable)
            is_free = not info and not taken and not (text and text.is_named)
            if is_free and found and not found[-1].name.endswith(".py"):
                found[-1] = replace(found[-1], problem=TORN)
            elif text:
                found.append(text)
                floor = fence[-1].number
        return found

    def _read(
        self, lines: Sequence[Line], number: int, body: Sequence[str], floor: int, editable: Collection[str]
    ) -> FoundText | None:
        """The text in the fence that opens at line `number`, None if nothing says that it is one of a file."""
        if any(is_marker(line) or bare_header(line) for line in body):
            return None
        mark = read_fence(lines[number - 1].text)
        info = mark.info if mark else ""
        inner = _opened_twice(body, editable)
        is_twice, body = inner is not None, inner or body
        name, held, is_named = next(_names(lines, number, info, body, floor, editable), ("", body, False))
        language = info.lower().split()[0].partition(":")[0] if info else ""
        unlike = _NOT_PYTHON if name.endswith(".py") else _NOT_CODE | _PYTHON
        is_free = self.is_asked and is_named
        if not name and not self.is_asked and language not in _NOT_PYTHON and sum(map(bool, body)) >= FEWEST_LINES:
            return FoundText(number, "", tuple(body), "", self.is_asked, is_named=False)
        if not name or (language in unlike and not is_free and find_info_name(info, editable) is None):
            return None
        if not is_named and all(line.lstrip().startswith(_COMMANDS) for line in body if line.strip()):
            return None
        if not self.is_asked and not named_files(name, editable) and not (name.endswith(".py") and is_named):
            return None
        problem = "" if lines[number - 1].is_closed or is_twice else UNCLOSED
        is_example = calls_example(lines, number - 1)
        return FoundText(number, name, tuple(held), problem, self.is_asked, is_named, is_example)

    def explain(self, *, in_part: bool = False) -> str:
        parts = (
            "the complete functions or classes that change, of those that you have been shown"
            if in_part
            else "either the complete functions or classes that change, or the complete file"
        )
        more = "Of constants one line each, `NAME = value`, is enough."
        return f"Write a line with the file's name, and under it a fenced block that holds {parts}. {more}"


WHOLE_TEXTS: Final = WholeTexts(is_asked=True)
WHOLE_FILES: Final = WholeTexts(is_asked=False)


def _opened_twice(body: Sequence[str], editable: Collection[str]) -> Sequence[str] | None:
    """The name and the text of a fence that opens again below the name of a .py file, None if it does not."""
    said = [i for i, line in enumerate(body) if line.strip()][:2]
    if len(said) < 2 or not (find_name(body[said[0]], editable) or "").endswith(".py"):
        return None
    marks = [i for i, line in enumerate(body) if read_fence(line)]
    first = read_fence(body[said[1]])
    if first is None or not first.info or marks[0] != said[1] or len(marks) > 2:
        return None
    if len(marks) == 2 and any(line.strip() for line in body[marks[1] + 1 :]):
        return None
    stop = marks[1] if len(marks) == 2 else len(body)
    return [body[said[0]], *body[said[1] + 1 : stop]]


def _names(
    lines: Sequence[Line], number: int, info: str, body: Sequence[str], floor: int, editable: Collection[str]
) -> Iterator[tuple[str, Sequence[str], bool]]:
    """Each way to name the file of a fence, the surest first: name, body, and whether it is more than a mention."""
    inner = next((i for i, line in enumerate(body) if line.strip()), len(body))
    said = body[inner] if inner < len(body) else ""
    inside = find_name(said, editable) if said.lstrip().startswith(_COMMENTS) or said.strip() in editable else None
    held = body[inner + 1 :] if inside and named_files(inside, editable) else body
    if name := find_info_name(info, editable):
        yield name, held if inside == name else body, True
    if name := name_above(lines, number - 1, max(floor, number - 1 - LOOK_BACK), editable):
        yield name, held if inside == name else body, True
    if inside and held is not body:
        yield inside, held, True
    above = number - 2
    while above >= max(floor, number - 4) and not lines[above].text.strip():
        above -= 1
    if above >= floor and lines[above].kind is Kind.PROSE:
        files = mentioned(lines[above].text, editable)
        if len(files) == 1:
            yield files[0], body, False
