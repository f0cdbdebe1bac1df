"""The end of notes.txt is the model's own words: what the orchestrator wrote is left out."""

from __future__ import annotations

from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.action_results import Linted, Reviewed
from agent.core.prompt.facts import review_facts, run_facts
from agent.core.prompt.notes import append_facts, end_of_notes
from tests.core.journal_by_hand import Story

REVIEW = Reviewed(run=1, judgement="refuted", reason="f1 fell.", suggestions=("stop", "try x"))


def facts() -> str:
    story = Story()
    story.apply()
    story.tell(Linted())
    story.run_step({"score": 0.9, "loss": 0.1})
    return run_facts(story.state, TemplateSpec(name="t"), (), None, {"LR": 0.1})


def test_facts_and_reviews_are_left_out_and_own_words_stay_whatever_stands_around_them() -> None:
    notes = f"First words.\n\n{facts()}\nOwn words.\n- a point\n\n{review_facts(REVIEW, revised=True)}\nMore words.\n"
    assert end_of_notes(notes, 1000) == "First words.\n\n## Run 1\n\nOwn words.\n- a point\n\nMore words."
    assert end_of_notes(f"{facts()}\n{review_facts(REVIEW, revised=False)}", 1000) == ""


def test_the_end_is_of_whole_lines_and_bounded() -> None:
    assert end_of_notes("a" * 50 + "\nlast line\n", 20) == "last line"
    assert end_of_notes("", 20) == ""


def test_below_the_mark_of_a_section_all_are_own_words() -> None:
    mine = "- LR = 0.1\nVerdict: I doubt it.\n"
    notes = append_facts("First words.\n", facts())
    assert notes == f"First words.\n\n{facts()}[end of facts]\n"
    notes = append_facts(notes + mine, review_facts(REVIEW, revised=True)) + "More.\n"
    assert end_of_notes(notes, 1000) == f"First words.\n\n## Run 1\n{mine}\nMore."
    assert end_of_notes(append_facts("", facts()), 1000) == ""


def test_facts_of_earlier_versions_which_have_no_marks_are_left_out() -> None:
    run = (
        "## Run 1\n\nTag run/1, seed 1, attempt 1.\nResults are verified.\n\n- score = 0.9\n\nVerdict: better. 0.9\n\n"
    )
    run += "Settings: LR=0.1\nFailed before: AError: no\n\n"
    review = "## Review after run 1: revise\n\nf1 fell.\n\n- stop\n\nThe idea was revised: idea.json is version 2.\n\n"
    more = "## Run 2\n\nCommit 0123456789ab, seed 2.\n\n- score = 0.8\n\n## Run 3: given up\n\nFailed attempts: 3.\n"
    notes = f"First words.\n\n{run}Own words.\n- a point\n\n{review}More words.\n\n{more}"
    assert end_of_notes(notes, 1000) == "First words.\n\n## Run 1\n\nOwn words.\n- a point\n\nMore words."
    assert end_of_notes(append_facts(notes, facts()) + "\nEnd.\n", 1000).endswith("More words.\n\n## Run 1\n\nEnd.")
