"""A queue for each model, shared by all ideas of a process: callers wait their turn instead of being refused.

A model's tokens and requests per minute are two buckets that refill evenly. Their sizes come from settings, from the
headers of an answer or from the text of a refusal. Until one is known, only the number of requests in flight is
bounded, and that bound grows with each answer. If a provider refuses a request and names no size, its past answers give
a guess. Each further refusal lowers the guess, and time without one raises it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent.core.journal.budget import Paid
from agent.core.model.faults import Fault
from agent.core.model.rules import ModelRules
from agent.core.model.tokens import CHARS_PER_TOKEN
from agent.edges.model.wire.headers import RateLimits

POLL_S = 0.05
LONGEST_POLL_S = 1.0
MOST_IN_FLIGHT = 64
FIRST_IN_FLIGHT = 4
# Output tokens of a request before the model has answered once.
FIRST_TOKENS_OUT = 500.0
NEWS = 0.3  # weight of the newest answer in the mean of input and output
MARGIN = 0.99  # of a learnt limit: the provider's clock and ours drift apart
# A guess after another refusal, and how it grows with each window that went by since.
LOWER = 0.94
LOWER_SOON = 0.8  # where the last one was less than a window ago
RAISE = 0.01
LARGEST_RAISE = 0.1


class Held(Exception):
    """The provider asked to stay away for longer than the caller would wait: `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"held for {seconds:.0f} s")


@dataclass(slots=True)
class Bucket:
    """The amount that may be used now. `limit` flows in during each window. Without a limit there is no bound."""

    window_s: float
    limit: float | None = None
    level: float = 0.0
    stamp: float = 0.0
    guessed: bool = False

    def resize(self, limit: float, now: float) -> None:
        """Set a new limit. Tokens used under the old one, and those in flight, stay used."""
        self.refill(now)
        self.level += limit - (self.limit or 0.0)
        self.limit = limit

    def refill(self, now: float) -> None:
        if self.limit:
            self.level = min(self.limit, self.level + self.rate * (now - self.stamp))
        self.stamp = now

    @property
    def rate(self) -> float:
        return (self.limit or 0.0) / self.window_s

    def delay(self, amount: float, now: float) -> float:
        """Seconds until `amount` is there, or a full bucket if that is less."""
        if not self.limit:
            return 0.0
        self.refill(now)
        return max(0.0, (min(amount, self.limit) - self.level) / self.rate)


@dataclass(slots=True, eq=False)
class Ticket:
    """One request that waits or is in flight: its length, the estimate of its tokens, and its use."""

    chars: int
    tokens: float = 0.0
    entered: float = 0.0
    used: float | None = None


@dataclass(slots=True)
class _Lane:
    """The queue of one model."""

    # Tokens that may be used now.
    tokens: Bucket
    # Requests that may be sent now.
    requests: Bucket
    # Requests that wait, the first come first.
    queue: deque[Ticket] = field(default_factory=deque)
    # Requests that were sent and have no answer yet.
    in_flight: list[Ticket] = field(default_factory=list)
    # Most requests in flight while no limit is known.
    allowed: float = FIRST_IN_FLIGHT
    # The provider asked everyone to wait until then.
    held_until: float = float("-inf")
    # Mean over the answers so far, for the estimate of the next request.
    chars_per_token: float = CHARS_PER_TOKEN
    # Mean tokens of a reply, for the same estimate.
    tokens_out: float = FIRST_TOKENS_OUT
    # Time and tokens of each answer in the last window.
    recent: deque[tuple[float, float]] = field(default_factory=deque)
    # When the first request was sent.
    opened: float | None = None
    # When a refusal last lowered the guess.
    lowered: float = float("-inf")
    # When the guess was made.
    guessed_at: float = float("-inf")
    # How many windows' tokens the guess was made from.
    windows: float = 1.0

    def most_in_flight(self, rules: ModelRules) -> float:
        return min(rules.concurrency or MOST_IN_FLIGHT, MOST_IN_FLIGHT if self.tokens.limit else self.allowed)


class Throttle:
    """The queues of all models. Threads may share it. The provider's minute lasts `window_s` seconds of the clock."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, window_s: float = 60.0) -> None:
        self._clock = clock
        self._window_s = window_s
        self._lanes: dict[str, _Lane] = {}
        self._lock = threading.Lock()

    @contextmanager
    def admit(
        self, model: str, rules: ModelRules, chars: int, sleep: Callable[[float], None], patience_s: float
    ) -> Iterator[Ticket]:
        """Wait for this caller's turn, first come first served, and hold its place in flight.

        The estimate of the request is given back, unless `settle` or `keep` notes its use.

        Raises: Held if the provider's own wait is longer than `patience_s`, and the exception of `sleep`.
        """
        lane = self._lane(model, rules)
        ticket = Ticket(chars)
        with self._lock:
            lane.queue.append(ticket)
        give_up = self._clock() + patience_s
        try:
            while (delay := self._enter(lane, rules, ticket, give_up)) > 0:
                sleep(delay)
        except BaseException:
            with self._lock:
                if ticket in lane.queue:
                    lane.queue.remove(ticket)
            raise
        try:
            yield ticket
        finally:
            with self._lock:
                lane.in_flight.remove(ticket)
                lane.tokens.level += ticket.tokens
                if lane.tokens.limit:
                    lane.tokens.level -= ticket.used or 0.0

    def settle(self, model: str, ticket: Ticket, paid: Paid) -> None:
        """Note the use of a request that was answered. If the provider counted no tokens, the estimate is its use."""
        with self._lock:
            lane = self._lanes[model]
            ticket.used = float(paid.tokens_in + paid.tokens_out) or ticket.tokens
            lane.allowed += 1
            _note_use(lane, ticket, ticket.used, self._clock())
            if paid.tokens_in:
                seen = ticket.chars / paid.tokens_in
                lane.chars_per_token += NEWS * (seen - lane.chars_per_token)
                lane.tokens_out += NEWS * (paid.tokens_out - lane.tokens_out)

    def has_answered(self, model: str) -> bool:
        """Whether any request to a model was answered."""
        with self._lock:
            return model in self._lanes and self._lanes[model].allowed > FIRST_IN_FLIGHT

    def keep(self, ticket: Ticket) -> None:
        """Note that no answer came, and that the provider may have counted the request."""
        ticket.used = ticket.tokens

    def learn(self, model: str, ticket: Ticket, limits: RateLimits) -> None:
        """Take over the limits in the headers of an answer, which count other users of the key too."""
        with self._lock:
            lane, now = self._lanes[model], self._clock()
            others = [t for t in lane.in_flight if t is not ticket]
            for bucket, limit, left, used in (
                (lane.tokens, limits.tokens, limits.tokens_left, sum(t.tokens for t in others)),
                (lane.requests, limits.requests, limits.requests_left, len(others)),
            ):
                if limit:
                    _shrink(lane, bucket, limit * MARGIN, now)
                if left is not None and bucket.limit:
                    _bring_near(bucket, left, used, now - ticket.entered, now)

    def refuse(self, model: str, ticket: Ticket, fault: Fault, wait_s: float) -> None:
        """Note a refusal for the rate: everyone waits, and the bucket is as full as the provider said."""
        with self._lock:
            lane, now = self._lanes[model], self._clock()
            lane.held_until = max(lane.held_until, now + wait_s)
            needed, ticket.tokens = ticket.tokens, 0.0
            lane.tokens.level += needed  # given back first, since the level is set below
            if fault.tokens_per_minute:
                _shrink(lane, lane.tokens, fault.tokens_per_minute * MARGIN, now)
            if not lane.tokens.limit or lane.tokens.guessed:
                _guess(lane, needed, now)
            elif fault.tokens_used is not None and fault.tokens_per_minute:
                lane.tokens.refill(now)
                lane.tokens.level = min(lane.tokens.level, float(fault.tokens_per_minute - fault.tokens_used))
            else:
                # A wait is told until this very request fits.
                short = (fault.wait_s or needed / lane.tokens.rate) * lane.tokens.rate
                lane.tokens.refill(now)
                lane.tokens.level = min(lane.tokens.level, max(needed - short, -lane.tokens.limit))

    def _lane(self, model: str, rules: ModelRules) -> _Lane:
        with self._lock:
            lane = self._lanes.get(model)
            if lane is None:
                lane = self._lanes[model] = _Lane(Bucket(self._window_s), Bucket(self._window_s))
                now = self._clock()
                lane.tokens.stamp = lane.requests.stamp = now
                if rules.tokens_per_minute:
                    lane.tokens.resize(rules.tokens_per_minute, now)
                if rules.requests_per_minute:
                    lane.requests.resize(rules.requests_per_minute, now)
            return lane

    def _enter(self, lane: _Lane, rules: ModelRules, ticket: Ticket, give_up: float) -> float:
        """Seconds to wait before the next look, or 0 if the request may be sent."""
        with self._lock:
            now = self._clock()
            if lane.held_until > now:
                if lane.held_until > give_up:
                    raise Held(lane.held_until - now)
                return min(LONGEST_POLL_S, lane.held_until - now)
            if lane.queue[0] is not ticket or len(lane.in_flight) >= lane.most_in_flight(rules):
                return POLL_S
            ticket.tokens = ticket.chars / lane.chars_per_token + lane.tokens_out
            delay = max(lane.tokens.delay(ticket.tokens, now), lane.requests.delay(1.0, now))
            if delay > 0:
                return min(max(delay, 1e-3), POLL_S)
            lane.queue.popleft()
            lane.in_flight.append(ticket)
            ticket.entered = now
            lane.opened = now if lane.opened is None else lane.opened
            lane.tokens.level -= ticket.tokens
            lane.requests.level -= 1 if lane.requests.limit else 0
            return 0.0


def _bring_near(bucket: Bucket, left: int, others: float, age_s: float, now: float) -> None:
    """Correct the level by a header that was written at most `age_s` ago and names what is `left`.

    others: use by requests in flight beside this one, which the header may or may not count.
    """
    bucket.refill(now)
    highest = left + bucket.rate * age_s
    bucket.level = min(max(bucket.level, left - others), highest)


def _shrink(lane: _Lane, bucket: Bucket, limit: float, now: float) -> None:
    """Set a limit that the provider named, unless the settings have a lower one."""
    if bucket.limit is None or bucket.guessed or limit < bucket.limit:
        new = bucket.limit is None
        bucket.resize(limit, now)
        bucket.guessed = False
        if new and bucket is lane.tokens:  # tokens answered before the size was known are used too
            refilled = bucket.rate * (now - (now if lane.opened is None else lane.opened))
            bucket.level -= max(0.0, sum(tokens for _, tokens in lane.recent) - refilled)


def _note_use(lane: _Lane, ticket: Ticket, tokens: float, now: float) -> None:
    """Count an answer towards a guess, and raise a guess that no refusal lowered for a while.

    Requests in flight at the time of the guess had been accepted too, so they raise it by their own tokens.
    """
    window_s = lane.tokens.window_s
    lane.recent.append((now, tokens))
    while lane.recent[0][0] < now - window_s:
        lane.recent.popleft()
    if not lane.tokens.guessed or not lane.tokens.limit:
        return
    if ticket.entered <= lane.guessed_at:
        lane.tokens.limit += tokens / lane.windows
    else:
        windows = (now - lane.lowered) / window_s
        lane.tokens.limit += tokens * min(LARGEST_RAISE, RAISE * windows)


def _guess(lane: _Lane, needed: float, now: float) -> None:
    """Guess the size of the bucket after a refusal that named none.

    The provider's bucket held a window's tokens at first, and refilled since. Refusals that come together count once.
    """
    bucket, window_s = lane.tokens, lane.tokens.window_s
    if not bucket.limit and not lane.recent:
        return  # nothing was answered yet, so nothing tells a size
    if not bucket.limit:
        since = min(window_s, now - (now if lane.opened is None else lane.opened))
        lane.windows, lane.lowered = 1 + since / window_s, now
        bucket.resize(max(needed, sum(tokens for _, tokens in lane.recent) / lane.windows), now)
        bucket.guessed, lane.guessed_at = True, now
    elif now - lane.lowered > window_s / 4:
        bucket.refill(now)
        factor = LOWER if now - lane.lowered > window_s else LOWER_SOON
        bucket.limit = max(needed, bucket.limit * factor)
        lane.lowered = now
    bucket.level = min(bucket.level, 0.0)
