from __future__ import annotations

from agent.core.edit.apply import apply_reply
from agent.core.edit.hints import find_nearest, not_found_hint, placeholder_hint, show_lines
from agent.core.edit.result import Block, Reason
from agent.core.edit.seen import reveal

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


def test_the_marker_of_an_excerpt_in_a_replacement_is_answered_with_the_lines_that_it_stood_for():
    for marker, shown in (
        ("    # ... 3 lines not shown (11-13) ...", (11, 12, 13)),
        ("# ... 1 line not shown (7) ...", (7,)),
    ):
        line, hint = placeholder_hint("x.py", FILE, [FILE[9]], marker)
        assert line == shown[0] and "stay as they are: give only those that change" in hint
        assert [int(row.split("|")[0]) for row in hint.split("\n")[1:]] == list(shown)
    _, hint = placeholder_hint("x.py", FILE, [FILE[9]], "# ... 3 lines not shown (900-902) ...")
    assert "write all lines out" in hint


def test_an_edit_that_left_a_marker_in_can_be_repaired_with_the_lines_then_shown():
    text = "".join(f"{line}\n" for line in FILE)
    seen = {"x.py": ((1, 10),)}
    marked = (
        "x.py\n<<<<<<< SEARCH\n{0}\n=======\n{0}\n# ... 190 lines not shown (11-200) ...\nend = 1\n>>>>>>> REPLACE\n"
    )
    refused = apply_reply({"x.py": text}, marked.format(FILE[9]), editable=["x.py"], shown=seen)
    told = refused.rejected[0].hint
    assert f"200 | {FILE[199]}" in told
    now = reveal(seen, told, {"x.py": text}, {})
    repair = f"x.py\n<<<<<<< SEARCH\n{FILE[199]}\n=======\n{FILE[199]}\nend = 1\n>>>>>>> REPLACE\n"
    assert apply_reply({"x.py": text}, repair, editable=["x.py"], shown=now).changed
