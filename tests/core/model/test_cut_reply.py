"""Parts of a reply that was cut, joined at a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.model.cut_reply import ask_for_rest, ends_in_loop, has_answer, join_rest, whole_lines

CODE = "Here it is.\nx.py\n```python\n<<<<<<< SEARCH\nalpha = 1\n=======\nalpha = 2\nbeta_of_the_model = 3\n"


def test_what_is_asked_shows_the_model_its_own_whole_lines() -> None:
    assistant, user = ask_for_rest(CODE + "gamm")
    assert (assistant.role, assistant.content) == ("assistant", CODE)
    assert user.role == "user" and "Go on" in user.content


@pytest.mark.parametrize(
    "rest",
    [
        "gamma = 4\n>>>>>>> REPLACE\n```\n",
        "```python\ngamma = 4\n>>>>>>> REPLACE\n```\n",
        "alpha = 2\nbeta_of_the_model = 3\ngamma = 4\n>>>>>>> REPLACE\n```\n",
        "```python\nbeta_of_the_model = 3\ngamma = 4\n>>>>>>> REPLACE\n```\n",
    ],
    ids=["as asked", "fence opened again", "lines repeated", "both"],
)
def test_the_rest_is_joined_once(rest: str) -> None:
    assert join_rest(CODE + "gamm", rest) == CODE + "gamma = 4\n>>>>>>> REPLACE\n```\n"


def test_a_short_line_that_comes_twice_is_no_repetition() -> None:
    assert join_rest("    )\n", "    )\n") == "    )\n    )\n"


def test_a_model_that_begins_again_is_taken_at_its_word() -> None:
    assert join_rest(CODE + "gamm", CODE + "gamma = 4\n") == CODE + "gamma = 4\n"


def test_a_fence_that_closes_is_kept() -> None:
    assert join_rest(CODE, "```\nDone.\n") == CODE + "```\nDone.\n"


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_is_lost_but_the_unfinished_line(text: str, rest: str) -> None:
    joined = join_rest(text, rest)
    assert joined.startswith(whole_lines(text)) and text.startswith(whole_lines(text))
    assert joined.endswith(rest[-1:])


def test_a_fence_is_the_one_that_every_reader_of_replies_sees() -> None:
    body = "def train(steps, learning_rate):\n"
    assert join_rest(f"~~~python\n{body}", "~~~python\n    pass\n~~~\n") == f"~~~python\n{body}    pass\n~~~\n"
    in_block = "<<<<<<< SEARCH\n```\nold line of the notes\n"
    assert join_rest(in_block, "```text\nmore\n") == f"{in_block}```text\nmore\n"


def test_a_rest_that_thinks_anew_takes_the_place_of_a_reply_cut_in_its_thoughts() -> None:
    begun = "<think>\nThe rate is too small.\nFirst, the gradient is\n"
    for rest in (
        "<think>\nAgain: 0.1 is stable.\n</think>\nPLAN:\n1. x\n",
        "0.2.\n</think>\nPLAN:\n1. x\n",
        "PLAN:\n1. x\n",
    ):
        assert join_rest(begun, rest) == rest
    assert join_rest("<think>\nHm.\n</think>\nPLAN:\n", "1. x\n") == "<think>\nHm.\n</think>\nPLAN:\n1. x\n"


def test_a_text_of_reasoning_alone_has_no_answer() -> None:
    assert not has_answer("<think>\nHm.\n</think>\n") and not has_answer("[THINK]Hm.") and not has_answer(" \n")
    assert has_answer("<think>\nHm.\n</think>\nYes.")


def test_a_rest_that_is_only_the_fence_opened_anew_adds_nothing() -> None:
    assert join_rest("~~~x\n", "~~~x") == "~~~x\n"


def test_a_rest_of_very_many_equal_lines_is_joined_in_linear_time() -> None:
    text = "return x\n" * 40_000
    assert join_rest(f"begin\n{text}", text) == f"begin\n{text}"
    assert join_rest("begin\n" + "\n" * 40_000, "\n" * 40_000 + "end\n") == "begin\n" + "\n" * 80_000 + "end\n"


# Loops

SAID = "The learning rate is too low, so that training stops before it converges. "


@pytest.mark.parametrize(
    "end",
    [
        SAID * 6,
        "Intro.\n" + SAID * 6 + SAID[:30],
        "".join(f"Step {number}: raise LR and run it again.\n" for number in range(8, 30)),
        "ha" * 300,
        "x = 1\n" + "\n" * 500 + SAID * 20,
    ],
)
def test_an_end_that_repeats_itself_is_seen(end: str) -> None:
    assert ends_in_loop(end)


@pytest.mark.parametrize(
    "end",
    [
        "",
        SAID * 3,
        SAID * 6 + "Then something else was said, which nobody had said before in this reply.",
        "\n".join(f"def {name}_{other}(x):\n    return {name}(x, {other})" for name in "abcdefg" for other in "uvwxyz"),
        "| a | b |\n|---|---|\n" * 3,
    ],
)
def test_an_end_that_goes_on_is_none(end: str) -> None:
    assert not ends_in_loop(end)
