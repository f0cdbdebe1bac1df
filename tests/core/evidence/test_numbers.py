from __future__ import annotations

import pytest

from agent.core.evidence.numbers import ABSENT, finite_number, read_number, read_path


def test_read_path() -> None:
    data = {"a": [{"b": None}, 2], "0": 3}
    assert read_path(data, ("a", "0", "b")) is None
    assert read_path(data, ("a", "1")) == 2
    assert read_path(data, ("0",)) == 3
    assert read_path(data, ()) is data
    for path in (("a", "2"), ("a", "-1"), ("a", "x"), ("b",), ("a", "1", "c"), ("a", "٣"), ("a", "9" * 5000)):
        assert read_path(data, path) is ABSENT
    assert read_number({"a": True}, ("a",)) is None
    assert read_number({"a": 3}, ("a",)) == 3.0


@pytest.mark.parametrize("value", [1e308, -1.7e300, 10**150])
def test_numbers_whose_squares_overflow_are_none(value: float) -> None:
    """Seeds of such numbers have no mean: a loss that diverged is told as one."""
    assert "too large to compare" in str(finite_number(value))
    assert read_number({"a": value}, ("a",)) is None and read_number({"a": 1e99}, ("a",)) == 1e99
