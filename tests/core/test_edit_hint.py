from __future__ import annotations

from agent.core.edit_hint import find_nearest, not_found_hint, show_lines
from agent.core.edit_result import Block, Reason

FILE = [f"line_{i} = compute_value({i})" for i in range(200)]


def test_the_nearest_lines_are_those_that_share_most():
    near = find_nearest(FILE, ["line_50 = compute_value(50)", "line_51 = changed", "line_52 = compute_value(52)"])
    assert near is not None and (near.start, near.stop) == (50, 53) and 0.6 < near.score < 0.7


def test_lines_that_share_nothing_are_found_by_likeness():
    near = find_nearest(FILE, ["line_77 = compute_valu(77)"])
    assert near is not None and near.start == 77 and near.score == 0


def test_nothing_is_near_nothing():
    assert find_nearest(FILE, ["@@@@@@@@@@@@@@@@@@"]) is None
    assert find_nearest([], ["a"]) is None and find_nearest(FILE, ["", " "]) is None


def test_lines_are_numbered_and_long_runs_and_lines_cut():
    assert show_lines(["a", "b", "c"], 1, 2, context=1) == "1 | a\n2 | b\n3 | c"
    assert "not shown" in show_lines(FILE, 0, 200) and len(show_lines(FILE, 0, 200).splitlines()) == 81
    assert show_lines(["x" * 700], 0, 1).endswith("x [and 100 characters more]")


def test_a_hint_says_what_differs():
    block = Block("x.py", "line_9 = compute_value(9)\nline_10 = compute(10)\n", "pass\n", 1)
    line, hint = not_found_hint(block, FILE, Reason.NOT_FOUND, None)
    assert line == 10 and "11 | line_10 = compute_value(10)" in hint
    assert "SEARCH has: line_10 = compute(10)" in hint and "file has, line 11: line_10 = compute_value(10)" in hint


def test_a_hint_for_wrong_indentation_says_so():
    block = Block("x.py", "if a:\n  b = 1\nelse:\n c = 1\n", "", 1)
    _, hint = not_found_hint(block, ["if a:", "    b = 1", "else:", "    c = 1"], Reason.NOT_FOUND, None)
    assert "the indentation is not" in hint


def test_a_hint_without_anything_near_shows_the_start_of_the_file():
    assert not_found_hint(Block("x.py", "@@@@@@@@@@@@@\n", "", 1), FILE, Reason.NOT_FOUND, None)[1].endswith(
        "10 | line_9 = compute_value(9)"
    )
