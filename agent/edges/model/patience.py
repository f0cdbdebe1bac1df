"""Waiting for a provider: how long one question may take, and the pauses between its requests."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.core.journal.budget import Paid
from agent.core.model.faults import Fault, FaultKind
from agent.edges.model.call import Answer

LONGEST_WAIT_S = 120.0
# Share of a wait that is added to it, so that callers who were told the same wait do not come back together.
SPREAD = 0.1
# How often the same short wait is believed.
TRUSTED_WAITS = 3
# A wait that is shorter is not worth a line, and a long one is told that often.
TOLD_WAIT_S = 5.0
TELL_EVERY_S = 600.0
# How long a model's fault of one kind is waited out if another model may be asked.
TURN_S = {FaultKind.RATE_LIMIT: 600.0, FaultKind.OUTAGE: 300.0, FaultKind.TIMEOUT: 0.0, FaultKind.GARBLED: 120.0}


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


@dataclass(slots=True)
class Effort:
    """The requests and waits of one question so far. Times are those of the clock, in seconds."""

    # When the question was asked.
    started: float
    # When its patience ends.
    deadline: float
    # Called with the payment so far before another request. Raises BudgetSpent.
    check_room: Callable[[Paid], None]
    # HTTP requests that were sent.
    requests: int = 0
    # All answers that were paid for, of use or not.
    answers: list[Answer] = field(default_factory=list)
    # By model, the reason why it will not answer.
    refusals: dict[str, str] = field(default_factory=dict)
    # How often a request was changed, by model and kind of fault.
    changed: Counter[tuple[str, FaultKind]] = field(default_factory=Counter)
    # Replies without text, by model.
    textless: Counter[str] = field(default_factory=Counter)
    # Answers of no use that were billed, by the provider's own count.
    wasted: int = 0
    # Requests that took all of their time, by model.
    timeouts: Counter[str] = field(default_factory=Counter)
    # Kind of the last fault; None before there was one.
    seen: FaultKind | None = None
    # Time of the first fault in an unbroken row of that kind.
    since: float = 0.0
    # Kind and words of the last fault.
    last: str = ""
    # The wait that the last fault named.
    asks_s: float = 0.0
    # When a wait was last told.
    told: float = float("-inf")

    @property
    def paid(self) -> Paid:
        """One unknown cost makes the sum unknown."""
        return sum((answer.paid for answer in self.answers), Paid(requests=self.requests))

    def turn_end(self, *, alone: bool, brief: FaultKind | None) -> float:
        """Time at which this model's turn ends, given the kind of fault that it meets.

        alone: there are no other models. Such a model has all the time, except for the kind `brief`.
        """
        if self.seen is None or (alone and self.seen is not brief):
            return self.deadline
        return min(self.deadline, self.since + TURN_S.get(self.seen, 0.0))

    def note(self, fault: Fault, now: float) -> None:
        if fault.kind is not self.seen:
            self.seen, self.since = fault.kind, now
        self.last, self.asks_s = f"{fault.kind}: {fault.text}", fault.wait_s or 0.0
