"""Reviews as models write them, and where one that cannot be read went wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.reply.misses import Miss
from agent.core.reply.review import Done, Judgement, Review, read_review
from tests.examples import examples

PLAIN = "JUDGEMENT: refuted\nREASON: f1 fell,\noutside the band.\nSUGGESTIONS:\n- stop\n- or try x\n  at once\n"
REVISION = 'REVISED IDEA:\n```json\n{"Experiment": "1. z"}\n```\n'
REVISED = PLAIN.replace("refuted", "revise") + REVISION


def miss(reply: str, **rest: bool) -> str:
    found = read_review(reply, **rest)
    assert isinstance(found, Miss), found
    return str(found)


def review(reply: str) -> Review:
    found = read_review(reply)
    assert isinstance(found, Review), found
    return found


@pytest.mark.parametrize(
    "reply",
    [
        PLAIN,
        "<think>JUDGEMENT: supported</think>\n" + PLAIN,
        "Here it is.\n\n" + PLAIN.replace("JUDGEMENT:", "**JUDGEMENT:**").replace("REASON:", "**Reason**:"),
        PLAIN.replace("- stop\n- or", "1. stop\n2) or").replace("JUDGEMENT", "## Judgment"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("JUDGEMENT: refuted", "JUDGEMENT:\n**Refuted.**"),
        PLAIN + "REVISED IDEA: none\n",
        PLAIN.replace("JUDGEMENT: ", "## JUDGEMENT\n\n").replace("REASON: ", "**REASON**\n"),
        PLAIN.replace("JUDGEMENT", "1. Judgement").replace("REASON", "2. Reason"),
        "```\n" + PLAIN + "```\n",
        PLAIN.replace("refuted", "refuted, not supported"),
        PLAIN.replace("refuted", "refuted — though another form might be supported"),
        PLAIN + REVISION,
    ],
    ids=[
        "plain",
        "reasoning",
        "bold",
        "numbers",
        "crlf",
        "own line",
        "no revision",
        "headings",
        "numbered",
        "fenced",
        "opposite",
        "remark",
        "a revision that the judgement does not ask for",
    ],
)
def test_a_review_is_read_in_the_forms_that_models_write(reply: str) -> None:
    found = review(reply)
    assert (found.judgement, found.reason) == (Judgement.REFUTED, "f1 fell, outside the band.")
    assert found.suggestions == ("stop", "or try x at once") and not found.changes


@pytest.mark.parametrize("word", list(Judgement))
def test_every_judgement_is_known(word: Judgement) -> None:
    assert review(PLAIN.replace("refuted", word)).judgement is word
    assert review(PLAIN.replace("refuted", "untestable")).judgement is Judgement.UNTESTABLE


def test_a_revision_holds_the_fields_that_change() -> None:
    assert review(REVISED.replace("revise\n", "revised\n") + "That is {all} of it.").changes == {"Experiment": "1. z"}
    assert review(REVISED.replace("1. z", "1. z\n2. y")).changes == {"Experiment": "1. z\n2. y"}
    assert review(REVISED).changes == {"Experiment": "1. z"} and review(REVISED).line == 8
    assert review(REVISED.replace("```json\n", "").replace("```\n", "")).changes == {"Experiment": "1. z"}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            "All is well.\n",
            "line 1 of your reply, 'All is well.': the reply ends here, and no line of it begins with JUDG",
        ),
        (
            "Hm.\nJUDGEMENT: maybe\n",
            "line 2 of your reply, 'JUDGEMENT: maybe': the judgement must be one of: supported",
        ),
        ("JUDGEMENT: supported | refuted\nREASON: x", "the judgement must be one of"),
        ("JUDGEMENT: not supported\nREASON: x", "the judgement must be one of"),
        (
            "JUDGEMENT: revise\nSUGGESTIONS:\n- x",
            "line 1 of your reply, 'JUDGEMENT: revise': the judgement stands without",
        ),
        (REVISED.replace('"1. z"', "1. z"), "line 10 of your reply, '{\"Experiment\": 1. z}': this is not JSON"),
        (
            REVISED.replace('{"Experiment": "1. z"}', "Do z."),
            "line 8 of your reply, 'REVISED IDEA:': under REVISED IDEA",
        ),
        (PLAIN.replace("refuted", "supported | refuted"), "the judgement must be one of"),
        (PLAIN.replace("refuted", "supported?"), "the judgement must be one of"),
        (PLAIN.replace("refuted", "**supported**, but not really"), "the judgement must be one of"),
        (PLAIN.replace("refuted", "refuted, or revise"), "the judgement must be one of"),
        (REVISED.replace("1. z", "1. ..."), "field Experiment is abbreviated"),
        ("", "the reply is empty"),
    ],
)
def test_what_cannot_be_read_is_quoted_at_the_line_that_went_wrong(reply: str, said: str) -> None:
    assert said in miss(reply)


def test_a_cut_review_is_told_so() -> None:
    assert miss(PLAIN, cut=True) == "your reply was cut at its length limit; send less at once"
    assert miss("half a wor", cut=True).startswith("your reply was cut")


@pytest.mark.parametrize(
    "reply", ["I am done", "**I am done.**\n", "The review stands.\n\nI am done\n", "I'm done. It stands."]
)
def test_a_reviewer_may_be_done(reply: str) -> None:
    assert read_review(reply) == Done()


def test_a_changed_review_counts_even_if_it_says_that_it_is_done() -> None:
    assert isinstance(read_review(PLAIN + "\nI am done\n"), Review)
    assert isinstance(read_review("I am done with the first part only"), Miss)


def test_a_long_review_is_bounded() -> None:
    found = review("JUDGEMENT: refuted\nREASON: " + "long " * 1000 + "\nSUGGESTIONS:\n" + "- more\n" * 50)
    assert len(found.reason) <= 900 and len(found.suggestions) == 5


@given(
    st.lists(st.sampled_from([*PLAIN.split("\n"), "```", "REVISED IDEA: {", "}", "I am done", "", "x"]), max_size=12)
)
@examples(60)
def test_any_reply_is_read(lines: list[str]) -> None:
    assert isinstance(read_review("\n".join(lines)), Review | Done | Miss)
