"""How a supervisor is asked to stop, and woken, and how long it was frozen."""

from __future__ import annotations

import os
import signal
import time
from selectors import BaseSelector, SelectorKey
from types import FrameType

from agent.edges.system.processes import undo_odd_start

__all__ = ["StopSignal", "wait_awake"]

FROZEN_S = 5.0  # no load delays a process so long


class StopSignal:
    """SIGTERM asks to stop. It and the death of a child wake the selector. Hang-ups and Ctrl-C are ignored."""

    def __init__(self) -> None:
        undo_odd_start()
        self.received = False
        self.wake, writing = os.pipe()
        for descriptor in (self.wake, writing):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._receive)
        # Handlers and not SIG_IGN, which the command would inherit.
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: None)

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True


def wait_awake(selector: BaseSelector, timeout_s: float) -> tuple[list[tuple[SelectorKey, int]], float]:
    """What is ready, and the seconds for which this process could not run, as while its machine was paused."""
    due_s = time.monotonic() + timeout_s
    ready = selector.select(timeout_s)
    late_s = time.monotonic() - due_s
    return ready, late_s if late_s > FROZEN_S else 0.0
