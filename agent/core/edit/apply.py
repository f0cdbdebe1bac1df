"""Apply the SEARCH/REPLACE blocks of a reply to files held in memory: all of them, or none.

The blocks are applied in order, each to the result of those before it, and each SEARCH must fit exactly one place
(edit_match has the ladder). Where only blocks of notes.txt fail, the rest applies. Changed Python must parse if it did
before; of a file that would not, the block that breaks it is refused, or all blocks of that file where no single
one does, and staged never holds such a text.

Two blocks ask for nothing and count as applied: one whose SEARCH equals its REPLACE, and one whose SEARCH is gone
because an earlier block of the same reply did exactly what it asks for. A block whose REPLACE merely stands somewhere
in the file is refused, with the line in the hint: in the seed logs the model meant something else as often as not.

An empty line just above ======= or >>>>>>> REPLACE is layout where the other half of the block lacks it.
`apply_whole` (edit_whole) takes whole files and functions instead, for the last turn of a repair.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from agent.core.edit.blocks import find_blocks
from agent.core.edit.result import Block, EditResult, Reason, Rejected
from agent.core.edit.seen import Ranges
from agent.core.edit.whole import apply_whole
from agent.core.edit.workbench import Workbench

__all__ = ["Block", "EditResult", "Reason", "Rejected", "apply_reply", "apply_whole", "has_blocks", "parse_blocks"]


def apply_reply(
    files: Mapping[str, str], reply: str, *, editable: Collection[str], shown: Mapping[str, Ranges] | None = None
) -> EditResult:
    """Apply every SEARCH/REPLACE block of a reply to files (path -> text), or none; nothing else in it is acted on.

    editable: relative paths that blocks may change or create. shown: of files that the model saw in part, which lines;
    a block that touches others is refused. Never raises on any reply, never changes files.
    """
    bench = Workbench(files, editable, shown)
    for found in find_blocks(reply, editable):
        bench.apply(found)
    return bench.result()


def parse_blocks(reply: str, *, editable: Collection[str] = ()) -> list[Block]:
    """The well-formed blocks of a reply with the names it gives them, "" where it gives none."""
    blocks, name = [], ""
    for found in find_blocks(reply, editable):
        name = found.name or name
        if not found.problem:
            blocks.append(found.as_block(name))
    return blocks


def has_blocks(reply: str) -> bool:
    """Whether a reply holds a SEARCH/REPLACE block, well formed or not."""
    return bool(find_blocks(reply))
