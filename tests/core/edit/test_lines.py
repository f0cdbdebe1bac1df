"""Runs of lines that two texts share, in small texts as difflib finds them and in large ones in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.edit import lines
from agent.core.edit.lines import common_runs, differing_runs

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d", ""]), max_size=12)


def turn(old: list[str], new: list[str]) -> list[str]:
    """The old lines with the differing runs of the new ones in place of their own."""
    made, done = [], 0
    for start, stop, first, last in differing_runs(old, new):
        made += [*old[done:start], *new[first:last]]
        done = stop
    return [*made, *old[done:]]


@given(TEXTS, TEXTS)
def test_the_differing_runs_turn_one_text_into_the_other(old: list[str], new: list[str]) -> None:
    assert turn(old, new) == new


@given(TEXTS, TEXTS)
def test_so_do_those_of_texts_that_are_too_large_for_difflib(old: list[str], new: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_MOST_STEPS", -1)
        assert turn(old, new) == new


def test_texts_with_a_frequent_line_share_their_ends_and_the_lines_that_stand_once() -> None:
    old = ["head", *["x", "y"] * 4000, "once", *["x"] * 4000, "tail"]
    new = ["head", *["y", "x"] * 4000, "once", *["y"] * 4000, "tail"]
    runs = common_runs(old, new)
    assert runs == [(0, 0, 1), (8001, 8001, 1), (12002, 12002, 1)]
    assert turn(old, new) == new
