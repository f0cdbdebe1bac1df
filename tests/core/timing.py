"""Processor time of a call, for tests that reading takes time linear in the length of a text."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median


def seconds(act: Callable[[], object]) -> float:
    """Seconds of the processor, which a busy machine does not add to."""
    begun = time.process_time()
    act()
    return time.process_time() - begun


def takes_at_most(limit_s: float, act: Callable[[], object]) -> bool:
    """Whether one of three calls does. Others may have had the processor's memory during the first."""
    return any(seconds(act) < limit_s for _ in range(3))


def is_linear(limit_s: float, prepare: Callable[[int], Callable[[], object]], size: int) -> bool:
    """Whether a text of that size is read within the limit or, on a busy machine, in thrice the time of its half.

    prepare: gives the call that reads a text of a size.
    """
    whole = prepare(size)
    if seconds(whole) < limit_s:
        return True
    halved, full = (median(seconds(act) for _ in range(3)) for act in (prepare(size // 2), whole))
    return full <= 3 * halved
