"""Apply the SEARCH/REPLACE blocks of a reply to files held in memory: all of them, or none.

The blocks are applied in order, each to the result of those before it, and each SEARCH must fit exactly one place
(match.py compares). If only blocks of notes.txt fail, the rest applies. Python that parsed before must parse after:
the block that breaks a file is refused, or all blocks of that file if no single one does. `staged` never holds such a
text.

Two blocks change nothing and count as applied: one whose SEARCH equals its REPLACE, and one whose SEARCH is gone
because an earlier block of the same reply made exactly this change. A block is refused if its REPLACE merely stands
somewhere in the file. The hint shows that line, because in half of such logs the model meant another one.

An empty line just above ======= or >>>>>>> REPLACE is layout if the other half of the block lacks it.
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
    """Apply every edit of a reply to files (path -> text), or none. Nothing else in the reply is acted on.

    editable: relative paths that blocks may change or create. shown: the lines that the model saw of files shown in
    part. An edit of other lines is refused. Never raises on any reply, never changes `files`.
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
