"""An idea that begins at the code of another workspace's run."""

from __future__ import annotations

from dataclasses import replace

from agent.core.decide import AskModel, StartStep
from agent.core.evidence.audit import named_commits
from agent.core.journal.codec import from_json, to_json
from agent.core.journal.events import Launched
from agent.core.journal.fold import begin
from agent.core.journal.kinds import Begun, Purpose
from agent.core.prompt.facts import begun_facts
from agent.core.prompt.notes import append_facts, end_of_notes
from tests.core.journal_by_hand import Story

BEGUN = Begun("momentum", "Momentum helps", 4, "Raise LR", {"score": 0.9}, source="s4", commit="b1", code="k4")


def story(**changes: object) -> Story:
    found = Story(**changes)  # type: ignore[arg-type]
    launched = replace(found.state.launched, begun=BEGUN)
    found.events, found.state = [launched], begin(launched)
    return found


def test_the_first_code_to_compare_with_is_that_of_the_other_run() -> None:
    found = story()
    code = found.state.code
    assert (code.head, code.good, code.good_digest, code.tried, code.clean) == ("b1", "b1", "k4", "k4", True)
    assert found.action == AskModel(Purpose.PLAN)
    assert [(c.sha, c.seq) for c in named_commits(found.events)] == [("c0", 0), ("b1", 0)]


def test_run_0_is_the_template_as_it_is() -> None:
    found = story(has_baseline=False)
    assert isinstance(found.action, StartStep) and found.action.commit == "c0"
    found.finish_run({"score": 0.4})
    assert found.state.baseline.values == {"score": 0.4} and found.state.code.good_digest == "k4"


def test_other_launches_are_written_as_before() -> None:
    assert "begun" not in to_json(Launched()) and from_json(to_json(Launched())).begun is None  # type: ignore[union-attr]
    assert from_json(to_json(Launched(begun=BEGUN))) == Launched(begun=BEGUN)


def test_its_section_of_the_notes_is_no_word_of_a_model() -> None:
    notes = append_facts("# Notes\n", begun_facts(BEGUN))
    assert "run 4 of momentum (Momentum helps): Raise LR" in notes and "- score = 0.9\n" in notes
    assert end_of_notes(notes + "My own words.\n", 999).endswith("My own words.")
    assert "score" not in end_of_notes(notes + "My own words.\n", 999)
