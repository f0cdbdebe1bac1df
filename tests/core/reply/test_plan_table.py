"""Plans in tables."""

from __future__ import annotations

import pytest

from agent.core.reply.plan_table import read_table

TABLE = """| Run | Change | Hypothesis | Expected metric | **Refuted if** |
|:---|---|---|---|---|
| 1 | Raise LR | It is slow | score +0.02 | below 0.5 |
| **2.** | Widen | | score >= 0.9 | |
""".splitlines()


def test_rows_are_items_and_columns_their_labels() -> None:
    items, count = read_table([*TABLE, "", "words"])
    assert count == 4 and items == [
        (1, "Raise LR\n   Hypothesis: It is slow\n   Expected: score +0.02\n   Refuted if: below 0.5"),
        (2, "Widen\n   Expected: score >= 0.9"),
    ]


@pytest.mark.parametrize("lines", [TABLE[:2], [TABLE[0], *TABLE[2:]], [*TABLE, "| x | y |"], ["words"], [], [None]])
def test_what_is_no_table_of_numbered_rows_is_left_alone(lines: list[str | None]) -> None:
    assert read_table(lines) == ([], 0)
