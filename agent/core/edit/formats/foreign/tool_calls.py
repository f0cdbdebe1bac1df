"""Edits written as calls of a tool: JSON or XML with an old and a new string, and shell commands that write a file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from agent.core.edit.formats.foreign.shell import shell_writes
from agent.core.edit.formats.found import FoundBlock, HunkPlace, Split
from agent.core.edit.formats.names import named_files
from agent.core.text.lexer import Kind, Line

__all__ = [
    "OLD",
    "TEXTS",
    "TOOL_CALLS",
    "ToolCalls",
    "holds_call",
    "json_parts",
    "parse_json",
    "plain_key",
    "read_calls",
]

FORM: Final = "str_replace call"
PATH: Final = ("file_path", "path", "file", "filename")
OLD: Final = ("old_string", "old_str")
NEW: Final = ("new_string", "new_str")
ARGUMENTS: Final = ("arguments", "input", "parameters", "function")
# Keys of JSON, all of them as `plain_key` gives them.
_PATHS: Final = ("filepath", "path", "file", "filename", "targetfile", "relativepath", "absolutepath")
_OLD_KEYS: Final = ("oldstring", "oldstr", "oldtext", "oldcode", "oldcontent", "oldlines")
_NEW_KEYS: Final = ("newstring", "newstr", "newtext", "newcode", "newcontent", "newlines")
# Words that other JSON has too: such a call must name an editable file.
_ANY_OLD: Final = (
    *(*_OLD_KEYS, "search", "searchtext", "searchstring", "searchblock", "find", "findtext", "old", "before"),
    *("original", "originaltext", "originalcode", "target", "targetcontent"),
)
_ANY_NEW: Final = (
    *(*_NEW_KEYS, "replace", "replacetext", "replacestring", "replaceblock", "replacewith", "new", "after"),
    *("updated", "updatedtext", "updatedcode", "replacement", "replacementcontent"),
)
# The element or key with the text of a file.
TEXTS: Final = ("content", "contents", "file_text", "file_content", "new_content")
# How a line begins that holds an old string.
_SIGNS: Final = ('"old_string"', '"old_str"', "<old_string>", "<old_str>", '<parameter name="old_str')
LONGEST: Final = 400_000  # characters of JSON that are read
_DEEPEST: Final = 6


class ToolCalls:
    """Calls as other tools take them: each names a file, a string that stands in it once, and another one."""

    name = FORM
    plural = "str_replace calls"
    own_marks = ()

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
        free = [line for line in lines if line.kind in (Kind.PROSE, Kind.CODE)]
        found, done = read_calls(free, editable)
        for line in free:
            text = line.text.strip()
            is_cut = text.startswith("{") and any(sign in text for sign in _SIGNS)
            if line.number not in done and (is_cut or text.startswith(_SIGNS)):
                said = "it is not complete JSON or XML with a path, an old and a new string"
                found.append(FoundBlock(line.number, None, (), (), said, HunkPlace(FORM)))
        return found + list(shell_writes(lines, editable))

    def explain(self, *, in_part: bool = False) -> str:
        return "A call names a file in path, lines that stand in it once in old_str, and those that take their place."


TOOL_CALLS: Final = ToolCalls()


def read_calls(free: Sequence[Line], editable: Collection[str]) -> tuple[list[FoundBlock], set[int]]:
    """The calls in lines of prose and code, and the numbers of the lines that they take."""
    found: list[FoundBlock] = []
    done: set[int] = set()
    for part in json_parts(free):
        calls = _read_json(part, editable)
        done.update(line.number for line in part if calls)
        found += calls
    for call, part in _xml_calls([line for line in free if line.number not in done]):
        done.update(line.number for line in part)
        found.append(call)
    return found, done


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


def json_parts(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Runs of lines, from one that begins with a bracket to the one that closes it at the same indent."""
    part: list[Line] = []
    indent = close = ""
    for line in lines:
        text = line.text.strip()
        if part and line.number != part[-1].number + 1:
            part = []
        if not part and text[:1] in ("{", "["):
            indent = line.text[: len(line.text) - len(line.text.lstrip())]
            close = "]" if text[0] == "[" else "}"
        elif not part:
            continue
        part.append(line)
        if line.text.startswith(indent + close) or (len(part) == 1 and text.endswith(close)):
            yield part
            part = []


def parse_json(part: Sequence[Line]) -> Any:
    """The value of a run of lines, None if it is no JSON."""
    text = "\n".join(line.text for line in part)
    try:
        return json.JSONDecoder(strict=False).decode(text.strip().rstrip(",")) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        return None


def holds_call(value: Any, editable: Collection[str]) -> bool:
    """Whether a JSON value holds a call that is read as an edit."""
    return next(_calls_in(value, "", editable), None) is not None


def plain_key(key: str) -> str:
    """A key of JSON in one of the ways to write it: "oldstring" of old_string, oldString and OLD-STRING."""
    return key.replace("_", "").replace("-", "").lower()


def _read_json(part: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
    number = part[0].number
    calls = list(_calls_in(parse_json(part), "", editable))
    if not calls:
        if not any(f'"{key}"' in line.text for line in part for key in OLD):
            return []
        said = "it is not complete JSON with a path, an old and a new string"
        return [FoundBlock(number, None, (), (), said, HunkPlace(FORM))]
    several = "it asks to replace all places at once"
    return [_call(number, name, old, new, several if is_every else "") for name, old, new, is_every in calls]


def _calls_in(value: Any, name: str, editable: Collection[str], depth: int = 0) -> Iterator[tuple[str, str, str, bool]]:
    """File, old and new string of each call in a JSON value, and whether it is for all places."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from _calls_in(item, name, editable, depth + 1)
    if not isinstance(value, dict):
        return
    held = {plain_key(key): inner for key, inner in value.items()}
    name = next((held[key] for key in _PATHS if isinstance(held.get(key), str)), name)
    is_known = bool(named_files(name, editable))
    old = next((held[key] for key in (_ANY_OLD if is_known else _OLD_KEYS) if isinstance(held.get(key), str)), None)
    new = next((held[key] for key in (_ANY_NEW if is_known else _NEW_KEYS) if isinstance(held.get(key), str)), None)
    if name and old is not None and new is not None:
        yield name, old, new, bool(held.get("replaceall"))
        return
    for key, inner in held.items():
        if key in ARGUMENTS and isinstance(inner, str):  # JSON in a string of JSON
            inner = _parse_inner(inner)
        yield from _calls_in(inner, name, editable, depth + 1)


def _parse_inner(text: str) -> Any:
    try:
        return json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        return None


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
