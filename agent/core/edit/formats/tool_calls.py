"""Edits written as calls of a tool: JSON or XML with an old and a new string, and shell commands that write a file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from agent.core.edit.formats.found import FoundBlock, HunkPlace, Split
from agent.core.edit.formats.names import named_files
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import read_fence

__all__ = ["ARGUMENTS", "LONGEST", "NEW", "OLD", "PATH", "TOOL_CALLS", "ToolCalls", "json_parts"]

FORM: Final = "str_replace call"
PATH: Final = ("file_path", "path", "file", "filename")
OLD: Final = ("old_string", "old_str")
NEW: Final = ("new_string", "new_str")
ARGUMENTS: Final = ("arguments", "input", "parameters")
# How a line begins that holds an old string.
_SIGNS: Final = ('"old_string"', '"old_str"', "<old_string>", "<old_str>", '<parameter name="old_str')
_SHELLS: Final = ("bash", "sh", "shell", "zsh", "console")
LONGEST: Final = 400_000  # characters of JSON that are read


class ToolCalls:
    """Calls as other tools take them: each names a file, a string that stands in it once, and another one."""

    name = FORM
    plural = "str_replace calls"
    own_marks = ()

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
        found: list[FoundBlock] = []
        free = [line for line in lines if line.kind in (Kind.PROSE, Kind.CODE)]
        done: set[int] = set()
        for part in json_parts(free, [f'"{key}"' for key in OLD]):
            done.update(line.number for line in part)
            found += _read_json(part)
        for call, part in _xml_calls([line for line in free if line.number not in done]):
            done.update(line.number for line in part)
            found.append(call)
        for line in free:
            text = line.text.strip()
            is_cut = text.startswith("{") and any(sign in text for sign in _SIGNS)
            if line.number not in done and (is_cut or text.startswith(_SIGNS)):
                said = "it is not complete JSON or XML with a path, an old and a new string"
                found.append(FoundBlock(line.number, None, (), (), said, HunkPlace(FORM)))
        return found + list(_shell_writes(lines, editable))

    def explain(self, *, in_part: bool = False) -> str:
        return "A call names a file in path, lines that stand in it once in old_str, and those that take their place."


TOOL_CALLS: Final = ToolCalls()


def _call(number: int, name: str, old: str, new: str, problem: str = "") -> FoundBlock:
    """The call as a hunk. Both strings are whole lines; a string that ends with a line break takes its line with it."""
    if old.endswith("\n") and (new.endswith("\n") or not new):
        old, new = old[:-1], new[:-1]
        split: Split = (tuple(old.split("\n")), tuple(new.split("\n")) if new else ())
    else:
        split = (tuple(old.split("\n")) if old else (), tuple(new.split("\n")) if new else ())
        if old.endswith("\n"):
            problem = problem or "its old string ends with a line break, its new one without"
    return FoundBlock(number, name, (), (split,), problem, HunkPlace(FORM, at=0 if old else 1))


# JSON


def json_parts(lines: Sequence[Line], words: Sequence[str]) -> Iterator[list[Line]]:
    """Runs of lines, from one that begins with a bracket to the one that closes it at the same indent, with a word."""
    part: list[Line] = []
    indent = close = ""
    is_meant = False
    for line in lines:
        text = line.text.strip()
        if part and line.number != part[-1].number + 1:
            part = []
        if not part and text[:1] in ("{", "["):
            indent = line.text[: len(line.text) - len(line.text.lstrip())]
            close, is_meant = "]" if text[0] == "[" else "}", False
        elif not part:
            continue
        part.append(line)
        is_meant = is_meant or any(word in text for word in words)
        if line.text.startswith(indent + close) or (len(part) == 1 and text.endswith(close)):
            if is_meant:
                yield part
            part = []


def _read_json(part: Sequence[Line]) -> list[FoundBlock]:
    number, text = part[0].number, "\n".join(line.text for line in part)
    try:
        value = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        value = None
    calls = list(_calls_in(value, ""))
    if not calls:
        said = "it is not complete JSON with a path, an old and a new string"
        return [FoundBlock(number, None, (), (), said, HunkPlace(FORM))]
    several = "it asks to replace all places at once"
    return [_call(number, name, old, new, several if is_every else "") for name, old, new, is_every in calls]


def _calls_in(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, str, str, bool]]:
    """File, old and new string of each call in a JSON value, and whether it is for all places."""
    if isinstance(value, list) and depth < 4:
        for item in value:
            yield from _calls_in(item, name, depth + 1)
    if not isinstance(value, dict):
        return
    name = next((value[key] for key in PATH if isinstance(value.get(key), str)), name)
    old = next((value[key] for key in OLD if isinstance(value.get(key), str)), None)
    new = next((value[key] for key in NEW if isinstance(value.get(key), str)), None)
    if name and old is not None and new is not None:
        yield name, old, new, bool(value.get("replace_all"))
    elif depth < 4:
        for key in (*ARGUMENTS, "edits"):
            yield from _calls_in(value.get(key), name, depth + 1)


# XML


def _xml_calls(lines: Sequence[Line]) -> Iterator[tuple[FoundBlock, list[Line]]]:
    """Each <old_str> with the <new_str> below it and the last <path> above it, and the lines that they take."""
    name = ""
    i = 0
    ends = {closing: -1 for keys in (OLD, NEW) for _, closing in _openings(keys)}
    for k, line in enumerate(lines):
        ends |= {closing: k for closing in ends if line.text.rstrip().endswith(closing)}
    while i < len(lines):
        if path := _value(lines[i].text, PATH):
            name = path
        old = _read_element(lines, i, OLD, ends)
        if old is None:
            i += 1
            continue
        below = next((k for k in range(old[1], min(old[1] + 3, len(lines))) if lines[k].text.strip()), old[1])
        new = _read_element(lines, below, NEW, ends)
        if new is None or not name:
            i = old[1]
            continue
        yield _call(lines[i].number, name, old[0], new[0]), list(lines[i : new[1]])
        i = new[1]


def _openings(keys: Sequence[str]) -> list[tuple[str, str]]:
    named = [(f'<parameter name="{key}">', "</parameter>") for key in keys]
    return [*((f"<{key}>", f"</{key}>") for key in keys), *named]


def _value(text: str, keys: Sequence[str]) -> str:
    """The value of an element that stands on one line."""
    bare = text.strip()
    for opening, closing in _openings(keys):
        if bare.startswith(opening) and bare.endswith(closing):
            return bare[len(opening) : -len(closing)].strip()
    return ""


def _read_element(
    lines: Sequence[Line], start: int, keys: Sequence[str], ends: Mapping[str, int]
) -> tuple[str, int] | None:
    """Text of the element that begins at a line, and the index after it. None if none begins there or it has no end.

    ends: the last line that ends with each closing tag, so that no search for one is in vain.
    """
    if start >= len(lines):
        return None
    bare = lines[start].text.strip()
    for opening, closing in _openings(keys):
        if not bare.startswith(opening) or ends[closing] < start:
            continue
        held = [lines[start].text.lstrip()[len(opening) :]]
        for k in range(start, len(lines)):
            text = held[0] if k == start else lines[k].text
            if text.rstrip().endswith(closing):
                last = text.rstrip()[: -len(closing)]
                parts = [last] if k == start else [*held, last]
                inner = parts[1:] if len(parts) > 1 and not parts[0].strip() else parts
                inner = inner[:-1] if len(inner) > 1 and not inner[-1].strip() else inner
                return "\n".join(inner), k + 1
            if k > start:
                held.append(text)
        return None
    return None


# shell


def _shell_writes(lines: Sequence[Line], editable: Collection[str]) -> Iterator[FoundBlock]:
    """Commands in fences of a shell that would write an editable file: they are not run."""
    for number, part in groupby(lines, key=lambda line: line.fence):
        fence = list(part)
        mark = read_fence(fence[0].text) if number else None
        if not mark or mark.info.lower().partition(" ")[0] not in _SHELLS:
            continue
        for line in fence:
            name = _written(line.text, editable) if line.kind is Kind.CODE else ""
            if name:
                said = f"it would write {name}, and commands of a reply are not run"
                yield FoundBlock(line.number, name, (), (), said, HunkPlace("shell command"))


def _written(command: str, editable: Collection[str]) -> str:
    """The editable file that a command writes: `cat > x.py`, `echo a >>x.txt`, `tee x.py`, `sed -i s/a/b/ x.py`."""
    words = command.replace(">>", ">").replace(">", " > ").split()
    is_in_place = "sed" in words and any(word.startswith(("-i", "--in-place")) for word in words)
    for before, word in zip(["", *words], words, strict=False):
        files = named_files(word.strip("\"'"), editable) if before in (">", "tee", "-a") or is_in_place else ()
        if files:
            return files[0]
    return ""
