"""The queue of a model: no request is lost, none overtakes another, and all stay within the provider's limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from agent.core.journal.budget import Paid
from agent.core.model.faults import Fault, FaultKind
from agent.core.model.rules import ModelRules
from agent.core.model.tokens import CHARS_PER_TOKEN
from agent.edges.model.throttle import Held, Throttle, Ticket
from agent.edges.model.wire.headers import RateLimits
from tests.fakes import FakeClock

MODEL = "p/m"
LIMITED = ModelRules(tokens_per_minute=40_000)
FREE = ModelRules()
THOUSAND_TOKENS = int(1000 * CHARS_PER_TOKEN)  # as the first request of a model is estimated
HOUR_S = 3600.0


def admit(
    throttle: Throttle,
    clock: FakeClock,
    *,
    chars: int = THOUSAND_TOKENS,
    rules: ModelRules = FREE,
    patience_s: float = HOUR_S,
) -> AbstractContextManager[Ticket]:
    return throttle.admit(MODEL, rules, chars, clock.sleep, patience_s)


def ask(throttle: Throttle, clock: FakeClock, tokens: int, *, rules: ModelRules = FREE) -> float:
    """Send one request of that many tokens, and return how long it waited."""
    began = clock()
    with admit(throttle, clock, chars=int(CHARS_PER_TOKEN * tokens), rules=rules) as ticket:
        waited = clock() - began
        throttle.settle(MODEL, ticket, Paid(tokens, 0))
    return waited


def test_a_model_without_limits_waits_for_nothing() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    assert [ask(throttle, clock, 10_000) for _ in range(20)] == [0.0] * 20


def test_a_limit_of_the_settings_is_used_up_and_then_kept() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    began = clock()
    for _ in range(50):
        ask(throttle, clock, 4_000, rules=LIMITED)
    used, minutes = 50 * 4_000, (clock() - began) / 60
    assert used <= 40_000 * (1 + minutes) + 4_000
    assert used >= 0.95 * 40_000 * (1 + minutes)


def test_what_was_not_used_is_given_back() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    for _ in range(100):
        with admit(throttle, clock, chars=120_000, rules=LIMITED):
            pass
    assert clock() == FakeClock().now


def test_an_estimate_learns_from_what_was_used() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    for _ in range(20):
        with admit(throttle, clock, chars=8000) as ticket:
            throttle.settle(MODEL, ticket, Paid(4000, 100))
    with admit(throttle, clock, chars=8000) as ticket:
        assert 4000 <= ticket.tokens <= 4300


def test_a_request_larger_than_the_limit_goes_when_all_of_it_is_free() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    assert ask(throttle, clock, 100_000, rules=LIMITED) == 0.0
    assert ask(throttle, clock, 100_000, rules=LIMITED) >= 60.0


def test_requests_are_limited_apart_from_tokens() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    waits = [ask(throttle, clock, 1, rules=ModelRules(requests_per_minute=2)) for _ in range(4)]
    assert waits[:2] == [0.0, 0.0] and all(29 < wait < 31 for wait in waits[2:])


def test_the_limit_of_a_header_holds_for_all_and_settings_that_are_lower_stay() -> None:
    for rules, limit in ((FREE, 40_000), (ModelRules(tokens_per_minute=10_000), 10_000)):
        clock = FakeClock()
        throttle = Throttle(clock=clock)
        with admit(throttle, clock, rules=rules) as ticket:
            throttle.settle(MODEL, ticket, Paid(1000, 0))
            throttle.learn(MODEL, ticket, RateLimits(tokens=40_000, tokens_left=39_000))
        began = clock()
        for _ in range(2 * limit // 1000):
            ask(throttle, clock, 1000, rules=rules)
        assert 0.9 * 60 < clock() - began < 1.1 * 60


def test_what_others_use_of_the_limit_is_learnt_from_what_is_left() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    with admit(throttle, clock) as ticket:
        throttle.settle(MODEL, ticket, Paid(1000, 0))
        throttle.learn(MODEL, ticket, RateLimits(tokens=60_000, tokens_left=0))
    assert 9.5 < ask(throttle, clock, 10_000) < 11


def test_a_refusal_holds_everyone_and_tells_the_size() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    fault = Fault(FaultKind.RATE_LIMIT, "", wait_s=7.66, tokens_per_minute=60_000, tokens_used=60_000)
    with admit(throttle, clock, chars=40) as ticket:
        throttle.refuse(MODEL, ticket, fault, 7.66)
    began = clock()
    assert 7.6 < ask(throttle, clock, 1) < 9
    assert ask(throttle, clock, 20_000) + clock() - began > 15


def test_a_provider_that_tells_nothing_is_held_to_what_it_took() -> None:
    """A window's tokens at first, refilled since: so much did the bucket give before it refused."""
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    for _ in range(10):
        ask(throttle, clock, 4_000)
    with admit(throttle, clock, chars=16_000) as ticket:
        throttle.refuse(MODEL, ticket, Fault(FaultKind.RATE_LIMIT, ""), 1.0)
    began = clock()
    for _ in range(20):
        ask(throttle, clock, 4_000)
    assert 1.7 < (clock() - began) / 60 < 2.6


def test_a_wait_longer_than_patience_is_not_begun() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    with admit(throttle, clock) as ticket:
        throttle.refuse(MODEL, ticket, Fault(FaultKind.RATE_LIMIT, "", wait_s=86_400), 86_400)
    with pytest.raises(Held), admit(throttle, clock):
        pass
    with admit(throttle, clock, patience_s=100_000):
        assert clock() >= FakeClock().now + 86_400


def test_a_caller_whose_wait_is_ended_leaves_the_queue() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    ask(throttle, clock, 50_000, rules=LIMITED)

    class Stopped(Exception):
        pass

    def stop(seconds: float) -> None:
        raise Stopped

    with pytest.raises(Stopped), throttle.admit(MODEL, LIMITED, 100_000, stop, HOUR_S):
        pass
    assert ask(throttle, clock, 1, rules=LIMITED) > 0


def run_threads(count: int, act: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=act, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
        time.sleep(0.002)
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_threads_go_in_the_order_in_which_they_came() -> None:
    throttle = Throttle(window_s=1.0)
    rules = ModelRules(tokens_per_minute=10_000, concurrency=1)
    order: list[int] = []

    def act(number: int) -> None:
        with throttle.admit(MODEL, rules, 100, time.sleep, HOUR_S) as ticket:
            order.append(number)
            time.sleep(0.01)
            throttle.settle(MODEL, ticket, Paid(25, 0))

    run_threads(8, act)
    assert order == sorted(order)


def test_no_more_are_in_flight_than_allowed() -> None:
    throttle = Throttle()
    busy, most, lock = 0, 0, threading.Lock()

    def act(number: int) -> None:
        nonlocal busy, most
        with throttle.admit(MODEL, ModelRules(concurrency=2), 100, time.sleep, HOUR_S):
            with lock:
                busy += 1
                most = max(most, busy)
            time.sleep(0.005)
            with lock:
                busy -= 1

    run_threads(8, act)
    assert most == 2


def test_a_refused_request_leaves_no_room_behind() -> None:
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    with admit(throttle, clock, chars=int(10_000 * CHARS_PER_TOKEN), rules=LIMITED) as ticket:
        throttle.refuse(MODEL, ticket, Fault(FaultKind.RATE_LIMIT, ""), 0.0)
    assert 14 < ask(throttle, clock, 10_000, rules=LIMITED) < 17
