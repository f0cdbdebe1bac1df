"""A tokens-per-minute limit that is real: tokens are spent, come back with time, and run out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Bucket", "Standing", "Window"]


@dataclass(frozen=True)
class Standing:
    """State of an account's limit after a request, in tokens and in seconds of the server's clock."""

    # Whether the request may be answered.
    admitted: bool
    limit: int
    # Tokens that are left.
    remaining: int
    # Time until the same request would be admitted.
    wait_s: float
    # Time until the limit is whole again.
    reset_s: float
    # Tokens of the prompt.
    requested: int


@dataclass
class Bucket:
    """A bucket of tokens, full at first and refilled evenly: `limit` tokens in `window_s`.

    A request is admitted if its prompt fits. Its reply is taken as well and may leave the bucket in debt.
    """

    limit: int
    window_s: float
    clock: Callable[[], float] = time.monotonic
    spent: int = 0
    _level: float = field(init=False)
    _at: float = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._level, self._at = float(self.limit), self.clock()

    def admit(self, tokens: int) -> Standing:
        with self._lock:
            self._refill()
            admitted = tokens <= self._level
            if admitted:
                self._take(tokens)
            short = 0.0 if admitted else tokens - self._level
            return self._standing(admitted, tokens, short)

    def charge(self, tokens: int) -> Standing:
        with self._lock:
            self._refill()
            self._take(tokens)
            return self._standing(True, tokens, 0.0)

    def _refill(self) -> None:
        now = self.clock()
        self._level = min(float(self.limit), self._level + (now - self._at) * self.limit / self.window_s)
        self._at = now

    def _take(self, tokens: int) -> None:
        self._level -= tokens
        self.spent += tokens

    def _standing(self, admitted: bool, tokens: int, short: float) -> Standing:
        per_token_s = self.window_s / self.limit
        reset_s = (self.limit - self._level) * per_token_s
        return Standing(admitted, self.limit, max(0, int(self._level)), short * per_token_s, reset_s, tokens)


@dataclass
class Window:
    """At most `limit` tokens in any `window_s`. Spent tokens come back all at once, a window later."""

    limit: int
    window_s: float
    clock: Callable[[], float] = time.monotonic
    spent: int = 0
    _taken: deque[tuple[float, int]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, tokens: int) -> Standing:
        with self._lock:
            used = self._used()
            admitted = used + tokens <= self.limit
            if admitted:
                self._take(tokens)
            return self._standing(admitted, tokens)

    def charge(self, tokens: int) -> Standing:
        with self._lock:
            self._take(tokens)
            return self._standing(True, tokens)

    def _used(self) -> int:
        start = self.clock() - self.window_s
        while self._taken and self._taken[0][0] <= start:
            self._taken.popleft()
        return sum(tokens for _, tokens in self._taken)

    def _take(self, tokens: int) -> None:
        self._taken.append((self.clock(), tokens))
        self.spent += tokens

    def _standing(self, admitted: bool, tokens: int) -> Standing:
        used, now = self._used(), self.clock()
        excess, wait_s = (0 if admitted else used + tokens - self.limit), 0.0
        for at, taken in self._taken:
            if excess <= 0:
                break
            excess, wait_s = excess - taken, at + self.window_s - now
        reset_s = self._taken[-1][0] + self.window_s - now if self._taken else 0.0
        return Standing(admitted, self.limit, max(0, self.limit - used), wait_s, reset_s, tokens)
