from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.text.plain import map_texts, plain, plain_line

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
PIECES = st.sampled_from(
    ["\x1b", "\x9b", "]", "[", "52;c;", "\x07", "\\", "m", "\r", "\n", "P", "\x9c", "\ud83d", "\ude00"]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("a\x1b]52;c;ZWNobw==\x07b\x1b]0;title\x1b\\c\x9d8;;x\x9cd", "abcd"),
        ("a\x1b]8;;http://x\x07link\x1b]8;;\x07b", "alinkb"),
        ("a\x1bP+q\x1b\\b\x1b_apc\x1b\\c\x1b^pm\x1b\\d", "abcd"),
        ("a\x1b]0;never closed\nb", "a\nb"),
        ("\x1b[2J\x1b[H\x1bc\x1b(0x", "x"),
        ("a\u202eb\u2066c\u2069\u200b\ufeff\U000e0041", "abc"),
        ("a\r\nb\rc\x08d", "a\nb c d"),
        ("a\x00\x85\u2028\x7fb", "ab"),
        ("\ud83d\ude00 \ud800", "\U0001f600 \ufffd"),
        ("a\tb\n é \U0001f600", "a\tb\n é \U0001f600"),
    ],
)
def test_what_a_terminal_would_obey_goes_and_text_stays(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(st.text(max_size=60) | st.lists(PIECES, max_size=20).map("".join))
def test_nothing_that_steers_is_left(text: str) -> None:
    assert not STEERING.search(plain(text)) and plain(plain(text)) == plain(text)
    assert "\n" not in plain_line(text) and len(plain_line(text, 9)) <= 9


def test_texts_are_changed_wherever_they_stand() -> None:
    assert map_texts({"a": ["b", 1, None, {"c": "d"}]}, str.upper) == {"A": ["B", 1, None, {"C": "D"}]}
