"""Limits on tokens with a clock that is set."""

from __future__ import annotations

import pytest

from tests.fakes import FakeClock
from tests.provider.limit import Bucket, Window


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_bucket_is_full_at_first_and_refills_evenly(clock: FakeClock) -> None:
    bucket = Bucket(600, 60.0, clock)
    assert bucket.admit(600).admitted and not bucket.admit(1).admitted
    clock.sleep(10)
    assert not bucket.admit(101).admitted and bucket.admit(100).admitted
    clock.sleep(3600)
    assert not bucket.admit(601).admitted, "it never holds more than the limit"


def test_the_wait_that_a_bucket_names_is_enough_and_no_less_is(clock: FakeClock) -> None:
    bucket = Bucket(600, 60.0, clock)
    bucket.admit(500)
    standing = bucket.admit(200)
    assert not standing.admitted and standing.wait_s == pytest.approx(10.0)
    clock.sleep(9.9)
    assert not bucket.admit(200).admitted
    clock.sleep(0.2)
    assert bucket.admit(200).admitted


def test_a_reply_may_leave_a_bucket_in_debt(clock: FakeClock) -> None:
    bucket = Bucket(600, 60.0, clock)
    bucket.admit(600)
    assert bucket.charge(100).remaining == 0
    clock.sleep(10)
    assert not bucket.admit(1).admitted
    clock.sleep(0.2)
    assert bucket.admit(1).admitted
    assert bucket.spent == 701


def test_a_refused_request_costs_nothing(clock: FakeClock) -> None:
    for limit in (Bucket(600, 60.0, clock), Window(600, 60.0, clock)):
        limit.admit(400)
        for _ in range(10):
            assert not limit.admit(300).admitted
        assert limit.spent == 400 and limit.admit(200).admitted


def test_a_window_gives_back_all_at_once(clock: FakeClock) -> None:
    window = Window(600, 60.0, clock)
    window.admit(400)
    clock.sleep(30)
    window.admit(200)
    standing = window.admit(500)
    assert not standing.admitted and standing.wait_s == pytest.approx(60.0)
    assert window.admit(300).wait_s == pytest.approx(30.0)
    clock.sleep(30)
    assert window.admit(300).admitted and not window.admit(200).admitted
