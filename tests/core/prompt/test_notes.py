"""The end of notes.txt is the model's own words: what the orchestrator wrote is left out."""

from __future__ import annotations

from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.events import Linted, Reviewed
from agent.core.prompt.facts import review_facts, run_facts
from agent.core.prompt.notes import end_of_notes
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
