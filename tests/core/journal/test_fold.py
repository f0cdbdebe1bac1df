"""The fold: what each event leaves behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.decide import AskModel, Finish, Lint, StartStep
from agent.core.journal.action_results import (
    Applied,
    Asked,
    AskFailed,
    Closed,
    Linted,
    Opened,
    Published,
    Refused,
    Restored,
)
from agent.core.journal.budget import Limits
from agent.core.journal.events import Finished, Launched, Paused, Resumed, Started
from agent.core.journal.fold import advance, begin, fold
from agent.core.journal.kinds import Intent, Measured, PauseKind, PlanItem, Purpose, Stage, Step
from agent.core.journal.state import say_trust
from tests.core.journal_by_hand import PLAN, WELL, Story, failure

LAUNCHED = Launched(commit="c0", code="k0", has_baseline=True)


def told() -> Story:
    """A story with most of what can happen in it."""
    story = Story(Limits(max_runs=3), True, True, False)
    story.break_step(None)
    story.run_step()
    story.run_step({"loss": 1.0})
    story.run_step({"score": 0.3})
    story.publish({"loss": 1.0, "score": 0.3})
    story.tell(AskFailed(reason="down"))
    story.resume()
    story.complete_run(0.5, plan=PLAN, item=1)
    story.refuse(staged="blob")
    story.complete_run(0.6, item=2)
    story.complete_run(0.7, intent=Intent.REPLICATE, item=3)
    story.apply(Intent.PLOT)
    story.run_step(failed=failure("KeyError: loss"))
    story.apply(Intent.PLOT)
    story.run_step()
    story.apply(Intent.NOTES)
    return story


def test_folding_a_journal_is_the_same_in_one_go_and_event_by_event() -> None:
    story = told()
    state = begin(LAUNCHED)
    for number, event in enumerate(story.events):
        state = advance(state, event) if number else fold([event])
        if number % 7 == 0:
            assert state == fold(story.events[: number + 1])
    assert state == fold(story.events) == story.state


def test_a_journal_begins_with_its_launch_and_has_only_one() -> None:
    with pytest.raises(AssertionError, match="begins with its launch"):
        fold([Resumed()])
    with pytest.raises(ValueError, match="launched twice"):
        fold([LAUNCHED, LAUNCHED])


def test_a_launch_with_a_baseline_starts_at_run_one_and_without_at_run_zero() -> None:
    state = begin(LAUNCHED)
    assert (state.stage, state.run.number, state.attempt.candidate, state.code.clean) == (
        Stage.EXPERIMENTS,
        1,
        None,
        True,
    )
    assert (state.code.head, state.code.good, state.code.good_digest, state.code.tried) == ("c0", "c0", "k0", "k0")
    state = begin(replace(LAUNCHED, has_baseline=False))
    assert (state.stage, state.run.number) == (Stage.BASELINE, 0)
    assert state.attempt.candidate and state.attempt.candidate.commit == "c0" and state.attempt.candidate.linted


def test_an_effect_is_pending_until_it_finishes() -> None:
    started = Started("key", "AskModel", 1, 1, 0)
    state = advance(begin(LAUNCHED), started)
    assert state.pending == started and state.steps == 0
    state = advance(state, Finished("key", AskFailed(reason="down")))
    assert state.pending is None and state.steps == 1


def test_calls_tokens_and_seconds_add_up_and_an_unknown_price_is_counted_not_added() -> None:
    story = Story()
    story.tell(Asked(model="m", tokens_in=100, tokens_out=10, cost_usd=0.5, seconds=2.0))
    story.tell(Refused(summary="no block"))
    story.tell(Asked(model="m", tokens_in=30, tokens_out=3, cost_usd=None, seconds=1.0))
    spent = story.state.spent
    assert (spent.calls, spent.paid.tokens_in, spent.paid.tokens_out) == (2, 130, 13)
    assert (spent.cost_usd, spent.unknown_costs, spent.model_s) == (0.5, 1, 3.0)


def test_a_call_repeated_after_a_crash_has_one_call_of_unknown_cost() -> None:
    story = Story()
    story.tell(Asked(model="m", cost_usd=0.5, repeated=True))
    assert story.state.spent.unknown_costs == 1 and story.state.spent.cost_usd == 0.5


def test_a_reply_joins_the_conversation_only_when_it_arrived() -> None:
    story = Story()
    story.tell(AskFailed(reason="down"))
    assert story.state.reply is None and story.state.attempt.conversation.reply == ""
    story.resume()
    story.tell(Asked(purpose=Purpose.PLAN, request="q1", reply="r1"))
    assert story.state.reply == "r1"
    assert (story.state.attempt.conversation.request, story.state.attempt.conversation.reply) == ("q1", "r1")


def test_a_refused_reply_grows_the_conversation_and_keeps_its_good_blocks() -> None:
    story = Story()
    story.ask()
    story.tell(Refused(summary="one block failed", feedback="blob1", staged="blob2", plan=PLAN))
    talk = story.state.attempt.conversation
    assert (talk.refusals, talk.summary, talk.feedback, talk.staged) == (1, "one block failed", "blob1", "blob2")
    assert story.state.plan == PLAN and story.state.reply is None


def test_a_new_attempt_has_a_new_conversation() -> None:
    story = Story()
    story.refuse(staged="blob")
    story.fail_attempt()
    assert story.state.attempt.conversation == begin(LAUNCHED).attempt.conversation


def test_an_edit_moves_the_head_and_is_the_code_tried_last() -> None:
    story = Story()
    commit = story.apply(code="k1")
    state = story.state
    assert (state.code.head, state.code.tried, state.code.clean, state.code.good, state.code.good_digest) == (
        commit,
        "k1",
        False,
        "c0",
        "k0",
    )


def test_an_edit_that_only_closes_leaves_the_code_tried_as_it_was() -> None:
    story = Story()
    story.complete_run(code="k1")
    story.apply(Intent.FINISH)
    assert story.state.code.tried == "k1" and story.state.stage is Stage.PLOT


def test_a_completed_run_makes_its_code_the_good_code() -> None:
    story = Story()
    story.complete_run(0.7, code="k1")
    state = story.state
    assert (state.code.good, state.code.good_digest, state.code.clean) == (state.code.head, "k1", True)
    row = state.rows[0]
    assert (row.run, row.completed, row.attempts, row.values) == (1, True, 1, {"score": 0.7})
    assert row.commit == "c1" and row.subject == "Run 1: edit c1"


def test_a_replication_after_a_restore_makes_the_code_that_it_ran_the_good_code() -> None:
    story = Story()
    story.complete_run(code="good")
    story.give_up_run()
    assert story.state.code.tried not in ("good", story.state.code.good_digest)
    story.complete_run(intent=Intent.REPLICATE)
    assert story.state.code.good_digest == story.state.code.tried == "good"


def test_a_replication_is_not_linted_again() -> None:
    story = Story()
    story.complete_run()
    story.apply(Intent.REPLICATE)
    assert isinstance(story.action, StartStep)


def test_a_row_tells_the_failures_before_success_and_the_first_edits_purpose() -> None:
    story = Story()
    story.fail_attempt(failure("AError: no"))
    story.complete_run()
    row = story.state.rows[0]
    assert (row.attempts, row.failures, row.subject) == (2, ("AError: no",), "Run 1: edit c1")


def test_a_row_counts_the_seconds_of_every_step_of_its_last_attempt() -> None:
    story = Story(smoke=True, evaluates=True)
    story.complete_run()
    assert story.state.rows[0].seconds == 6.0 and story.state.spent.step_s == 6.0


def test_values_of_run_and_evaluation_are_joined() -> None:
    story = Story(evaluates=True)
    story.apply()
    story.tell(Linted())
    story.run_step({"loss": 0.1})
    story.run_step({"score": 0.9})
    assert story.state.attempt.candidate and story.state.attempt.candidate.measured.values == {
        "loss": 0.1,
        "score": 0.9,
    }


def test_a_runs_own_word_that_it_is_self_reported_comes_into_its_row_and_ends_with_the_run() -> None:
    story = Story(evaluates=True, verified=True)
    story.apply()
    story.tell(Linted())
    story.run_step({"loss": 0.1})
    action = story.action
    assert isinstance(action, StartStep)
    opened = Opened(step=action.step, folder=action.folder)
    story.tell(opened, Closed(step=action.step, folder=action.folder, exit=WELL, self_reported="no encode"))
    assert story.state.attempt.candidate and story.state.attempt.candidate.measured.self_reported == "no encode"
    commit = story.commit()
    story.tell(
        Published(run=1, tag="run/1", commit=commit, self_reported=story.state.attempt.candidate.measured.self_reported)
    )
    assert say_trust(story.state.launched, story.state.rows[0].measured) == "self-reported: no encode"
    story.complete_run()
    assert (
        story.state.rows[1].measured.self_reported == ""
        and say_trust(story.state.launched, Measured({}, "")) == "verified"
    )


def close(story: Story, sandbox: str) -> None:
    """The due step is started and ends well, held by a sandbox."""
    action = story.action
    assert isinstance(action, StartStep)
    held = replace(WELL, sandbox=sandbox)
    story.tell(
        Opened(step=action.step, folder=action.folder), Closed(step=action.step, folder=action.folder, exit=held)
    )


@pytest.mark.parametrize(
    ("first", "second", "weaker"),
    [
        ("bwrap", "bwrap", "bwrap"),
        ("bwrap", "landlock", "landlock"),
        ("off", "bwrap", "off"),
        ("bwrap", "off", "off"),
        ("", "bwrap", "bwrap"),
    ],
)
def test_a_run_is_as_well_held_as_the_worst_held_of_its_steps(first: str, second: str, weaker: str) -> None:
    story = Story(evaluates=True, verified=True)
    story.apply()
    story.tell(Linted())
    close(story, first)
    assert story.state.attempt.candidate and story.state.attempt.candidate.measured.sandbox == first
    close(story, second)
    assert story.state.attempt.candidate.measured.sandbox == weaker


def test_results_of_a_run_that_nothing_held_say_so() -> None:
    verified = Story(verified=True).state.launched
    assert say_trust(verified, Measured({}, "", "off")) == "verified, without a sandbox"
    assert say_trust(verified, Measured({}, "no encode", "off")) == "self-reported: no encode, without a sandbox"
    assert say_trust(verified, Measured({}, "", "bwrap")) == say_trust(verified, Measured({}, "", "")) == "verified"


def test_another_sandbox_counts_from_a_resume_on() -> None:
    story = Story()
    assert story.state.launched.sandbox == "auto"
    story.hear(Resumed(sandbox="off"))
    assert story.state.launched.sandbox == "off"
    story.hear(Resumed())
    assert story.state.launched.sandbox == "off"


def test_a_run_can_lower_its_trust_and_not_raise_it() -> None:
    assert say_trust(Story(verified=False).state.launched, Measured({}, "")) == "self-reported"
    assert say_trust(Story(verified=False).state.launched, Measured({}, "reason")) == "self-reported: reason"
    assert say_trust(Story(verified=True).state.launched, Measured({}, "reason")) == "self-reported: reason"


# The plan


def test_a_plan_sent_again_replaces_the_old_one_and_none_keeps_it() -> None:
    story = Story()
    story.complete_run(plan=PLAN, item=1)
    story.complete_run(item=2)
    assert story.state.plan == PLAN
    revised = (*PLAN[:2], PlanItem(3, "Widen the net"))
    story.complete_run(plan=revised, item=3)
    assert story.state.plan == revised and story.state.done_items == (1, 2, 3)


def test_a_completed_run_is_done_with_the_item_it_was_for() -> None:
    story = Story()
    story.complete_run(plan=PLAN, item=2)
    assert story.state.done_items == (2,) and story.state.next_item == PLAN[0]


def test_a_replication_that_the_plan_does_not_ask_for_leaves_the_next_item_open() -> None:
    story = Story()
    story.complete_run(plan=PLAN, item=1)
    story.complete_run(intent=Intent.REPLICATE, item=None)
    assert story.state.done_items == (1,) and story.state.next_item == PLAN[1]


def test_a_run_given_up_is_done_with_the_next_item() -> None:
    story = Story(Limits(attempts=1))
    story.complete_run(plan=PLAN, item=1)
    story.give_up_run()
    assert story.state.done_items == (1, 2) and story.state.next_item == PLAN[2]


# Restores


def test_a_restore_brings_back_the_head_and_forgets_nothing_of_the_run() -> None:
    story = Story(Limits(attempts=6))
    for _ in range(3):
        story.fail_attempt()
    tried = story.state.code.tried
    story.tell(Restored(commit="r1", restores="c0"))
    state = story.state
    assert (state.code.head, state.code.clean, state.run.attempts_spent, len(state.run.failures)) == ("r1", True, 3, 3)
    assert state.code.tried == tried, "the code that failed last may not be sent again as it is"


def test_a_restore_with_nothing_to_change_keeps_the_head() -> None:
    story = Story(Limits(attempts=1))
    story.fail_attempt()
    head = story.state.code.head
    story.tell(Restored(commit="", restores="c0", gives_up=True))
    assert story.state.code.head == head and story.state.run.number == 2


def test_a_run_given_up_has_a_row_with_its_failures_and_a_fresh_start() -> None:
    story = Story(Limits(attempts=2))
    story.fail_attempt(failure("AError: no"))
    story.fail_attempt(failure("BError: no"))
    story.restore(gives_up=True)
    state = story.state
    assert state.rows[0].failures == ("AError: no", "BError: no")
    assert (state.run.number, state.attempt.serial, state.run.attempts_spent, state.run.subject) == (2, 1, 0, "")
    assert state.given_up_in_row == 1 and state.run.failure is None


# Pauses


def test_a_pause_is_lifted_by_a_resume_alone() -> None:
    pause = Paused(PauseKind.STOP, "stopped by request")
    state = advance(begin(LAUNCHED), pause)
    assert state.pause == pause
    assert advance(state, Resumed()).pause is None


def test_a_pause_of_an_open_step_leaves_it_open() -> None:
    story = Story()
    story.apply()
    story.tell(Linted(), Opened(step=Step.RUN, folder="run_1.1"))
    story.hear(Paused(PauseKind.STOP, "interrupted"))
    story.hear(Resumed())
    assert story.state.opened == Opened(step=Step.RUN, folder="run_1.1")


def test_a_closed_step_is_open_no_more_and_its_failure_names_the_commit() -> None:
    story = Story()
    commit = story.apply()
    story.tell(Linted(), Opened(step=Step.RUN, folder="run_1.1"))
    story.tell(Closed(step=Step.RUN, folder="run_1.1", exit=WELL, failure=failure()))
    assert story.state.opened is None and story.state.run.failed_commit == commit
    assert story.action == AskModel(Purpose.FIX)


def test_an_edit_that_never_applied_names_no_failed_commit() -> None:
    story = Story()
    story.fail_attempt()
    for _ in range(4):
        story.refuse()
    assert story.state.run.failed_commit == ""


# Plots and notes


def test_what_could_not_be_said_in_the_notes_is_a_warning() -> None:
    story = Story()
    story.ask()
    story.tell(Applied(commit="c1", subject="Run 1: go", code="k1", dropped="notes.txt: SEARCH not found"))
    assert story.state.warnings == ("notes.txt: SEARCH not found",) and isinstance(story.action, Lint)
    assert story.state.notes_left_out == "SEARCH not found"


def test_a_warning_of_the_plots_does_not_hide_that_of_the_notes() -> None:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    story.refuse("plot.py: a")
    story.refuse("plot.py: b")
    story.refuse("the reply does not edit notes.txt")
    assert story.state.warnings == (
        "no figures: plot.py: b",
        "no closing notes: the reply does not edit notes.txt",
    )


def test_notes_end_the_idea_even_where_plots_have_no_budget() -> None:
    story = Story(Limits(max_runs=1, plot_attempts=0))
    story.complete_run()
    story.apply(Intent.PLOT)
    story.run_step()
    story.apply(Intent.NOTES)
    assert story.state.run.attempts_spent and story.action == Finish()


def test_a_replication_given_up_leaves_the_next_plan_item_to_be_done() -> None:
    story = Story(Limits(attempts=1))
    story.complete_run(plan=PLAN, item=1)
    story.apply(Intent.REPLICATE)
    story.run_step(failed=failure())
    story.restore(gives_up=True)
    assert story.state.done_items == (1,) and story.state.rows[-1].item is None
    story.give_up_run()
    assert story.state.done_items == (1, 2) and story.state.rows[-1].item == PLAN[1]


def test_a_row_keeps_the_plan_item_that_it_was_for() -> None:
    story = Story()
    story.complete_run(plan=PLAN, item=1)
    story.complete_run(plan=(PLAN[0], PlanItem(2, "Another")), item=2)
    assert [row.item for row in story.state.rows] == [PLAN[0], PlanItem(2, "Another")]
