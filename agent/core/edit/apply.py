"""Apply the SEARCH/REPLACE blocks of a reply to files held in memory: all of them, or none.

The blocks are applied in order, each to the result of those before it, and each SEARCH must fit exactly one place
(edit_match has the ladder). Where only blocks of notes.txt fail, the rest applies. Changed Python must parse if it did
before; of a file that would not, the block that breaks it is refused, or all blocks of that file where no single
one does, and staged never holds such a text.

Two blocks ask for nothing and count as applied: one whose SEARCH equals its REPLACE, and one whose SEARCH is gone
because an earlier block of the same reply did exactly what it asks for. A block whose REPLACE merely stands somewhere
in the file is refused, with the line in the hint: in the seed logs the model meant something else as often as not.

An empty line just above ======= or >>>>>>> REPLACE is layout where the other half of the block lacks it.
The formats that a reply may use stand in FORMATS: another one is a module in edit/formats and a place in that list.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from agent.core.edit.formats.found import Format, FoundText
from agent.core.edit.formats.search_replace import SEARCH_REPLACE
from agent.core.edit.formats.whole_texts import WHOLE_TEXTS
from agent.core.edit.result import Block, EditResult, Reason, Rejected
from agent.core.edit.seen import Ranges
from agent.core.edit.whole import put_text
from agent.core.edit.workbench import Workbench, as_block, resolve_path
from agent.core.text.lexer import read_lines

__all__ = ["Block", "EditResult", "Reason", "Rejected", "apply_reply", "apply_whole", "has_blocks"]

FORMATS: Final[Sequence[Format]] = (SEARCH_REPLACE,)
# For the last turn of a repair, when SEARCH/REPLACE blocks did not fit.
WHOLE_FORMATS: Final[Sequence[Format]] = (WHOLE_TEXTS, *FORMATS)


def apply_reply(
    files: Mapping[str, str],
    reply: str,
    *,
    editable: Collection[str],
    shown: Mapping[str, Ranges] | None = None,
    formats: Sequence[Format] = FORMATS,
) -> EditResult:
    """Apply every edit of a reply to files (path -> text), or none; nothing else in it is acted on.

    editable: relative paths that blocks may change or create. shown: for files that the model saw in part, the lines
    it saw; an edit of others is refused. Never raises on any reply, never changes `files`.
    """
    lines = read_lines(reply)
    bench = Workbench(files, editable, shown)
    whole: set[str | Reason] = set()
    for found in (found for each in formats for found in each.find(lines, editable)):
        if isinstance(found, FoundText):
            whole.add(put_text(bench, found, editable))
        elif found.name is not None and resolve_path(found.name, editable) in whole:
            hint = "The same reply gives this file or its functions whole; put this change in there."
            bench.reject(as_block(found, found.name), Reason.NOT_WHOLE, None, hint)
        else:
            bench.apply(found)
    return bench.result()


def apply_whole(
    files: Mapping[str, str], reply: str, *, editable: Collection[str], shown: Mapping[str, Ranges] | None = None
) -> EditResult:
    """Apply whole files and whole functions of a reply, and its SEARCH/REPLACE blocks for other files, or nothing."""
    return apply_reply(files, reply, editable=editable, shown=shown, formats=WHOLE_FORMATS)


def has_blocks(reply: str) -> bool:
    """Whether a reply holds a SEARCH/REPLACE block, well formed or not."""
    lines = read_lines(reply)
    return any(each.find(lines, ()) for each in FORMATS)
