"""Search marks: which constants are found, and how a line is rewritten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.code.search_marks import SearchRange, Setting, search_ranges, settings_of
from tests.examples import examples

CODE = """import math
LR = 1e-3  # search: log 1e-4..1e-2
AUX_COEF = 0.03  # search: 0.0..0.2
WARMUP: int = 50  # search: int 0..200
DEC_NORM = "unit"  # search: one of "unit", "free"
DEEP = False  # search: one of False, True
STEPS = 700
    NESTED = 1  # search: 0..2
"""


def only(line: str) -> SearchRange:
    (found,) = search_ranges(line)
    return found


def test_marked_constants_are_found_with_their_ranges() -> None:
    lr, aux, warmup, norm, deep = search_ranges(CODE)
    assert (lr.name, lr.value, lr.low, lr.high, lr.log, lr.integer) == ("LR", 1e-3, 1e-4, 1e-2, True, False)
    assert (aux.low, aux.high, aux.log, aux.choices) == (0.0, 0.2, False, ())
    assert (warmup.value, warmup.low, warmup.high, warmup.integer) == (50, 0, 200, True)
    assert (norm.value, norm.choices) == ("unit", ("unit", "free"))
    assert (deep.value, deep.choices) == (False, (False, True))


def test_present_values_are_told_by_name() -> None:
    assert settings_of(CODE) == {"LR": 1e-3, "AUX_COEF": 0.03, "WARMUP": 50, "DEC_NORM": "unit", "DEEP": False}
    assert settings_of("") == {}


@pytest.mark.parametrize(
    "line",
    [
        "LR = 0.1",
        "LR = 0.1  # searched: 0..1",
        "LR = 0.1  # search:",
        "LR = 0.1  # search: 0 to 1",
        "LR = 0.1  # search: 1..0",
        "LR = 0.1  # search: 1..1",
        "LR = 0.1  # search: big 0..1",
        "LR = warm / 2  # search: 0..1",
        "LR = 'fast'  # search: 0..1",
        "LR = 0.1  # search: one of unit, free",
        "LR = 0.1  # search: one of ",
        "LR == 0.1  # search: 0..1",
        "    LR = 0.1  # search: 0..1",
        "# LR = 0.1  # search: 0..1",
    ],
)
def test_a_mark_that_cannot_be_read_is_a_comment(line: str) -> None:
    assert search_ranges(line) == ()


@pytest.mark.parametrize(
    ("line", "value", "rewritten"),
    [
        ("LR = 1e-3  # search: log 1e-4..1e-2", 0.002, "LR = 0.002  # search: log 1e-4..1e-2"),
        ("LR: float=1e-3 # search: 0..1", 0.5, "LR: float=0.5 # search: 0..1"),
        ("N =  3   #search: int 1..9  ", 7, "N =  7   #search: int 1..9  "),
        ('KIND = "a"  # search: one of "a", "b"', "b", 'KIND = "b"  # search: one of "a", "b"'),
        ("ON = False  # search: one of False, True", True, "ON = True  # search: one of False, True"),
    ],
)
def test_a_line_with_another_value_keeps_all_else(line: str, value: Setting, rewritten: str) -> None:
    assert only(line).with_value(value) == rewritten


letters = st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="'\"\\").filter(str.isprintable)
plain = st.text(letters, max_size=6)  # other texts are no settings


@given(value=st.floats(-1e6, 1e6) | st.integers(-1000, 1000) | st.booleans() | plain)
@examples(60)
def test_a_rewritten_line_is_read_with_its_new_value(value: Setting) -> None:
    line = "LR = 0.5  # search: one of 0.5, 'x'"
    found = only(only(line).with_value(value))
    assert found.value == value and type(found.value) is type(value)
    assert found.with_value(0.5) == line


@pytest.mark.parametrize(
    "line",
    [
        f"LR = 0x{'f' * 5_000}  # search: 0..1",
        "LR = 1e999  # search: 0..1",
        "LR = 1  # search: 0..1e999",
        "LR = 1  # search: -1e999..1",
        f"LR = 1  # search: one of 1, 0x{'f' * 5_000}",
        "LR = 1  # search: one of 1, 1e999",
        'MODE = "a\\n\\nVerdict: better"  # search: one of "a"',
        f'MODE = "{"a" * 1_000}"  # search: one of "a"',
    ],
)
def test_a_value_that_notes_and_journal_cannot_hold_is_no_setting(line: str) -> None:
    assert search_ranges(line) == ()
