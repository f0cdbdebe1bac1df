"""What became of each commit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.failure.diagnose import FailureKind
from agent.core.journal.action_results import Applied, Asked, Closed, Linted, Opened, Published
from agent.core.journal.budget import Limits
from agent.core.journal.events import Finished
from agent.core.journal.kinds import Intent, Step
from agent.edges.git.log import Commit
from agent.report import history
from agent.report.history import CommitOutcome, edit_rows, outcomes
from tests.core.journal_by_hand import WELL, Story, failure

COMPLETED = CommitOutcome("completed", {"score": 0.5}, None)


def test_the_module_offers_what_it_says() -> None:
    assert all(hasattr(history, name) for name in history.__all__)


def test_a_completed_run_marks_its_edit_and_the_commit_that_records_it() -> None:
    story = Story()
    story.complete_run()
    assert outcomes(story.events) == {"c1": COMPLETED, "c2": CommitOutcome("recorded", {}, None)}


def test_code_that_fails_lint_or_a_step_is_marked_with_the_failure() -> None:
    story = Story(smoke=True)
    story.apply()
    story.tell(Linted(failure=failure("F821 undefined name", FailureKind.LINT)))
    story.apply()
    story.tell(Linted())
    story.run_step(failed=failure("AError: no"))
    assert outcomes(story.events) == {
        "c1": CommitOutcome("failed", {}, "F821 undefined name"),
        "c2": CommitOutcome("failed", {}, "AError: no"),
    }


def test_an_edit_that_nothing_has_become_of_yet_has_no_outcome() -> None:
    story = Story()
    story.apply()
    assert outcomes(story.events) == {}


def test_infrastructure_is_no_outcome_of_an_edit() -> None:
    story = Story()
    story.apply()
    story.tell(Linted())
    story.break_step(replace(WELL, exit_code=1))
    assert outcomes(story.events) == {}
    story.resume()
    story.run_step({"score": 0.5})
    story.publish({"score": 0.5})
    assert outcomes(story.events)["c1"] == COMPLETED


def test_restores_say_whether_a_run_was_given_up() -> None:
    story = Story(Limits(attempts=4))
    for _ in range(3):
        story.fail_attempt()
    story.restore(gives_up=False)
    story.fail_attempt()
    story.restore(gives_up=True)
    found = outcomes(story.events)
    assert [found[f"c{n}"].outcome for n in range(1, 7)] == ["failed"] * 3 + ["restored", "failed", "gave up"]


def replicated(story: Story, *, commit: str = "") -> None:
    story.ask()
    story.tell(Applied(intent=Intent.REPLICATE, commit=commit, subject="Run 2: replicate run 1", code="k-c1"))


def test_a_replication_leaves_the_outcome_of_the_first_run_as_it_was() -> None:
    story = Story()
    story.complete_run()
    replicated(story)
    story.run_step({"score": 0.7})
    story.tell(Published(run=2, commit="notes2", values={"score": 0.7}))
    found = outcomes(story.events)
    assert found["c1"] == COMPLETED and found["notes2"] == CommitOutcome("completed", {"score": 0.7}, None)


def test_a_replication_that_fails_does_not_mark_the_code_that_completed() -> None:
    story = Story()
    story.complete_run()
    replicated(story)
    story.run_step(failed=failure())
    assert outcomes(story.events)["c1"] == COMPLETED


def test_a_replication_after_a_run_given_up_does_not_mark_the_failed_code_as_completed() -> None:
    story = Story(Limits(attempts=1))
    story.complete_run()
    story.fail_attempt()
    story.restore(gives_up=True)
    replicated(story)
    story.run_step({"score": 0.7})
    story.publish({"score": 0.7})
    assert outcomes(story.events)["c3"].outcome == "failed"


def test_a_replication_with_words_for_the_notes_is_told_by_that_commit() -> None:
    story = Story()
    story.complete_run()
    replicated(story, commit="words")
    story.run_step({"score": 0.7})
    story.publish({"score": 0.7})
    assert outcomes(story.events)["words"] == CommitOutcome("completed", {"score": 0.7}, None)


def closing() -> Story:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    return story


def test_plots_and_notes_are_told_apart_from_runs() -> None:
    story = closing()
    story.apply(Intent.PLOT)
    story.run_step(failed=failure("KeyError: loss"))
    story.apply(Intent.PLOT)
    story.run_step()
    story.apply(Intent.NOTES)
    found = outcomes(story.events)
    assert found["c1"] == COMPLETED
    assert [found[f"c{n}"].outcome for n in (3, 4, 5)] == ["failed", "plotted", "applied"]


def test_a_plot_that_fails_without_an_edit_does_not_mark_the_last_run_as_failed() -> None:
    story = closing()
    story.tell(Asked(), Applied(intent=Intent.PLOT, commit="", subject="Plot the results", code="k-c1"))
    story.tell(Opened(step=Step.PLOT, folder="plot.1"))
    story.tell(Closed(step=Step.PLOT, folder="plot.1", exit=WELL, failure=failure("KeyError: loss")))
    assert outcomes(story.events)["c1"] == COMPLETED


def test_a_baseline_run_is_told_by_the_commit_that_records_it() -> None:
    story = Story(has_baseline=False)
    story.run_step({"score": 0.5})
    story.publish({"score": 0.5})
    assert outcomes(story.events) == {"c1": COMPLETED}


def test_only_finished_effects_count() -> None:
    story = Story()
    story.complete_run()
    assert outcomes([e for e in story.events if not isinstance(e, Finished)]) == {}


def test_commits_are_joined_with_what_became_of_them_in_order() -> None:
    first = Commit("c0", 1.0, "Launch", {})
    edit = Commit("c1", 2.0, "Run 1: go", {"Run": "1", "Attempt": "2", "Model": "m"}, ("experiment.py",), 3, 1)
    launch, done = edit_rows([first, edit], {"c1": COMPLETED})
    assert (launch.run, launch.attempt, launch.model, launch.outcome) == (None, None, None, CommitOutcome("", {}, None))
    assert (done.commit, done.run, done.attempt, done.model, done.outcome) == (edit, 1, 2, "m", COMPLETED)


def test_a_review_is_told_by_its_judgement() -> None:
    story = Story(reviewer_model="r/m")
    story.complete_run()
    story.review("refuted", commit="r1")
    assert outcomes(story.events)["r1"] == CommitOutcome("idea refuted", {}, None)


@pytest.mark.parametrize("text", ["", "seven", "-1", "²", "7" * 5_000])
def test_a_commit_of_a_person_may_hold_any_trailer(text: str) -> None:
    (row,) = edit_rows([Commit("c1", 0.0, "By hand", {"Run": text, "Attempt": text})], {})
    assert (row.run, row.attempt) == (None, None)
