"""Tokens, money and room on a disk in words."""

from __future__ import annotations

import pytest

from agent.core.journal.budget import Limits, Paid
from agent.core.journal.state import Spent
from agent.report.spending import say_batch_limits, say_cost, say_size, say_tokens

USED = Spent(calls=3, paid=Paid(12_300, 400, cost_usd=0.12))


@pytest.mark.parametrize(
    ("spent", "limits", "words"),
    [
        (Spent(calls=2), Limits(), ""),
        (USED, Limits(), "12,300 + 400 tokens"),
        (Spent(paid=Paid(10, 2, 8)), Limits(), "10 (8 cached) + 2 tokens"),
        (USED, Limits(max_tokens=200_000), "12,300 + 400 tokens of 200,000"),
        (Spent(), Limits(max_tokens=9), "0 + 0 tokens of 9"),
    ],
)
def test_tokens(spent: Spent, limits: Limits, words: str) -> None:
    assert say_tokens(spent, limits) == words


@pytest.mark.parametrize(
    ("spent", "limits", "words"),
    [
        (Spent(), Limits(), ""),
        (Spent(unknown_costs=3), Limits(), ""),  # a control's calls
        (USED, Limits(), "$0.1200"),
        (USED, Limits(max_cost_usd=5.0), "$0.1200 of $5"),
        (Spent(paid=Paid(9, cost_usd=0.1), unknown_costs=2), Limits(), "$0.1000 + 2 calls of unknown price"),
        (Spent(paid=Paid(9), unknown_costs=1), Limits(max_cost_usd=0.5), "1 call of unknown price of $0.5"),
        (Spent(), Limits(max_cost_usd=0.5), "$0.0000 of $0.5"),
    ],
)
def test_money(spent: Spent, limits: Limits, words: str) -> None:
    assert say_cost(spent, limits) == words


def test_limits_of_a_batch() -> None:
    assert say_batch_limits(Limits()) == ""
    both = Limits(batch_max_tokens=10_000, batch_max_cost_usd=2.5)
    assert say_batch_limits(both) == "at most 10,000 tokens and $2.5 for the batch"


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 B"), (830, "830 B"), (14_000, "14 KiB"), (3 << 20, "3 MiB"), (1288490189, "1.2 GiB")]
)
def test_sizes(size: int, said: str) -> None:
    assert say_size(size) == said
