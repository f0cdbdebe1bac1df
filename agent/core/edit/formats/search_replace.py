"""SEARCH/REPLACE blocks of a reply, with the file that each names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final

from agent.core.edit.formats.found import FoundBlock, Split
from agent.core.edit.formats.heads import mentioned_above, name_above
from agent.core.edit.formats.names import find_info_name, find_name
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import BlockHead, bare_header, closes_block, divider_width, is_marker, read_head

__all__ = ["SEARCH_REPLACE", "SearchReplace"]

QUOTED_CHARS: Final = 60
MOST_DIVIDERS: Final = 40
_LINE_HEADS: Final = (":start_line:", ":end_line:")
USUAL_WIDTHS: Final = range(5, 10)
USUAL_WIDTH: Final = 7


class SearchReplace:
    """Blocks from <<<<<<< SEARCH over ======= to >>>>>>> REPLACE, under the name of their file."""

    name = "SEARCH/REPLACE block"
    plural = "SEARCH/REPLACE blocks"
    own_marks = ()

    def find(self, lines: Sequence[Line], editable: Collection[str]) -> list[FoundBlock]:
        found: list[FoundBlock] = []
        floor = 0
        for number, part in groupby(lines, key=lambda line: line.block if line.kind is Kind.BLOCK else 0):
            block = list(part)
            if number:
                found.append(_read_block(lines, block, floor, editable))
                floor = number if not block[0].is_closed else block[-1].number
            else:
                stray = next((line for line in block if not line.block and is_marker(line.text)), None)
                if stray:
                    said = f"a marker stands alone: {_quote(stray)}"
                    said += ", and no line <<<<<<< SEARCH opens its block" if closes_block(stray.text) else ""
                    found.append(FoundBlock(stray.number, None, (), (), said))
        return sorted([*found, *_find_headed(lines, editable)], key=lambda block: block.line)

    def explain(self, *, in_part: bool = False) -> str:
        return (
            "SEARCH holds lines exactly as they stand in the file, enough of them to be found once; REPLACE the lines "
            'that take their place, every line that should stay repeated, never abbreviated with "...". An empty '
            "SEARCH creates a file, or appends to one."
        )


SEARCH_REPLACE: Final = SearchReplace()


def _read_block(lines: Sequence[Line], block: Sequence[Line], floor: int, editable: Collection[str]) -> FoundBlock:
    """Read the lines of a block. Lines above it, from index `floor` on, may name its file."""
    opening, is_closed = block[0], block[0].is_closed
    head = read_head(opening.text) or BlockHead(USUAL_WIDTH, "")
    above = opening.number - 1
    name = find_info_name(head.info, editable) or name_above(lines, above, floor, editable)
    mentions = mentioned_above(lines, above, floor, editable)
    body = [line.text for line in (block[1:-1] if is_closed else block[1:])]
    splits, problem = _divide(body, head.width)
    if not is_closed:
        problem = _say_unclosed(lines, block[-1].number)
    return FoundBlock(opening.number, name, mentions, splits or ((tuple(body), ()),), problem)


def _find_headed(lines: Sequence[Line], editable: Collection[str]) -> Iterator[FoundBlock]:
    """Fences that hold, once or more, the line SEARCH:, lines, the line REPLACE:, and lines."""
    for number, part in groupby(lines, key=lambda line: line.fence):
        fence = list(part)
        held = [line for line in fence[1:] if line.kind is Kind.CODE]
        at = [i for i, line in enumerate(held) if bare_header(line.text)]
        words = [bare_header(held[i].text) for i in at]
        above = [line.text for line in held[: at[0]] if line.text.strip()] if at else []
        if not number or any(line.block for line in fence) or words[:1] != ["SEARCH"] or "REPLACE" not in words:
            continue
        inner = find_name(above[0], editable) if len(above) == 1 else None
        name = inner or name_above(lines, number - 1, 0, editable)
        fault = "" if fence[0].is_closed else "its fence is not closed"
        fault = fault or ("a line stands above its SEARCH" if above and not inner else "")
        mentions = mentioned_above(lines, number - 1, 0, editable)
        starts = [i for i, word in zip(at, words, strict=True) if word == "SEARCH"]
        for start, stop in pairwise([*starts, len(held)]):
            split, problem = _read_headed([line.text for line in held[start:stop]])
            yield FoundBlock(held[start].number, name, mentions, (split,), fault or problem)


def _read_headed(texts: Sequence[str]) -> tuple[Split, str]:
    """Both halves below the words SEARCH and REPLACE, or between SEARCH, a divider and REPLACE at the end."""
    at = [i for i, text in enumerate(texts) if bare_header(text) == "REPLACE"]
    if len(at) != 1:
        return ((), ()), "it needs one line SEARCH and below it one line REPLACE"
    old, new = list(texts[1 : at[0]]), list(texts[at[0] + 1 :])
    for half in (old, new):
        while half and not half[-1].strip():
            half.pop()
    dividers = [i for i, text in enumerate(old) if divider_width(text)]
    if dividers == [len(old) - 1]:
        old.pop()
    elif dividers and (len(dividers) > 1 or new):
        return ((), ()), "lines of ======= divide it in more than two"
    elif dividers:
        old, new = old[: dividers[0]], old[dividers[0] + 1 :]
    return (tuple(old), tuple(new)), ""


def _divide(body: Sequence[str], width: int) -> tuple[tuple[Split, ...], str]:
    """The ways to divide a body, and the fault if it has none.

    If some lines of `=` are as long as the block's own markers, then the others are text.
    """
    dividers = [(i, found) for i, line in enumerate(body) if (found := divider_width(line))]
    alike = [i for i, found in dividers if found == width]
    alike = alike or [i for i, found in dividers if found in USUAL_WIDTHS or abs(found - width) <= 2]
    if len(alike) > MOST_DIVIDERS:
        return (), f"more than {MOST_DIVIDERS} lines of ======= divide it"
    splits = tuple((tuple(body[:i]), tuple(body[i + 1 :])) for i in alike)
    if not splits:
        return (), "no line ======= divides it"
    if not any(line.lstrip().startswith(_LINE_HEADS) for line in body):
        return splits, ""
    return _without_line_heads(splits)


def _without_line_heads(splits: Sequence[Split]) -> tuple[tuple[Split, ...], str]:
    """The halves without the lines `:start_line:12` and `-------` that another tool wants above SEARCH."""
    bare: list[Split] = []
    for search, new in splits:
        count = next((i for i, line in enumerate(search) if not line.strip().startswith(_LINE_HEADS)), len(search))
        rule = "".join(search[count : count + 1]).strip()
        count += count > 0 and rule.startswith("---") and not rule.strip("-")
        bare.append((search[count:], new))
    search, new = bare[0]
    if any(line.strip().startswith(_LINE_HEADS) for line in new):
        return tuple(splits), "a line :start_line: stands in its REPLACE"
    if not any(line.strip() for line in search):
        return tuple(splits), "it gives the number of a line, and no lines to search for"
    return tuple(bare), ""


def _say_unclosed(lines: Sequence[Line], stop: int) -> str:
    """The line at which the closing marker is missed: the next block, or the reply's last words."""
    said = "no line >>>>>>> REPLACE closes it"
    if stop < len(lines):
        return f"{said} before line {stop + 1}, {_quote(lines[stop])!r}, opens another"
    last = next((line for line in reversed(lines) if line.text.strip()), lines[0])
    return f"{said} before the reply ends at line {last.number}, {_quote(last)!r}"


def _quote(line: Line) -> str:
    return line.text.strip()[:QUOTED_CHARS]
