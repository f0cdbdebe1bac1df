"""Take marks that a hint put around lines of a file off an edit, or refuse it for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.core.edit.lines import shorten, split_body
from agent.core.edit.result import Block

__all__ = ["as_in_file"]

# " 12 | x = 1", as hints number lines
_NUMBERED = re.compile(r"\s{0,9}(\d{1,7}) \|(?: (.*))?$")


def as_in_file(block: Block, *versions: Sequence[str]) -> Block | str:
    """The block without marks that a hint put around lines of the file, or why they cannot be taken off.

    versions: lines of the file before the reply and by now. If every line of SEARCH has its own number in the file, the
    numbers are taken off both halves. A line that a hint cut stands for the whole one.
    """
    search, replaced = list(split_body(block.search)), list(split_body(block.replace))
    held = {line for lines in versions for line in lines}
    words = [line for line in search if line.strip()]
    if words and all(map(_read_number, words)) and held.isdisjoint(words):
        if not all(_has_own_number(line, versions) for line in words):
            return "its SEARCH begins with numbers that are not those of its lines; leave the numbers out"
        search = [_without_number(line) for line in search]
        are_all = all(_read_number(line) for line in replaced if line.strip())
        replaced = [_without_number(line) if are_all or _has_own_number(line, versions) else line for line in replaced]
    given = [line for line in replaced if line.strip() and line not in held]
    numbered = [line for line in given if _read_number(line)]
    quoted = [line for line in numbered if _without_number(line).strip() and _has_own_number(line, versions)]
    if quoted or (numbered and len(numbered) == len(given)):
        return f"its REPLACE begins with line numbers, as in {numbered[0].strip()[:60]!r}; leave them out"
    whole = {shorten(line): line for lines in versions for line in lines if shorten(line) != line}
    search, replaced = [whole.get(line, line) for line in search], [whole.get(line, line) for line in replaced]
    old, new = ("".join(f"{line}\n" for line in half) for half in (search, replaced))
    return block if (old, new) == (block.search, block.replace) else replace(block, search=old, replace=new)


def _read_number(line: str) -> tuple[int, str] | None:
    """Number and text of a line as hints quote it."""
    found = _NUMBERED.match(line)
    return (int(found[1]), found[2] or "") if found else None


def _without_number(line: str) -> str:
    read = _read_number(line)
    return read[1] if read else line


def _has_own_number(line: str, versions: Sequence[Sequence[str]]) -> bool:
    """Whether a line begins with its number in one of the texts."""
    read = _read_number(line)
    if read is None:
        return False
    number, text = read
    own = [lines[number - 1] for lines in versions if 0 < number <= len(lines)]
    return any(text.rstrip() in (line.rstrip(), shorten(line)) for line in own)
