"""Runs that are added to an idea that has ended, or is about to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.decide import ApplyReply, AskModel, AwaitStep, Finish, GiveUp, ReadReview, Restore, StartStep
from agent.core.journal.action_results import Applied, Asked, AskFailed, Closed, Linted, Opened, Refused
from agent.core.journal.approval import refuse_runs
from agent.core.journal.budget import Limits
from agent.core.journal.codec import from_json, to_json
from agent.core.journal.events import Ended, Resumed, Started
from agent.core.journal.kinds import Intent, Purpose, Stage, Step
from tests.core.journal_by_hand import WELL, Story, failure


def completed(runs: int = 2, **changes: object) -> Story:
    """An idea with that many completed runs whose figures are due."""
    story = Story(limits=Limits(max_runs=runs), **changes)  # type: ignore[arg-type]
    for number in range(runs):
        story.apply(code=f"k{number + 1}")
        story.finish_run({"score": 0.5 + number / 10})
    assert story.state.stage is Stage.PLOT
    return story


def plot(story: Story) -> str:
    story.ask()
    story.tell(Applied(intent=Intent.PLOT, commit=story.commit(), subject="Plot", code=story.state.code.tried))
    action = story.action
    assert isinstance(action, StartStep)
    story.tell(Opened(step=Step.PLOT, folder=action.folder))
    story.tell(Closed(step=Step.PLOT, folder=action.folder, exit=WELL))
    return action.folder


def end(story: Story) -> str:
    """The folder of the figures, once the idea has ended with notes."""
    folder = plot(story)
    assert isinstance(story.action, AskModel)
    story.tell(Asked(purpose=Purpose.NOTES, request="request", reply="the notes"))
    story.tell(Applied(intent=Intent.NOTES, commit=story.commit(), subject="Notes", code=story.state.code.tried))
    assert isinstance(story.action, Finish)
    story.hear(Ended(True, "2 runs completed", story.state.warnings))
    return folder


def add(story: Story, total: int) -> None:
    story.hear(Resumed(limits=replace(story.state.limits, max_runs=total), more_runs=True))


def test_an_ended_idea_goes_on_at_the_next_run_with_what_was_said_last() -> None:
    story = completed()
    first = end(story)
    rows, head = story.state.rows, story.state.code.head
    add(story, 3)
    state = story.state
    assert state.ended is None and state.rows == rows and (state.run.number, state.went_on_at) == (3, 3)
    assert (state.last_words, state.code.good, state.code.head) == ("the notes", head, head)
    assert story.action == AskModel(Purpose.NEXT)
    story.apply(code="k9")
    story.tell(Linted())
    assert story.run_step({"score": 0.9}).folder == "run_3.1"
    story.publish({"score": 0.9})
    second = end(story)
    assert [row.run for row in story.state.rows] == [1, 2, 3]
    assert first != second  # figures of both ends have folders of their own


def test_a_study_that_the_model_closed_goes_on_within_its_old_total() -> None:
    story = Story(limits=Limits(max_runs=9))
    story.apply(code="k1")
    story.finish_run({"score": 0.5})
    story.ask()
    story.tell(Applied(intent=Intent.FINISH, subject="Close", code="k1"))
    end(story)
    assert story.state.run.number == 2
    add(story, 4)
    assert (story.state.limits.max_runs, story.state.run.number) == (4, 2)
    story.apply(code="k2")
    story.tell(Linted())
    assert story.run_step().folder == "run_2.5"  # no folder of the figures or of run 2 has this number


def test_an_idea_that_failed_may_try_again() -> None:
    story = Story(limits=Limits(max_runs=5, attempts=1, give_ups=2))
    for _ in range(2):
        story.give_up_run()
    assert isinstance(story.action, GiveUp)
    story.hear(Ended(False, "2 run numbers in a row were given up"))
    add(story, 4)
    assert story.action == AskModel(Purpose.NEXT) and story.state.run.number == 3


def test_what_is_open_at_the_end_comes_first() -> None:
    story = completed()
    story.ask()
    story.tell(Applied(intent=Intent.PLOT, commit=story.commit(), subject="Plot", code="k2"))
    action = story.action
    assert isinstance(action, StartStep)
    story.tell(Opened(step=Step.PLOT, folder=action.folder))
    add(story, 3)
    assert story.action == AwaitStep(Step.PLOT, action.folder) and story.state.stage is Stage.PLOT
    story.tell(Closed(step=Step.PLOT, folder=action.folder, exit=WELL))
    assert story.action == AskModel(Purpose.NEXT) and story.state.run.number == 3

    story = completed()
    plot(story)
    story.tell(Asked(purpose=Purpose.NOTES, request="request", reply="a reply"))
    story.hear(Started("key", "ApplyReply", 2, 1, 0))  # its commit may be made already
    add(story, 3)
    assert story.action == ApplyReply("a reply")
    story.tell(Refused(summary="no edit", feedback="f"))
    assert story.action == AskModel(Purpose.NEXT) and not story.state.warnings


def test_a_budget_that_is_spent_at_the_closing_notes_leaves_room_for_more_runs() -> None:
    story = completed()
    story.tell(AskFailed(reason="the next call needs 9 tokens", remedy="--max-tokens 9"))
    story.hear(Resumed(limits=replace(story.state.limits, max_tokens=99)))  # tokens alone open nothing
    assert story.action == AskModel(Purpose.PLOT)
    add(story, 4)
    assert story.action == AskModel(Purpose.NEXT)


def test_the_last_run_is_reviewed_before_the_idea_goes_on() -> None:
    story = completed(1, reviewer_model="reviewer")
    assert story.state.reviewing
    add(story, 3)
    assert story.action == AskModel(Purpose.REVIEW)
    story.review()
    assert not isinstance(story.action, ReadReview) and story.action == AskModel(Purpose.NEXT)


def test_code_that_was_left_in_the_middle_is_restored_first() -> None:
    story = Story(limits=Limits(max_runs=9))
    story.apply(code="k1")
    story.finish_run({"score": 0.5})
    story.fail_attempt()
    story.ask()
    story.tell(Applied(intent=Intent.FINISH, subject="Close", code="k2"))
    add(story, 9)
    assert story.action == Restore(gives_up=False)


@pytest.mark.parametrize(("total", "problem"), [(1, "has 2 already"), (2, "name more than 2"), (3, ""), (9, "")])
def test_a_total_adds_runs_or_is_refused(total: int, problem: str) -> None:
    story = completed()
    assert bool(refuse_runs(story.state, 1)) and refuse_runs(story.state, 2) == ""  # it only has to end
    end(story)
    assert problem in refuse_runs(story.state, total) and bool(problem) == bool(refuse_runs(story.state, total))


def test_a_total_at_or_above_the_run_at_work_may_be_set() -> None:
    story = Story(limits=Limits(max_runs=9))
    story.apply(code="k1")
    story.finish_run({"score": 0.5})
    assert "it is at run 2" in refuse_runs(story.state, 1) and refuse_runs(story.state, 2) == ""


def test_a_template_that_fails_has_no_more_runs() -> None:
    story = Story(has_baseline=False)
    story.run_step(failed=failure())
    assert isinstance(story.action, GiveUp)
    story.hear(Ended(False, "the template's own experiment fails"))
    assert "the template's own code fails" in refuse_runs(story.state, 99)


def test_a_journal_without_added_runs_reads_and_writes_as_before() -> None:
    value = to_json(Resumed())
    assert "more_runs" not in value and from_json(value) == Resumed()
    added = Resumed(limits=Limits(max_runs=7), more_runs=True)
    assert from_json(to_json(added)) == added
