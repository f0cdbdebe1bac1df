"""Processor time of a call, for tests that reading takes time linear in the length of a text."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(act: Callable[[], object]) -> float:
    """Seconds of the processor, which a busy machine does not add to."""
    begun = time.process_time()
    act()
    return time.process_time() - begun


def takes_at_most(limit_s: float, act: Callable[[], object]) -> bool:
    """Whether one of three calls does. Others may have had the processor's memory during the first."""
    return any(seconds(act) < limit_s for _ in range(3))
