"""Replies that miss the form are quoted back at the line that went wrong."""

from __future__ import annotations

import pytest

from agent.core.reply.misses import QUOTED_CHARS, Miss, find_misses, last_line
from agent.core.text.lexer import read_lines


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            "Well.\nPLAN: as before\n",
            ["line 2 of your reply, 'PLAN: as before': a plan begins here, but no numbered item"],
        ),
        (
            "I would:\n\n```python\nLR = 1\n```\n",
            ["line 3 of your reply, '```python LR = 1': code in a fence is no edit"],
        ),
        (
            "Now I say REPLICATE.\n",
            ["line 1 of your reply, 'Now I say REPLICATE.': REPLICATE counts only alone on a line"],
        ),
        ("First.\nThen.\n\n", ["line 2 of your reply, 'Then.': the reply ends here, as prose alone"]),
        ("<think>\n```\nx\n```\n</think>\nNo.", ["line 6 of your reply, 'No.': the reply ends here"]),
        ("", ["the reply is empty"]),
        ("<think>only thoughts", ["the reply is empty"]),
        ("PLAN:\n\nALL_COMPLETED soon\n", ["a plan begins here", "ALL_COMPLETED counts only alone"]),
    ],
)
def test_the_line_that_went_wrong_is_quoted(reply: str, said: list[str]) -> None:
    found = [str(miss) for miss in find_misses(reply)]
    assert len(found) == len(said)
    assert all(words in line for words, line in zip(said, found, strict=True)), found


def test_a_plan_with_items_is_no_miss() -> None:
    (miss,) = find_misses("PLAN:\n1. Raise the rate\n\nPlan: as above.\n\nGo.")
    assert miss.line == 6


def test_a_long_line_is_cut() -> None:
    assert len(str(Miss("p", 1, "x" * 1000))) < QUOTED_CHARS + 40
    assert last_line(read_lines("a\n" + "x" * 1000 + "\n"), "p").line == 2
