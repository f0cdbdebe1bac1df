"""Lines that the model has seen, while edits move them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.core.edit.lines import Splice, splice, split_lines
from agent.core.edit.match import Match
from agent.core.edit.seen import (
    as_ranges,
    carry,
    hidden_in_match,
    hidden_in_text,
    lines_of,
    move,
    ranges_of,
    reveal,
)

NUMBERS = st.sets(st.integers(1, 40), max_size=20)
TEXT = "".join(f"line {n}\n" for n in range(1, 21))


@given(NUMBERS)
def test_ranges_are_the_lines_in_order_and_apart(numbers: set[int]) -> None:
    ranges = ranges_of(numbers)
    assert lines_of(ranges) == numbers
    assert all(a <= b for a, b in ranges) and all(b + 1 < c for (_, b), (c, _) in pairwise(ranges))
    assert as_ranges({"a": [list(pair) for pair in ranges]}) == {"a": ranges}


@st.composite
def matches(draw: st.DrawFn) -> Match:
    """Splices of a 20-line text, in order and apart."""
    cuts = sorted(draw(st.sets(st.integers(0, 20), min_size=2, max_size=6)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    news = [tuple(f"new {i} {k}" for k in range(draw(st.integers(0, 3)))) for i in range(len(pairs))]
    splices = tuple(Splice(a, b - draw(st.booleans()), new) for (a, b), new in zip(pairs, news, strict=True))
    return Match(cuts[0], cuts[-1], splices)


@given(matches(), st.sets(st.integers(1, 20)))
def test_shown_lines_move_with_an_edit_and_its_own_lines_are_known(match: Match, shown: set[int]) -> None:
    after = splice(split_lines(TEXT), match.splices).join()
    new = split_lines(after).text
    moved = lines_of(move(ranges_of(shown), 20, match))
    expected = {
        n for n, line in enumerate(new, start=1) if line.startswith("new") or int(line.removeprefix("line ")) in shown
    }
    assert moved == expected == lines_of(carry(ranges_of(shown), TEXT, after))


def test_an_edit_touches_the_lines_that_its_search_stands_on() -> None:
    lines = split_lines(TEXT + "\n").text
    match = Match(3, 6, (Splice(4, 5, ("x",)),))
    assert hidden_in_match(((1, 4),), lines, ["line 4", "line 5", "line 6"], match) == [5, 6]
    assert hidden_in_match(((4, 6),), lines, ["line 4", "line 5", "line 6"], match) == []
    assert hidden_in_match(((1, 20),), lines, ["line 20", ""], Match(19, 21, ())) == []


def test_with_lines_of_dots_only_what_changes_is_touched() -> None:
    lines = split_lines(TEXT).text
    dotted = ["line 2", "# ... 9 lines not shown (3-11) ...", "line 12"]
    assert hidden_in_match(((1, 2), (12, 20)), lines, dotted, Match(1, 12, (Splice(11, 12, ("x",)),))) == []
    assert hidden_in_match(((1, 2),), lines, dotted, Match(1, 12, (Splice(11, 12, ("x",)),))) == [12]
    assert hidden_in_match(((1, 2),), lines, dotted, Match(1, 12, (Splice(6, 6, ("x",)),))) == [6, 7]


def test_a_whole_text_loses_lines_that_it_does_not_repeat() -> None:
    assert hidden_in_text(((1, 10),), TEXT, TEXT.replace("line 15\n", "other\n").replace("line 3\n", "")) == [15]
    assert hidden_in_text(((1, 10),), TEXT, TEXT + "more\n") == []


def test_lines_quoted_with_their_numbers_are_shown_from_then_on() -> None:
    shown, files = {"a.py": ((1, 5),)}, {"a.py": TEXT}
    staged = {"a.py": "own\n" + TEXT}
    told = "They are these:\n 9 | line 8\n10 | line 9\n99 | line 18\n 3 | not there\n"
    assert reveal(shown, told, files, staged) == {"a.py": ((1, 5), (8, 9), (18, 18))}
    every = "\n".join(f"{n:>2} | line {n}" for n in range(1, 21))
    assert reveal(shown, every, files, {}) == {}
    assert reveal({}, told, files, staged) == {}
