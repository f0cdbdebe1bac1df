"""A test of core that takes for ever fails, and does not hang."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

LIMIT_S = 60.0  # of the processor: a thousand times as long as a test takes


def _fail(number: int, frame: object) -> None:
    raise AssertionError(f"took more than {LIMIT_S:g} s of processor time")


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    """Patterns look for signals, too."""
    before = signal.signal(signal.SIGPROF, _fail)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)
