"""The tool that looks for slow patterns finds them."""

from __future__ import annotations

import re

import pytest

from tests.hostile.patterns import Pattern, find_slow


def is_slow(pattern: str, *, anchored: bool = False) -> bool:
    return find_slow(Pattern("a.py", 1, re.compile(pattern), anchored)) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        r"[\[(]\s*#?(?:\s*,\s*#?)*\s*[\])]",  # exponential for "( , , ,"
        r"(?:a+)+$",
        r"(?:ab|a|b)*c",
        r"\s*(.*?)\s*$",
        r"#.*\S.*:",
        r"^Tokens: ([\d.]+)(k?) sent\b.*?([\d.]+)(k?) received\.",
    ],
)
def test_slow_patterns_are_found_wherever_they_are_tried(pattern: str) -> None:
    assert is_slow(pattern, anchored=True)


@pytest.mark.parametrize("pattern", [r"\d+x", r"\s+$", r"<a[^>]*>"])
def test_a_repeat_is_slow_if_it_is_tried_from_each_place(pattern: str) -> None:
    assert is_slow(pattern) and not is_slow(pattern, anchored=True)


@pytest.mark.parametrize(
    "pattern", [r"[\[(][\s,#]*[\])]", r"\s+", r"\b(?:a|b)+c?", r"\[[^\[\]]*\]", r"x{0,40}y", r"a*b*c*"]
)
def test_patterns_that_take_linear_time_are_none(pattern: str) -> None:
    assert not is_slow(pattern, anchored=True)
