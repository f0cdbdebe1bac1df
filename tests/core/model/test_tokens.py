"""Counts of a server that left out the beginning of a prompt."""

from __future__ import annotations

import pytest

from agent.core.model.tokens import drops_front


@pytest.mark.parametrize(
    ("chars", "counted", "before", "drops"),
    [
        (21_000, 2050, None, True),
        (21_000, 5250, None, False),
        (21_000, 2050, (23_000, 2050), True),
        (12_000, 2050, (14_000, 2050), True),
        # Ollama's older window of 2,048
        (9_000, 1026, None, True),
        # of a prompt in the cache some servers count the new end alone
        (40_000, 12, (42_000, 12), False),
        (1_200, 300, (1_500, 300), False),
    ],
)
def test_a_prompt_that_was_cut_is_told_from_one_in_the_cache(
    chars: int, counted: int, before: tuple[int, int] | None, drops: bool
) -> None:
    assert drops_front(chars, counted, before) is drops
