"""Waiting for a provider: how long one question may take, and the pauses between its requests."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.core.model.faults import Fault

LONGEST_WAIT_S = 120.0
# Share of a wait that is added to it, so that callers who were told the same wait do not come back together.
SPREAD = 0.1
# How often the same short wait is believed.
TRUSTED_WAITS = 3
# A wait that is shorter is not worth a line, and a long one is told that often.
TOLD_WAIT_S = 5.0
TELL_EVERY_S = 600.0


def _never() -> None:
    """Work is never to end."""


def _say_nothing(line: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class ProviderPatience:
    """How a model waits, and for how long. Every model of an idea has the same."""

    # Seconds that one question may take, all its requests and fallbacks included.
    limit_s: float
    # Waits that many seconds. May raise StopRequested.
    sleep: Callable[[float], None]
    # Seconds.
    clock: Callable[[], float] = time.monotonic
    # A random number from 0 to 1.
    jitter: Callable[[], float] = random.random
    # Raises StopRequested if work must end. Asked while a request is under way.
    check_stop: Callable[[], None] = _never
    # Told now and then which provider is waited for, and why.
    on_wait: Callable[[str], None] = _say_nothing
    # Variables of the environment. If the host that one of them names does not resolve, waiting is of no use.
    environment: Mapping[str, str] = field(default_factory=dict)

    def wait_s(self, fault: Fault, attempt: int, left_s: float) -> float:
        """The wait that the provider asked for and a little more, else a random one under a bound that doubles.

        A provider may ask for the same short wait again and again. After TRUSTED_WAITS of them the longer of the two
        waits counts.
        """
        random_s = min(self.jitter() * min(LONGEST_WAIT_S, 2.0 ** min(attempt, 10)), max(0.0, left_s))
        if fault.wait_s is None:
            return random_s
        stated_s = fault.wait_s * (1 + SPREAD * self.jitter())
        return stated_s if attempt <= TRUSTED_WAITS else max(stated_s, random_s)
