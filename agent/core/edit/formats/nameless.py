"""Code in fences that say neither that they are an edit nor of which file, in a reply that holds no edit at all.

Two fences are a change if the first one's lines stand once in one editable file, and the second is like it. One fence
is a change if it is nothing but functions, classes and constants that one editable file has at its top level.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from agent.core.code.parts import are_parts, part_names
from agent.core.code.source import parse
from agent.core.code.trailing import code_key
from agent.core.edit.formats.found import FoundBlock, FoundText, HunkPlace
from agent.core.edit.formats.heads import calls_example, is_unsure
from agent.core.edit.formats.pairs import FORM
from agent.core.edit.formats.unified_diff import is_diff
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import read_fence

__all__ = ["NAMELESS", "NamelessFences"]

FAR: Final = 6  # lines with words between the two fences
MOST_LINES: Final = 2_000  # of both
_CODE: Final = ("", "python", "py", "python3")


@dataclass(frozen=True, slots=True)
class _PlainFence:
    """A closed fence of code. number, last: its first and last line."""

    number: int
    last: int
    info: str
    body: tuple[str, ...]


class NamelessFences:
    """The only one or two fences of a reply."""

    name = "code in a fence"
    plural = "fences of code"
    own_marks = ()

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock | FoundText]:
        """None: only the texts of the files tell where such code belongs. See `find_in`."""
        return []

    def find_in(
        self, lines: Sequence[Line], files: Mapping[str, str], editable: Collection[str]
    ) -> list[FoundBlock | FoundText]:
        """The change that the fences show, none if it is not clear where it belongs. files: texts by path."""
        fences = _fences(lines)
        if not fences or sum(len(fence.body) for fence in fences) > MOST_LINES:
            return []
        texts = {path: files[path] for path in editable if path in files}
        edit = _pair(fences[0], fences[1], lines, texts) if len(fences) == 2 else _parts(fences[0], texts)
        return [edit] if edit else []

    def explain(self, *, in_part: bool = False) -> str:
        return (
            "Two fences, the lines of a file and those in their place, or one that holds whole functions or constants."
        )


NAMELESS: Final = NamelessFences()


def _fences(lines: Sequence[Line]) -> list[_PlainFence] | None:
    """The fences of a reply, None if one of them is no plain code, or is called an example."""
    found: list[_PlainFence] = []
    for number, part in groupby(lines, key=lambda line: line.fence):
        if not number:
            continue
        fence = list(part)
        mark = read_fence(fence[0].text)
        is_closed = len(fence) > 1 and fence[-1].kind is Kind.FENCE and fence[0].is_closed
        body = tuple(line.text for line in fence[1:-1])
        info = mark.info.strip().lower() if mark else "none"
        is_plain = is_closed and info in _CODE and not any(line.block for line in fence) and any(map(str.strip, body))
        if not is_plain or is_diff(fence[0].text, body) or _is_no_edit(lines, number - 1) or len(found) == 2:
            return None
        found.append(_PlainFence(number, fence[-1].number, info, body))
    return found


def _is_no_edit(lines: Sequence[Line], end: int) -> bool:
    """Whether the words above index `end` say that what follows is no change, or only may be one."""
    return calls_example(lines, end) or is_unsure(lines, end)


def _pair(old: _PlainFence, new: _PlainFence, lines: Sequence[Line], texts: Mapping[str, str]) -> FoundBlock | None:
    between = [line for line in lines[old.last : new.number - 1] if line.text.strip()]
    homes = {path: _count(text, old.body) for path, text in texts.items()}
    home = next(iter(path for path, count in homes.items() if count), "")
    is_once = sum(homes.values()) == 1 and not _count(texts[home], new.body)
    if len(between) > FAR or old.info != new.info or not is_once or not _are_alike(old.body, new.body):
        return None
    return FoundBlock(old.number, home, (), ((old.body, new.body),), "", HunkPlace(FORM))


def _count(text: str, part: Sequence[str]) -> int:
    """How often the lines of a part stand in a text, one after the other; 2 for more often."""
    whole, wanted = f"\n{text}\n", "\n" + "\n".join(part) + "\n"
    first = whole.find(wanted)
    return 0 if first < 0 else 1 if whole.find(wanted, first + 1) < 0 else 2  # places may share lines


def _are_alike(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether they share a line or, if each is a single one, what stands before its first sign of equality."""
    if len(old) == len(new) == 1 and "=" in old[0]:
        return old[0].partition("=")[0].strip() == new[0].partition("=")[0].strip()
    return not {code_key(line) for line in old if line.strip()}.isdisjoint(code_key(line) for line in new)


def _parts(fence: _PlainFence, texts: Mapping[str, str]) -> FoundText | None:
    given = parse("\n".join(fence.body))
    if not isinstance(given, ast.Module) or not are_parts(given.body):
        return None
    wanted = part_names(given.body)
    homes = []
    for path in texts:
        own = parse(texts[path]) if path.endswith(".py") else None
        has = part_names(own.body) if isinstance(own, ast.Module) else []
        homes += [path] if any(name in has for name in wanted) else []
        if homes == [path] and not all(has.count(name) == 1 for name in wanted):
            return None
    return FoundText(fence.number, homes[0], fence.body, "", is_asked=False) if len(homes) == 1 else None
