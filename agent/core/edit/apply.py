"""Apply the edits of a reply to files held in memory: all of them, or none.

Blocks are applied in the order of the reply whatever their format, each to the result of those before it, and each
SEARCH must fit exactly one place (match.py compares). Whole files and functions come before all blocks. If only blocks
of notes.txt, or of other files that no run uses, fail, the rest applies. Python that parsed before must parse after:
the block that breaks a file is refused, or all blocks of that file if no single one does. `staged` never holds such
a text.

Some blocks change nothing and count as applied: those whose SEARCH equals their REPLACE, and those that repeat exactly
the change of an earlier block of the same reply. A block is refused if its REPLACE merely stands
somewhere in the file. The hint shows that line, because in half of such logs the model meant another one.

An empty line just above ======= or >>>>>>> REPLACE is layout if the other half of the block lacks it.
The formats that a reply may use stand in FORMATS: another one is a module in edit/formats and a place in that list.
The prompts take its words from there too: `explain_edits` and `name_edits`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from agent.core.edit.formats.begin_patch import BEGIN_PATCH
from agent.core.edit.formats.foreign.other_tools import OTHER_TOOLS
from agent.core.edit.formats.foreign.tool_calls import TOOL_CALLS
from agent.core.edit.formats.foreign.unread import find_unread
from agent.core.edit.formats.found import Format, FoundBlock, FoundText
from agent.core.edit.formats.nameless import NAMELESS
from agent.core.edit.formats.pairs import FORM as PAIR
from agent.core.edit.formats.pairs import PAIRS
from agent.core.edit.formats.search_replace import SEARCH_REPLACE
from agent.core.edit.formats.unified_diff import UNIFIED_DIFF
from agent.core.edit.formats.whole_texts import WHOLE_FILES, WHOLE_TEXTS
from agent.core.edit.hints import unread_hint
from agent.core.edit.result import NOTES, Block, EditResult, Reason, Rejected
from agent.core.edit.seen import Ranges
from agent.core.edit.whole import put_text
from agent.core.edit.workbench import Workbench, as_block, resolve_path
from agent.core.text.lexer import Line, read_lines

__all__ = [
    "FORMATS",
    "LAST_FORMATS",
    "NAMED_FORMATS",
    "NOTES",
    "TAUGHT",
    "WHOLE_FORMATS",
    "Block",
    "EditResult",
    "Reason",
    "Rejected",
    "apply_reply",
    "apply_whole",
    "explain_edits",
    "has_blocks",
    "lines_of",
    "name_edits",
]

MOST_EDITS: Final = 200  # in one reply
MOST_FENCES: Final = 1_000  # in one reply: each is looked at for a file's name

FORMATS: Final[Sequence[Format]] = (
    *(SEARCH_REPLACE, UNIFIED_DIFF, BEGIN_PATCH, TOOL_CALLS, OTHER_TOOLS, PAIRS),
    *(WHOLE_FILES, NAMELESS),
)
# Those that count in the words of a planner for an editor.
NAMED_FORMATS: Final[Sequence[Format]] = tuple(each for each in FORMATS if each is not NAMELESS)
# Those of which the model is told. The others are understood if they come unasked.
TAUGHT: Final[Sequence[Format]] = (SEARCH_REPLACE,)
# Those of which the model is told only in the last turn of a repair, when SEARCH/REPLACE blocks did not fit.
LAST_FORMATS: Final[Sequence[Format]] = (WHOLE_TEXTS,)
# All that such a turn may use.
WHOLE_FORMATS: Final[Sequence[Format]] = (*LAST_FORMATS, *(each for each in FORMATS if each is not WHOLE_FILES))


def apply_reply(
    files: Mapping[str, str],
    reply: str,
    *,
    editable: Collection[str],
    shown: Mapping[str, Ranges] | None = None,
    formats: Sequence[Format] = FORMATS,
    spare: Collection[str] = (NOTES,),
) -> EditResult:
    """Apply every edit of a reply to files (path -> text), or none. Nothing else in the reply is acted on.

    editable: relative paths that blocks may change or create. shown: the lines that the model saw of files shown in
    part. An edit of other lines is refused. spare: files without whose edits the rest is applied.
    Never raises on any reply, never changes `files`.
    """
    lines = lines_of(reply, formats)
    bench = Workbench(files, editable, shown, spare)
    edits = [] if _has_too_many_fences(lines) else _in_order(e for each in formats for e in each.find(lines, editable))
    if _has_too_many_fences(lines) or len(edits) > MOST_EDITS:
        line = edits[MOST_EDITS].line if edits else 1
        bench.reject(Block("", "", "", line), Reason.MALFORMED, None, _say_excess(lines, len(edits)))
        return bench.result()
    _put_edits(bench, edits, editable)
    result = bench.result()
    if NAMELESS in formats and not (result.applied or bench.same or any(r.path for r in result.rejected)):
        only = NAMELESS.find_in(lines, files, editable)
        nameless = Workbench(files, editable, shown, spare)
        _put_edits(nameless, only, editable)
        return nameless.result() if only else result
    if OTHER_TOOLS in formats and result.applied and not result.rejected:
        read = {found.line for found in edits if isinstance(found, FoundBlock) or found.name}
        return _refuse_unread(bench, lines, read, files, editable)
    return result


def _put_edits(bench: Workbench, edits: Sequence[FoundBlock | FoundText], editable: Collection[str]) -> None:
    whole: set[str | Reason] = set()
    for found in edits:
        if isinstance(found, FoundText):
            whole.add(put_text(bench, found, editable))
        elif _is_pair(found) and bench.shows_no_change(found):
            continue
        elif found.name is not None and resolve_path(found.name, editable) in whole:
            hint = "The same reply gives this file or its functions whole; put this change in there."
            bench.reject(as_block(found, found.name), Reason.NOT_WHOLE, None, hint)
        else:
            bench.apply(found)


def _has_too_many_fences(lines: Sequence[Line]) -> bool:
    return len({line.fence for line in lines if line.fence}) > MOST_FENCES


def _say_excess(lines: Sequence[Line], edits: int) -> str:
    if edits:
        return f"The reply holds {edits} edits; at most {MOST_EDITS} are applied. Use fewer, larger ones."
    fences = len({line.fence for line in lines if line.fence})
    return f"The reply holds {fences:,} fences; at most {MOST_FENCES:,} are read. Write the edits alone."


def _refuse_unread(
    bench: Workbench, lines: Sequence[Line], read: set[int], files: Mapping[str, str], editable: Collection[str]
) -> EditResult:
    """The result, or a refusal if the reply holds a change that no format read. read: first lines of edits."""
    result = bench.result()
    before, after = ({n: t for n, t in held.items() if n in editable} for held in (files, result.staged))
    if unread := find_unread(lines, read, before, after):
        bench.reject(Block("", "", "", unread.line), Reason.UNREAD, None, unread_hint(unread.line, unread.what))
        return bench.result()
    return result


def lines_of(reply: str, formats: Sequence[Format] = ()) -> tuple[Line, ...]:
    """The lines of a reply, told apart with the markers of FORMATS and of further formats."""
    every = dict.fromkeys(marks for each in (*FORMATS, *formats) for marks in each.own_marks)
    return read_lines(reply, tuple(every))


def _in_order(edits: Iterable[FoundBlock | FoundText]) -> list[FoundBlock | FoundText]:
    """Whole texts that were asked for, blocks, pairs of fences, other whole texts, each in the order of the reply."""
    return sorted(edits, key=lambda found: (_rank(found), found.line))


def _rank(found: FoundBlock | FoundText) -> int:
    if isinstance(found, FoundBlock):
        return 2 if _is_pair(found) else 1
    return 0 if found.is_asked else 3


def _is_pair(found: FoundBlock) -> bool:
    return found.place is not None and found.place.form == PAIR


def apply_whole(
    files: Mapping[str, str],
    reply: str,
    *,
    editable: Collection[str],
    shown: Mapping[str, Ranges] | None = None,
    spare: Collection[str] = (NOTES,),
) -> EditResult:
    """Apply whole files and whole functions of a reply, and its SEARCH/REPLACE blocks for other files, or nothing."""
    return apply_reply(files, reply, editable=editable, shown=shown, formats=WHOLE_FORMATS, spare=spare)


def has_blocks(reply: str) -> bool:
    """Whether a reply holds an edit other than a whole file or a pair of fences, well formed or not."""
    lines = lines_of(reply)
    return any(each.find(lines, ()) for each in FORMATS if each is not WHOLE_FILES and each is not PAIRS)


def explain_edits(formats: Sequence[Format] = TAUGHT, *, in_part: bool = False) -> str:
    """Instructions for the model on formats. in_part: it has seen only a part of some file."""
    return " ".join(each.explain(in_part=in_part) for each in formats)


def name_edits(formats: Sequence[Format] = TAUGHT, *, several: bool = False) -> str:
    """An edit in any of the formats, as messages to the model call it: "SEARCH/REPLACE block". several: blocks."""
    return " or ".join((each.plural if several else each.name) for each in formats)
