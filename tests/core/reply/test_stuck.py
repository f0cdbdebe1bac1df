"""Refused replies after which a longer request would get the same reply again."""

from __future__ import annotations

import pytest

from agent.core.model.messages import Message
from agent.core.reply.stuck import ECHO, LOOP, REPEAT, find_stuck
from tests.fakes import block

BLOCK = block("experiment.py", "A = 1\n", "A = 2\n")
TOLD = "The reply holds no SEARCH/REPLACE block, so nothing was changed.\nSend only the blocks that failed, corrected."


def past(*replies: str, told: str = TOLD) -> list[Message]:
    said = [Message("system", "rules"), Message("user", "Send the edit for run 1.")]
    for reply in replies:
        said += [Message("assistant", reply), Message("user", told)]
    return said


@pytest.mark.parametrize(
    ("reply", "before", "wanted"),
    [
        (BLOCK, [BLOCK], REPEAT),
        ("Sorry! Once more:\n" + BLOCK + "\nDone.", [BLOCK], REPEAT),
        (BLOCK, [BLOCK, "words"], REPEAT),
        (BLOCK, [BLOCK.replace("2", "3")], ""),
        (BLOCK, [], ""),
        ("I  would\nraise A.", ["I would raise A."], REPEAT),
        ("I would raise B.", ["I would raise A."], ""),
        ("<think>a</think>\nRaise.", ["<think>b</think>\nRaise."], REPEAT),
        (TOLD, ["words"], ECHO),
        (TOLD + "\nIndeed.", ["words"], ECHO),
        ("Line 3 of your reply, 'Line 1 of your reply': code in a fence is no edit.", ["words"], ECHO),
        (TOLD.split("\n")[0] + "\n" + BLOCK, ["words"], ""),
        ("I will write a line of my own, of some length.\n" + TOLD.split("\n")[0], ["words"], ""),
        ("I will raise the rate of learning. " * 30, [], LOOP),
        ("PLAN:\n1. Raise.\n" + "The loss is too high for this step.\n" * 40, [], LOOP),
        ("", [], ""),
        ("", ["words"], ""),
    ],
)
def test_the_kinds(reply: str, before: list[str], wanted: str) -> None:
    assert find_stuck(reply, past(*before)) == wanted
