"""Read a plan that a model wrote as a Markdown table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from agent.core.reply.expectation import read_labels

__all__ = ["is_row", "read_table"]

# ":---:"
_RULE: Final = re.compile(r":?-+:?")
# "1", "**Run 2**", "3."
_NUMBER: Final = re.compile(r"[*_]{0,3}(?:(?:run|step|item)\s+)?(?P<number>\d{1,4})[.)]?[*_]{0,3}", re.IGNORECASE)


def is_row(line: str | None) -> bool:
    """Whether a line is one of a table."""
    return line is not None and line.lstrip().startswith("|")


def read_table(lines: Sequence[str | None]) -> tuple[list[tuple[int, str]], int]:
    """(number, text) of each row of a table, and the number of its lines. Nothing and 0 if a row has no number."""
    rows = [_cells(line) for line in takewhile(is_row, lines) if line]
    count = len(rows)
    if count < 3 or not all(map(_RULE.fullmatch, rows[1])):
        return [], 0
    labels = [_label(cell) for cell in rows[0]]
    items = []
    for row in rows[2:]:
        found = _NUMBER.fullmatch(row[0]) if row else None
        if found is None:
            return [], 0
        cells = list(zip(labels, row, strict=False))[1:]
        change = "; ".join(cell for label, cell in cells if cell and not label)
        told = [f"   {label}: {cell}" for label, cell in cells if cell and label]
        items.append((int(found["number"]), "\n".join([change or "this run", *told])))
    return items, count


def _cells(line: str) -> list[str]:
    # "|", not the one in "a \\| b"
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _label(cell: str) -> str:
    """The label that stands at the head of a column, "" for another column."""
    found = read_labels(f"{cell.strip(' *_:')}: x")
    labels = (("Hypothesis", found.hypothesis), ("Expected", found.expected), ("Refuted if", found.refuted_if))
    return next((label for label, text in labels if text == "x"), "")
