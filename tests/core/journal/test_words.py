"""A researcher's words: data, told once, shown in full once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.journal.action_results import Asked
from agent.core.journal.events import Told
from agent.core.journal.kinds import Purpose, Role
from agent.core.journal.words import (
    LINE_CHARS,
    MAX_CHARS,
    Word,
    add_word,
    clean,
    earlier_words,
    fresh_words,
    mark_shown,
)
from tests.core.journal_by_hand import Story

FIRST = Told("1", "Use a smaller step.\nAnd log it.")


def test_control_characters_go_and_lines_stay() -> None:
    assert clean(" a\x1b[31mb\x00\x7f\r\nc\rd\te\u202e\ud800 ") == "ab\nc\nd\te\ufffd"


@given(st.text(st.characters(), max_size=200))
def test_a_cleaned_text_is_bounded_storable_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned and len(cleaned) <= MAX_CHARS
    assert cleaned.encode().decode() == cleaned


def test_a_text_too_long_is_cut() -> None:
    assert len(clean("x" * (MAX_CHARS + 9))) == MAX_CHARS


def test_an_id_that_came_before_tells_nothing_new() -> None:
    words = add_word((), "1", "a")
    assert add_word(words, "1", "b") == words == (Word("1", "a"),)


def test_a_word_is_fresh_until_shown_then_one_line_in_its_own_run() -> None:
    words = add_word((), "1", "a\nb" + " c" * LINE_CHARS)
    assert len(fresh_words(words)) == 1 and earlier_words(words, 2) == ()
    shown = mark_shown(words, 2)
    assert fresh_words(shown) == () and earlier_words(shown, 3) == ()
    (line,) = earlier_words(shown, 2)
    assert line.startswith("a b c") and len(line) == LINE_CHARS and line.endswith("…")


def test_the_planner_alone_makes_a_word_shown() -> None:
    story = Story()
    story.hear(FIRST)
    story.hear(FIRST)
    assert fresh_words(story.state.words) == (FIRST.text,)
    story.tell(Asked(purpose=Purpose.PLAN, request="q", reply="r", role=Role.EDITOR))
    assert fresh_words(story.state.words) == (FIRST.text,)
    story.state = Story().state
    story.hear(FIRST)
    story.tell(Asked(purpose=Purpose.PLAN, request="q", reply="r"))
    assert story.state.words == (Word("1", FIRST.text, shown_in=1),)
