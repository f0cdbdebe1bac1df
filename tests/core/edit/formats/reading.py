"""The SEARCH/REPLACE blocks of a reply, for tests."""

from __future__ import annotations

from collections.abc import Collection

from agent.core.edit.formats.found import FoundBlock
from agent.core.edit.formats.search_replace import SEARCH_REPLACE
from agent.core.text.lexer import read_lines


def find_blocks(reply: str, editable: Collection[str] = ()) -> list[FoundBlock]:
    return SEARCH_REPLACE.find(read_lines(reply), editable)
