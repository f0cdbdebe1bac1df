"""Edits in the forms of other tools, which are seen so that no half of a reply is applied, and refused by name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from agent.core.edit.formats.foreign.tool_calls import OLD, TEXTS, holds_call, json_parts, parse_json, plain_key
from agent.core.edit.formats.found import FoundBlock, HunkPlace
from agent.core.edit.formats.names import find_name, mentioned, named_files
from agent.core.text.hunks import BEGIN
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import read_fence

__all__ = ["OTHER_TOOLS", "OtherTools"]

FORM: Final = "edit in tags"
WRITE: Final = "call that writes a file"
# The element with the old text, and the one with the new.
_PAIRS: Final = {
    "search": "replace",
    "find": "replace",
    "original": "updated",
    "before": "after",
    "old": "new",
    "old_code": "new_code",
    "old_text": "new_text",
}
_BRACKETED: Final = ("search", "replace", "original", "updated")
# Keys of JSON that hold a text, or say where one goes, as `plain_key` gives them.
_TEXT_KEYS: Final = ("content", "contents", "filetext", "filecontent", "text", "code", "codeedit", "inserttext")
_NEW_KEYS: Final = ("newcontent", "newtext", "newcode", "newstr", "newstring", "insertline", "startline")
# "<search>", "[REPLACE]", '<parameter name="file_text">', '<file path="x.py">'
_TAG: Final = re.compile(r"<(?:parameter name=\"?)?(\w{1,40})(?=[\s\">])|\[(\w{1,40})\]")
_NEAR: Final = 3  # lines between a path and its text
# How a line begins that calls a tool in the tokens of a model.
_RAW: Final = ("<function=", "<tool_call>", "<arg_key>", "[TOOL_CALLS]")
_FAR: Final = 8  # lines of such a call in which its file and the key of a text come
_DEEPEST: Final = 6
_PYTHON: Final = ("python", "py", "python3")


class OtherTools:
    """Pairs of tags with an old and a new text, and calls that give a file whole, in XML or JSON."""

    name = FORM
    plural = "edits in tags"
    own_marks = ()

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
        free = [line for line in lines if line.kind is Kind.PROSE or _is_markup(lines, line)]
        writes = (*_writes_in_tags(lines, free, editable), *_writes_in_json(free, editable))
        return [*_pairs(free), *writes, *_raw_calls(free, editable)]

    def explain(self, *, in_part: bool = False) -> str:
        return "No edit in tags is read."


OTHER_TOOLS: Final = OtherTools()


def _is_markup(lines: Sequence[Line], line: Line) -> bool:
    """Whether a line stands in a fence that says it is no Python, which may hold tags in its strings."""
    mark = read_fence(lines[line.fence - 1].text) if line.kind is Kind.CODE else None
    return mark is not None and mark.info.lower().partition(" ")[0].partition(":")[0] not in _PYTHON


def _tags(text: str) -> list[str]:
    """Names of the elements that begin on a line which begins with one."""
    bare = text.strip()
    if bare[:1] not in ("<", "["):
        return []
    found = ((match[1], (match[2] or "").lower()) for match in _TAG.finditer(bare))
    return [tag.lower() if tag else word for tag, word in found if tag or word in _BRACKETED]


def _pairs(lines: Sequence[Line]) -> Iterator[FoundBlock]:
    old, number = "", 0
    for line in lines:
        for tag in _tags(line.text):
            if tag in _PAIRS:
                old, number = tag, line.number
            elif old and tag == _PAIRS[old]:
                said = f"tags such as <{old}> and <{tag}> are not read"
                yield FoundBlock(number, None, (), (), said, HunkPlace(FORM))
                old = ""


def _writes_in_tags(lines: Sequence[Line], free: Sequence[Line], editable: Collection[str]) -> Iterator[FoundBlock]:
    """A text below the path of an editable file, or all prose in an element with such a path."""
    numbers = {line.number for line in free}
    name = element = ""
    number = near = words = 0
    for line in lines:
        if line.number not in numbers:
            element = ""  # it holds an edit that is read, or a fence
            continue
        tags = _tags(line.text)
        files = named_files(find_name(line.text, editable) or "", editable) if tags else ()
        if files:
            name, number, near, words = files[0], line.number, _NEAR, 0
            element = "" if "</" in line.text else tags[0]
            continue
        is_text = near > 0 and any(tag in TEXTS for tag in tags) and not _is_above_edit(lines, line)
        is_end = element and words and line.text.strip().lower() == f"</{element}>"
        if name and (is_text or is_end):
            yield _write(number, name)
            name = element = ""
        near -= bool(line.text.strip())
        words += bool(line.text.strip())


def _is_above_edit(lines: Sequence[Line], line: Line) -> bool:
    """Whether the next line with words begins an edit that is read."""
    near = (after for after in lines[line.number : line.number + _NEAR] if after.text.strip())
    below = next((after for after in near if after.kind is not Kind.FENCE), line)
    return below.kind in (Kind.BLOCK, Kind.PATCH)


def _raw_calls(lines: Sequence[Line], editable: Collection[str]) -> Iterator[FoundBlock]:
    """Calls that are neither XML nor JSON on lines of their own."""
    number = far = 0
    name, has_text = "", False
    for line in lines:
        text = line.text.strip()
        if text.startswith(_RAW) and (far <= 0 or not text.startswith("<arg_key>")):
            number, far, name, has_text = line.number, _FAR, "", False
        if far > 0 and text[:1] in ("{", "}"):  # JSON
            far = 0
        if far > 0:
            far -= bool(text)
            name = name or next(iter(mentioned(text, editable)), "")
            has_text = has_text or any(key in text for key in (*TEXTS, *OLD))
        if far > 0 and name and has_text:
            yield _write(number, name)
            far = 0


def _writes_in_json(lines: Sequence[Line], editable: Collection[str]) -> Iterator[FoundBlock]:
    for part in json_parts(lines):
        if any(BEGIN in line.text for line in part):
            said = "it stands in JSON, where it is not read"
            yield FoundBlock(part[0].number, None, (), (), said, HunkPlace(f"{BEGIN} patch"))
            continue
        value = parse_json(part)
        name, is_text = _seen_in(value, editable)
        if name and is_text and not holds_call(value, editable):
            yield _write(part[0].number, name)


def _seen_in(value: Any, editable: Collection[str], depth: int = 0) -> tuple[str, bool]:
    """The editable file that a JSON value names, and whether it holds a text of several lines or the key of one."""
    name, is_text = "", False
    if isinstance(value, str):
        files = named_files(value, editable)
        return (files[0] if files else ""), "\n" in value.strip()
    if depth > _DEEPEST or not isinstance(value, list | dict):
        return "", False
    for key, inner in value.items() if isinstance(value, dict) else (("", item) for item in value):
        named, texts = _seen_in(inner, editable, depth + 1)
        name = name or named or (next(iter(named_files(key, editable)), "") if isinstance(inner, str) else "")
        is_text = is_text or texts or plain_key(key) in (*_TEXT_KEYS, *_NEW_KEYS)
    return name, is_text


def _write(number: int, name: str) -> FoundBlock:
    said = f"it would write {name}, and calls of a reply are not run"
    return FoundBlock(number, name, (), (), said, HunkPlace(WRITE))
