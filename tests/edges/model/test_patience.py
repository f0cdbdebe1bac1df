"""Waits between the requests of one question."""

from __future__ import annotations

import pytest

from agent.core.model.faults import Fault, FaultKind
from agent.edges.model.patience import LONGEST_WAIT_S, TRUSTED_WAITS, ProviderPatience

HALF = ProviderPatience(3600.0, sleep=lambda seconds: None, jitter=lambda: 0.5)


def limited(wait_s: float | None = None) -> Fault:
    return Fault(FaultKind.RATE_LIMIT, "", wait_s=wait_s)


def test_waits_without_a_hint_double_up_to_a_bound_and_end_with_the_time_left() -> None:
    assert [HALF.wait_s(limited(), attempt, 1e6) for attempt in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert HALF.wait_s(limited(), 50, 1e6) == LONGEST_WAIT_S / 2
    assert HALF.wait_s(limited(), 5, 3.0) == 3.0 and HALF.wait_s(limited(), 5, -1.0) == 0.0


def test_a_provider_that_repeats_a_short_wait_is_not_believed_for_ever() -> None:
    waits = [HALF.wait_s(limited(1.0), attempt, 1e6) for attempt in range(1, TRUSTED_WAITS + 3)]
    assert waits[:TRUSTED_WAITS] == pytest.approx([1.05] * TRUSTED_WAITS) and min(waits[TRUSTED_WAITS:]) >= 8.0
