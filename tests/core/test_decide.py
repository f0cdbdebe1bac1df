"""The rules of what comes next: budgets, pauses, restores and ends, and that every story ends."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.decide import (
    Action,
    ApplyReply,
    AskModel,
    AwaitStep,
    Finish,
    GiveUp,
    Lint,
    Pause,
    Publish,
    ReadReview,
    Restore,
    StartStep,
    decide,
    folder_of,
    steps_of,
)
from agent.core.failure.diagnose import FailureKind
from agent.core.failure.record import ExitRecord
from agent.core.journal.action_results import (
    Applied,
    Asked,
    AskFailed,
    Closed,
    Handed,
    Linted,
    Opened,
    Refused,
    Reviewed,
    Voided,
)
from agent.core.journal.budget import Limits
from agent.core.journal.events import Ended
from agent.core.journal.kinds import Intent, PauseKind, Purpose, Role, Stage, Step
from agent.core.journal.roles import role_of
from agent.core.journal.state import State
from tests.core.journal_by_hand import WELL, Story, failure, purposes
from tests.examples import examples

DOWN = AskFailed(reason="scripted/model: overloaded")


def test_budgets_are_ten_runs_four_attempts_two_repairs_and_a_whole_turn() -> None:
    limits = Limits()
    assert (limits.max_runs, limits.attempts, limits.repairs) == (10, 4, 2)
    assert (limits.give_ups, limits.plot_attempts, limits.patience_s) == (3, 2, 6 * 3600)


def test_a_study_goes_from_plan_to_finish() -> None:
    story = Story(smoke=True, evaluates=True)
    assert story.action == AskModel(Purpose.PLAN)
    story.ask()
    assert story.action == ApplyReply("reply")
    story.tell(Applied(intent=Intent.RUN, commit="a1", subject="Run 1: go", code="k1"))
    assert story.action == Lint("a1")
    story.tell(Linted())
    assert story.action == StartStep(Step.SMOKE, "run_1.1.smoke", "a1")
    story.tell(Opened(step=Step.SMOKE, folder="run_1.1.smoke"))
    assert story.action == AwaitStep(Step.SMOKE, "run_1.1.smoke")
    story.tell(Closed(step=Step.SMOKE, folder="run_1.1.smoke", exit=WELL))
    assert [story.run_step().folder for _ in range(2)] == ["run_1.1", "run_1.1.evaluate"]
    assert story.action == Publish(1)
    story.publish({"score": 0.9})
    assert story.action == AskModel(Purpose.NEXT)
    story.apply(Intent.FINISH)
    assert story.action == AskModel(Purpose.PLOT)
    story.apply(Intent.PLOT)
    assert story.run_step().step is Step.PLOT
    assert story.action == AskModel(Purpose.NOTES)
    story.apply(Intent.NOTES)
    assert story.action == Finish()


@pytest.mark.parametrize(
    ("smoke", "evaluates", "steps"),
    [
        (False, False, (Step.RUN,)),
        (True, False, (Step.SMOKE, Step.RUN)),
        (False, True, (Step.RUN, Step.EVALUATE)),
        (True, True, (Step.SMOKE, Step.RUN, Step.EVALUATE)),
    ],
)
def test_a_run_has_the_steps_that_its_template_offers(smoke: bool, evaluates: bool, steps: tuple[Step, ...]) -> None:
    story = Story(smoke=smoke, evaluates=evaluates)
    assert steps_of(story.state) == steps
    story.complete_run()
    started = [e.result.step for e in story.events if e.type == "finished" and isinstance(e.result, Opened)]
    assert tuple(started) == steps


def test_the_run_itself_has_the_plain_folder_name() -> None:
    assert folder_of(3, 2, Step.RUN) == "run_3.2"
    assert folder_of(3, 2, Step.SMOKE) == "run_3.2.smoke"


# What spends an attempt


def test_lint_smoke_run_and_evaluation_each_spend_one_attempt() -> None:
    story = Story(smoke=True, evaluates=True)
    story.apply()
    story.tell(Linted(failure=failure("F821 undefined name", FailureKind.LINT)))
    assert story.state.run.attempts_spent == 1
    for spent, passed in enumerate((0, 1, 2), start=2):
        assert story.action == AskModel(Purpose.FIX)
        story.apply()
        story.tell(Linted())
        for _ in range(passed):
            story.run_step()
        story.run_step(failed=failure(f"Error{passed}: no"))
        assert story.state.run.attempts_spent == spent
    assert story.action == Restore(gives_up=True)


def test_after_four_failed_attempts_a_run_is_given_up_restored_and_replanned() -> None:
    story = Story()
    story.complete_run()
    good = story.state.code.good
    story.give_up_run()
    state = story.state
    assert (state.run.number, state.run.attempts_spent, state.run.failures, state.code.clean) == (3, 0, (), True)
    assert state.code.good == good and not state.rows[-1].completed and state.rows[-1].attempts == 4
    assert story.action == AskModel(Purpose.NEXT)
    assert purposes(story)[-4:] == [Purpose.NEXT, Purpose.FIX, Purpose.FIX, Purpose.FIX]


def test_a_reply_has_two_repairs_and_a_whole_turn_before_it_spends_an_attempt() -> None:
    story = Story()
    asked = [story.refuse() for _ in range(4)]
    assert asked == [Purpose.PLAN, Purpose.REPAIR, Purpose.REPAIR, Purpose.WHOLE]
    assert story.state.run.attempts_spent == 1 and story.state.attempt.conversation.refusals == 0
    assert story.state.run.failure and story.state.run.failure.kind is FailureKind.EDIT
    assert story.action == AskModel(Purpose.FIX)


def test_a_reply_that_shows_the_request_to_be_of_no_use_is_followed_by_the_whole_turn_at_once() -> None:
    story = Story()
    asked = [story.refuse(stuck=why) for why in ("example", "", "", "repeat", "")]
    assert asked == [Purpose.PLAN, Purpose.WHOLE, Purpose.FIX, Purpose.REPAIR, Purpose.WHOLE]
    assert story.state.run.attempts_spent == 2 and story.state.attempt.conversation.stuck == ""


def test_a_planner_hears_nothing_of_what_held_the_editor_up() -> None:
    story = Story(editor_model="e/m")
    story.hand()
    assert [story.refuse(stuck="loop"), story.refuse()] == [Purpose.EDIT, Purpose.WHOLE]
    chat = story.state.attempt.conversation
    assert (chat.role, chat.refusals, chat.stuck) == (Role.PLANNER, 1, "")
    assert story.action == AskModel(Purpose.REPAIR)


def test_a_repair_that_applies_spends_nothing() -> None:
    story = Story()
    for _ in range(3):
        story.refuse()
    assert story.state.run.attempts_spent == 0
    story.apply()
    assert isinstance(story.action, Lint)
    assert story.state.run.attempts_spent == 0


def test_replies_that_never_apply_give_the_run_up_without_a_step_started() -> None:
    story = Story(Limits(attempts=2))
    for attempt in range(2):
        for _ in range(4):
            story.refuse(f"problem {attempt}")
    assert story.action == Restore(gives_up=True)
    assert not any(e.type == "started" and e.kind in ("StartStep", "Lint") for e in story.events)


def test_repairs_of_one_attempt_do_not_shorten_the_next() -> None:
    story = Story()
    for _ in range(3):
        story.refuse()
    story.fail_attempt()
    assert [story.refuse() for _ in range(4)] == [Purpose.FIX, Purpose.REPAIR, Purpose.REPAIR, Purpose.WHOLE]
    assert story.state.run.attempts_spent == 2


# The provider


def test_a_failed_provider_call_pauses_spends_nothing_and_asks_the_same_again() -> None:
    story = Story()
    story.fail_attempt()
    before = story.state
    assert story.action == AskModel(Purpose.FIX)
    story.tell(DOWN)
    assert isinstance(story.action, Pause)
    assert story.action.pause.kind is PauseKind.PROVIDER and "overloaded" in story.action.pause.reason
    story.resume()
    assert story.action == AskModel(Purpose.FIX)
    assert replace(story.state, steps=before.steps) == before


def test_provider_failures_never_start_a_run_and_never_end_an_idea() -> None:
    story = Story()
    for _ in range(50):
        story.tell(DOWN)
        story.resume()
    assert story.action == AskModel(Purpose.PLAN)
    assert {e.kind for e in story.events if e.type == "started"} == {"AskModel"}


def test_a_failed_call_in_a_repair_keeps_the_conversation() -> None:
    story = Story()
    story.refuse(staged="blob")
    talk = story.state.attempt.conversation
    story.tell(DOWN)
    story.resume()
    assert story.state.attempt.conversation == talk and story.action == AskModel(Purpose.REPAIR)


# The same failure again


def test_the_same_failure_a_third_time_restores_and_opens_a_new_conversation() -> None:
    story = Story(Limits(attempts=6))
    for _ in range(2):
        story.fail_attempt()
        assert story.action == AskModel(Purpose.FIX)
    assert story.state.run.repeats == 2
    story.fail_attempt()
    story.restore(gives_up=False)
    state = story.state
    assert state.code.clean and state.run.repeats == 3 and not state.attempt.conversation.request
    assert (state.run.number, state.run.attempts_spent, state.rows) == (1, 3, ())
    assert story.action == AskModel(Purpose.FIX)


def test_the_same_failure_after_the_restore_gives_the_run_up() -> None:
    story = Story()
    for _ in range(3):
        story.fail_attempt()
    story.restore(gives_up=False)
    story.fail_attempt()
    story.restore(gives_up=True)
    assert story.state.rows[0].failures == (failure().summary,) * 4
    assert story.action == AskModel(Purpose.NEXT) and story.state.run.number == 2


def test_different_failures_do_not_restore() -> None:
    story = Story()
    for name in ("AError", "BError", "CError"):
        story.fail_attempt(failure(f"{name}: no"))
        assert story.action == AskModel(Purpose.FIX)


def test_failures_of_an_earlier_run_do_not_count_as_repeats() -> None:
    story = Story()
    story.fail_attempt()
    story.fail_attempt()
    story.complete_run()
    story.fail_attempt()
    assert story.state.run.repeats == 1 and story.action == AskModel(Purpose.FIX)


# The machine


@pytest.mark.parametrize(
    ("stopped", "kind"), [(False, PauseKind.INFRASTRUCTURE), (True, PauseKind.STOP)], ids=["disk", "stop"]
)
def test_infrastructure_pauses_says_so_and_runs_the_same_code_again(stopped: bool, kind: PauseKind) -> None:
    story = Story()
    commit = story.apply()
    story.tell(Linted())
    first = story.break_step(replace(WELL, exit_code=1, stopped=stopped))
    assert isinstance(story.action, Pause)
    assert story.action.pause.kind is kind and "No space left" in story.action.pause.reason
    assert story.state.run.attempts_spent == 0 and not story.state.run.failures
    story.resume()
    assert story.action == StartStep(Step.RUN, "run_1.2", commit) and first.folder == "run_1.1"


def test_infrastructure_in_the_evaluation_repeats_only_the_evaluation() -> None:
    story = Story(smoke=True, evaluates=True)
    story.apply()
    story.tell(Linted())
    story.run_step()
    story.run_step()
    story.break_step(replace(WELL, exit_code=1))
    story.resume()
    assert story.action == StartStep(Step.EVALUATE, "run_1.2.evaluate", "c1")
    assert story.state.attempt.candidate and story.state.attempt.candidate.folders[Step.RUN] == "run_1.1"


def test_a_lost_supervisor_spends_nothing_and_is_retried_without_a_pause() -> None:
    story = Story()
    story.apply()
    story.tell(Linted())
    folders = [story.break_step(None, "the heartbeat stopped").folder for _ in range(2)]
    assert folders == ["run_1.1", "run_1.2"]
    assert story.action == StartStep(Step.RUN, "run_1.3", "c1")
    assert story.state.run.attempts_spent == 0
    story.run_step({"score": 1.0})
    assert story.action == Publish(1) and story.state.lost_in_row == 0


def test_three_lost_supervisors_in_a_row_pause() -> None:
    story = Story()
    story.apply()
    story.tell(Linted())
    for _ in range(Limits().lost_steps):
        story.break_step(None, "the heartbeat stopped")
    assert isinstance(story.action, Pause)
    assert story.action.pause.kind is PauseKind.INFRASTRUCTURE and "heartbeat" in story.action.pause.reason
    story.resume()
    assert story.state.lost_in_row == 0 and story.state.run.attempts_spent == 0
    assert story.action == StartStep(Step.RUN, "run_1.4", "c1")


KILLED = replace(WELL, exit_code=None, signal=9)


@pytest.mark.parametrize("exit", [KILLED, replace(WELL, exit_code=137)])
def test_a_step_that_somebody_else_killed_is_begun_again_and_three_in_a_row_pause(exit: ExitRecord) -> None:
    story = Story(has_baseline=False, evaluates=True)
    assert story.break_step(exit, "killed by signal 9").folder == "run_0.1"
    assert story.action == StartStep(Step.RUN, "run_0.2", "c0")
    story.run_step({"loss": 1.0})
    folders = [story.break_step(each, "killed by signal 9").folder for each in (exit, None, exit)]
    assert folders == ["run_0.2.evaluate", "run_0.3.evaluate", "run_0.4.evaluate"]
    assert isinstance(story.action, Pause) and story.action.pause.kind is PauseKind.INFRASTRUCTURE
    assert story.action.pause.reason == "killed by signal 9 (3 times in a row)"
    story.resume()
    assert story.action == StartStep(Step.EVALUATE, "run_0.5.evaluate", "c0")
    assert story.state.run.attempts_spent == 0 and not story.state.run.failures


def test_a_journal_in_which_a_kill_was_the_experiments_failure_still_spends_an_attempt() -> None:
    """As versions up to 0.1 recorded it."""
    story = Story()
    story.apply()
    story.tell(Linted(), Opened(step=Step.RUN, folder="run_1.1"))
    killed = failure("killed by signal 9 (SIGKILL)", FailureKind.KILLED)
    story.tell(Closed(step=Step.RUN, folder="run_1.1", exit=KILLED, failure=killed))
    assert story.state.run.attempts_spent == 1 and story.action == AskModel(Purpose.FIX)


def test_a_step_without_a_supervisor_is_closed_and_begun_in_another_folder() -> None:
    story = Story()
    story.apply()
    story.tell(Linted(), Voided(step=Step.RUN, folder="run_1.1", reason="no supervisor had begun"))
    assert story.action == StartStep(Step.RUN, "run_1.2", "c1")
    assert story.state.run.attempts_spent == 0


# The baseline run


def test_a_template_without_baseline_is_run_first_as_run_zero() -> None:
    story = Story(has_baseline=False, evaluates=True)
    assert story.action == StartStep(Step.RUN, "run_0.1", "c0")
    story.run_step({"loss": 1.0})
    assert story.run_step({"score": 0.4}).folder == "run_0.1.evaluate"
    assert story.action == Publish(0)
    story.publish({"loss": 1.0, "score": 0.4})
    assert story.action == AskModel(Purpose.PLAN)
    assert story.state.run.number == 1 and story.state.rows == ()
    assert story.state.baseline.values == {"loss": 1.0, "score": 0.4}


def test_a_baseline_run_that_fails_by_its_code_gives_up() -> None:
    story = Story(has_baseline=False)
    story.run_step(failed=failure("ImportError: no module named nothing"))
    assert isinstance(story.action, GiveUp)
    assert "the template's own experiment fails: ImportError" in story.action.reason


def test_a_baseline_run_that_fails_for_infrastructure_pauses_and_runs_again() -> None:
    story = Story(has_baseline=False)
    story.break_step(replace(WELL, exit_code=1))
    assert isinstance(story.action, Pause) and story.action.pause.kind is PauseKind.INFRASTRUCTURE
    story.resume()
    assert story.action == StartStep(Step.RUN, "run_0.2", "c0")


# The end


def test_three_run_numbers_given_up_in_a_row_without_a_completed_run_give_the_idea_up() -> None:
    story = Story(Limits(attempts=1))
    for _ in range(2):
        story.give_up_run()
        assert story.action == AskModel(Purpose.NEXT)
    story.give_up_run()
    assert story.action == GiveUp("3 run numbers in a row were given up")


def test_three_run_numbers_given_up_in_a_row_after_a_completed_run_lead_to_plots_and_notes_with_a_warning() -> None:
    story = Story(Limits(attempts=1))
    story.complete_run()
    for _ in range(3):
        assert story.action == AskModel(Purpose.NEXT)
        story.give_up_run()
    assert story.action == AskModel(Purpose.PLOT)
    assert story.state.warnings == ("the experiments ended early: 3 run numbers in a row were given up",)
    story.apply(Intent.PLOT)
    story.run_step()
    story.apply(Intent.NOTES)
    assert story.action == Finish()


# The editor


ROLES = {"editor_model": "e/m", "reviewer_model": "r/m"}


def test_a_planners_prose_goes_to_the_editor_in_a_conversation_of_its_own() -> None:
    story = Story(editor_model="e/m")
    story.hand(staged="notes")
    assert story.action == AskModel(Purpose.EDIT)
    talk = story.state.attempt.conversation
    assert (talk.role, talk.instruction, talk.request, talk.staged) == (Role.EDITOR, "instruction", "", "notes")
    story.apply()
    assert isinstance(story.action, Lint) and story.state.run.attempts_spent == 0


def test_the_editors_replies_are_repaired_with_the_editor_then_the_planner_is_told() -> None:
    story = Story(editor_model="e/m")
    story.hand()
    assert [story.refuse(f"no {n}") for n in range(4)] == [
        Purpose.EDIT,
        Purpose.REPAIR,
        Purpose.REPAIR,
        Purpose.WHOLE,
    ]
    talk = story.state.attempt.conversation
    assert (talk.role, talk.refusals, talk.summary, talk.reply) == (Role.PLANNER, 1, "no 3", "reply")
    assert story.action == AskModel(Purpose.REPAIR) and story.state.run.attempts_spent == 0
    assert role_of(story.state, Purpose.REPAIR) is Role.PLANNER


def test_plans_that_lead_to_no_change_spend_the_planners_repairs_and_then_an_attempt_but_never_a_run() -> None:
    story = Story(editor_model="e/m")
    for _ in range(story.state.tries):
        assert story.state.run.attempts_spent == 0
        story.hand()
        for _ in range(story.state.tries):
            story.refuse()
    assert story.state.run.attempts_spent == 1 and story.action == AskModel(Purpose.FIX)
    assert not any(e.type == "started" and e.kind in ("StartStep", "Lint") for e in story.events)
    assert story.state.attempt.conversation.role is Role.PLANNER


def test_a_planner_that_edits_by_itself_needs_no_editor() -> None:
    story = Story(editor_model="e/m")
    story.complete_run()
    assert purposes(story) == [Purpose.PLAN] and story.action == AskModel(Purpose.NEXT)


def test_a_provider_failure_of_the_editor_leaves_its_conversation() -> None:
    story = Story(editor_model="e/m")
    story.hand()
    story.refuse()
    talk = story.state.attempt.conversation
    story.tell(DOWN)
    story.resume()
    assert story.state.attempt.conversation == talk and story.action == AskModel(Purpose.REPAIR)


# The reviewer


def test_each_completed_run_is_reviewed_before_the_next_is_planned() -> None:
    story = Story(reviewer_model="r/m")
    story.complete_run()
    assert story.review("refuted", commit="r1") is Purpose.REVIEW
    assert story.action == AskModel(Purpose.NEXT)
    review = story.state.rows[0].review
    assert review and review.judgement == "refuted" and story.state.code.head == "r1" and story.state.code.good != "r1"


def test_the_last_run_is_reviewed_before_the_plots() -> None:
    story = Story(Limits(max_runs=1), reviewer_model="r/m")
    story.complete_run()
    story.review()
    assert story.action == AskModel(Purpose.PLOT)


def test_run_zero_runs_given_up_and_controls_are_not_reviewed() -> None:
    story = Story(Limits(attempts=1), has_baseline=False, reviewer_model="r/m")
    story.run_step({"score": 0.4})
    story.publish({"score": 0.4})
    assert story.action == AskModel(Purpose.PLAN)
    story.give_up_run()
    assert story.action == AskModel(Purpose.NEXT)
    control = Story(reviewer_model="r/m", control="control: a sweep")
    control.complete_run()
    assert control.action == AskModel(Purpose.NEXT)


def test_a_reviewer_may_reflect_up_to_its_rounds_or_until_it_is_done() -> None:
    story = Story(reviewer_model="r/m", reflections=2)
    story.complete_run()
    assert story.review("supported", final=False) is Purpose.REVIEW
    assert story.review("refuted", final=False) is Purpose.REFLECT
    assert story.state.rows[0].review is None
    assert story.review("refuted", final=True) is Purpose.REFLECT
    assert story.action == AskModel(Purpose.NEXT)


def test_a_review_that_cannot_be_read_is_repaired_once_then_left_out_with_a_warning() -> None:
    story = Story(reviewer_model="r/m")
    story.complete_run()
    assert [story.refuse("review: no judgement") for _ in range(2)] == [Purpose.REVIEW, Purpose.REVIEW]
    assert story.action == AskModel(Purpose.NEXT) and story.state.rows[0].review is None
    assert story.state.warnings == ("the review of run 1 was left out: review: no judgement",)
    assert story.state.run.attempts_spent == 0 and story.state.attempt.conversation.refusals == 0


def test_a_reflection_that_cannot_be_read_leaves_the_review_before_it() -> None:
    story = Story(reviewer_model="r/m", reflections=1)
    story.complete_run()
    story.review(final=False)
    draft = story.state.reviewing and story.state.reviewing.draft
    assert [story.refuse() for _ in range(2)] == [Purpose.REFLECT, Purpose.REFLECT]
    assert story.action == ReadReview(str(draft)) and story.state.reviewing
    assert story.state.reviewing.rounds >= story.reflections


def test_a_provider_failure_of_the_reviewer_pauses_and_a_resume_asks_the_same() -> None:
    story = Story(reviewer_model="r/m")
    story.complete_run()
    story.tell(DOWN)
    story.resume()
    assert story.action == AskModel(Purpose.REVIEW)


def test_a_completed_run_between_starts_the_count_anew() -> None:
    story = Story(Limits(attempts=1))
    story.give_up_run()
    story.give_up_run()
    story.complete_run()
    assert story.state.given_up_in_row == 0
    story.give_up_run()
    story.give_up_run()
    assert story.action == AskModel(Purpose.NEXT)


def test_no_run_left_and_none_completed_gives_the_idea_up() -> None:
    story = Story(Limits(max_runs=2, attempts=1))
    story.give_up_run()
    story.give_up_run()
    assert story.action == GiveUp("no run was completed within 2 run numbers")


def test_a_run_number_given_up_uses_up_a_run() -> None:
    story = Story(Limits(max_runs=2, attempts=1))
    story.complete_run()
    story.give_up_run()
    assert [row.run for row in story.state.rows] == [1, 2]
    assert story.action == AskModel(Purpose.PLOT)


def test_runs_used_up_lead_to_plots_and_notes_and_the_end() -> None:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    story.apply(Intent.PLOT)
    story.run_step()
    story.apply(Intent.NOTES)
    assert story.action == Finish() and story.state.warnings == ()


def test_plots_have_two_attempts_then_the_idea_goes_on_with_a_warning() -> None:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    for attempt in range(2):
        assert story.action == AskModel(Purpose.PLOT), attempt
        story.apply(Intent.PLOT)
        story.run_step(failed=failure("KeyError: loss"))
    assert story.action == AskModel(Purpose.NOTES)
    assert story.state.warnings == ("no figures: KeyError: loss",)


def test_finishing_in_the_middle_of_a_run_restores_the_good_code_and_names_what_was_left() -> None:
    story = Story(Limits())
    story.complete_run()
    story.fail_attempt(failure("ValueError: shapes"))
    story.apply(Intent.FINISH)
    story.restore(gives_up=False)
    assert story.state.code.clean and story.action == AskModel(Purpose.PLOT)
    assert story.state.warnings == ("run 2 was left after 1 failed attempts: ValueError: shapes",)


def test_an_edit_of_the_plot_that_does_not_apply_is_one_of_its_two_attempts() -> None:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    assert [story.refuse("plot.py: SEARCH not found") for _ in range(2)] == [Purpose.PLOT, Purpose.PLOT]
    assert story.action == AskModel(Purpose.NOTES)


def test_notes_have_one_attempt_then_the_idea_completes_with_a_warning() -> None:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    story.apply(Intent.PLOT)
    story.run_step()
    assert story.refuse("the reply does not edit notes.txt") is Purpose.NOTES
    assert story.action == Finish()
    assert story.state.warnings == ("no closing notes: the reply does not edit notes.txt",)


def test_infrastructure_in_the_plot_pauses_and_costs_no_attempt() -> None:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    commit = story.apply(Intent.PLOT)
    first = story.break_step(replace(WELL, exit_code=1))
    assert isinstance(story.action, Pause) and story.state.run.attempts_spent == 0
    story.resume()
    assert isinstance(story.action, StartStep) and story.action.commit == commit
    assert story.action.folder != first.folder


def test_failed_attempts_of_the_last_run_leave_the_plot_its_own_budget() -> None:
    story = Story()
    story.complete_run()
    story.fail_attempt()
    story.fail_attempt(failure("BError: no"))
    story.apply(Intent.FINISH)
    story.restore(gives_up=False)
    assert story.state.stage is Stage.PLOT and story.state.run.attempts_spent == 0 and not story.state.run.failures
    story.apply(Intent.PLOT)
    story.run_step(failed=failure("KeyError: loss"))
    assert story.action == AskModel(Purpose.PLOT)


# Every story ends


def structural_bound(limits: Limits, trouble: int) -> int:
    """The most actions that an idea can take: its budgets, plus what each trouble outside its code can cost."""
    attempt = 2 * (limits.repairs + 2) + 1 + 2 * 3 + 1
    run = limits.attempts * (attempt + 1) + 1
    # Every planner's reply may go through the editor's repairs; a run's review: a draft, reflections and their repairs.

    run += limits.attempts * 2 * (limits.repairs + 2) ** 2 + 2 * (1 + 2 + 2) + 1
    closing = 4 * max(limits.plot_attempts, 1) + 2 + 1
    return limits.max_runs * run + closing + 2 * 3 + 1 + 3 * trouble


class Dice:
    """Answers every action with a random legal result; of troubles outside the code it has only so many."""

    def __init__(self, seed: int, story: Story, trouble: int) -> None:
        self.random = random.Random(seed)
        self.bias = self.random.choice((0.1, 0.5, 0.9))
        self.story, self.trouble = story, trouble

    def strikes(self) -> bool:
        if self.trouble and self.random.random() < 0.3:
            self.trouble -= 1
            return True
        return False

    def fails(self) -> bool:
        return self.random.random() < self.bias

    def play(self, action: Action) -> None:
        story = self.story
        failed = failure(self.random.choice(("AError", "BError"))) if self.fails() else None
        match action:
            case AskModel(purpose):
                role = role_of(story.state, purpose)
                story.tell(DOWN if self.strikes() else Asked(purpose=purpose, request="q", reply="r", role=role))
            case ApplyReply():
                story.tell(self.reply(story.state))
            case ReadReview():
                story.tell(self.review(story.state))
            case Lint():
                story.tell(Linted(failure=failed))
            case StartStep(step, folder):
                story.tell((Voided if self.strikes() else Opened)(step=step, folder=folder))
            case AwaitStep(step, folder):
                story.tell(self.close(step, folder))
            case Publish():
                story.publish({"score": self.random.random()})
            case Restore(gives_up):
                story.restore(gives_up=gives_up)
            case Pause():
                story.resume()
            case Finish():
                story.hear(Ended(True, "done", story.state.warnings))
            case GiveUp(reason):
                story.hear(Ended(False, reason))

    def review(self, state: State) -> Reviewed | Refused:
        assert state.reviewing
        if self.fails():
            return Refused(summary="review: no judgement", feedback="f")
        final = state.reviewing.rounds >= state.launched.reflections or self.random.random() < 0.3
        return Reviewed(run=state.reviewing.run, judgement="revise", final=final, version=state.idea_version + final)

    def reply(self, state: State) -> Applied | Handed | Refused:
        plans = state.stage is Stage.EXPERIMENTS and state.attempt.conversation.role is Role.PLANNER
        if plans and state.launched.separate_editor and self.random.random() < 0.8:
            return Handed(instruction="i")
        if self.fails():
            return Refused(summary=self.random.choice(("SEARCH not found", "nothing was run")), feedback="f")
        intents = [Intent.PLOT] if state.stage is Stage.PLOT else [Intent.NOTES]
        if state.stage is Stage.EXPERIMENTS:
            intents = [Intent.RUN] * 8
            intents += [Intent.REPLICATE] if state.completed_runs and state.code.clean else []
            intents += [Intent.FINISH] if state.completed_runs else []
        code = f"k{self.random.randrange(10**9)}"
        return Applied(intent=self.random.choice(intents), commit=self.story.commit(), subject="s", code=code)

    def close(self, step: Step, folder: str) -> Closed:
        if self.strikes():
            exit = self.random.choice((None, replace(WELL, exit_code=1), replace(WELL, stopped=True)))
            broken = failure("disk full", FailureKind.INFRASTRUCTURE)
            return Closed(step=step, folder=folder, exit=exit, failure=broken, infrastructure=True)
        failed = failure(self.random.choice(("AError", "BError"))) if self.fails() else None
        return Closed(step=step, folder=folder, exit=WELL, failure=failed)


def assert_within_budgets(state: State, limits: Limits) -> None:
    assert [row.run for row in state.rows] == list(range(1, len(state.rows) + 1))
    assert len(state.rows) <= limits.max_runs and state.run.number <= limits.max_runs
    assert state.reviewing is None or (state.rows and state.rows[-1].run == state.reviewing.run)
    assert all(row.attempts <= limits.attempts for row in state.rows)
    assert state.given_up_in_row <= limits.give_ups
    assert state.attempt.conversation.refusals <= limits.repairs + 1
    budget = limits.attempts if state.stage is Stage.EXPERIMENTS else max(limits.plot_attempts, 1)
    assert state.run.attempts_spent <= budget
    assert state.run.number in (0, len(state.rows), len(state.rows) + 1)


@given(
    seed=st.integers(0, 2**32),
    limits=st.builds(
        Limits,
        max_runs=st.integers(1, 4),
        attempts=st.integers(1, 5),
        repairs=st.integers(0, 2),
        give_ups=st.integers(1, 3),
        plot_attempts=st.integers(0, 2),
        lost_steps=st.integers(1, 3),
    ),
    options=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    roles=st.sampled_from([{}, {"editor_model": "e/m"}, {**ROLES, "reflections": 2}]),
    trouble=st.integers(0, 12),
)
@examples(40)
def test_every_sequence_of_results_ends_within_its_budgets(
    seed: int, limits: Limits, options: tuple[bool, bool, bool], roles: dict[str, str], trouble: int
) -> None:
    story = Story(limits, *options, **roles)  # type: ignore[arg-type]
    dice = Dice(seed, story, trouble)
    actions: list[Action] = []
    while not story.state.ended:
        actions.append(decide(story.state, limits))
        assert isinstance(actions[-1], get_args(Action))
        dice.play(actions[-1])
        assert_within_budgets(story.state, limits)
        assert len(actions) <= structural_bound(limits, trouble)
    assert story.state.ended.completed == (isinstance(actions[-1], Finish) and story.state.completed_runs > 0)
    started = [a.folder for a in actions if isinstance(a, StartStep)]
    assert len(started) == len(set(started)), "an attempt folder is never used twice"


@given(seed=st.integers(0, 2**32))
@examples(15)
def test_no_step_is_started_but_for_an_edit_or_after_trouble(seed: int) -> None:
    story = Story(Limits(max_runs=3, attempts=3), True, True)
    dice = Dice(seed, story, 8)
    entitled = set()
    while not story.state.ended:
        action = story.action
        if isinstance(action, StartStep):
            assert (action.step, action.folder) not in entitled
            assert story.state.attempt.candidate and action.commit == story.state.attempt.candidate.commit
            assert action.step not in story.state.attempt.candidate.passed
            applied = [e.result for e in story.events if e.type == "finished" and isinstance(e.result, Applied)]
            assert applied and applied[-1].commit == action.commit
            entitled.add((action.step, action.folder))
        dice.play(action)


def test_runs_that_all_ran_out_of_time_name_the_option_that_helps() -> None:
    story = Story(Limits(max_runs=2, attempts=1))
    for text in ("timed out after 1800 s", "timed out after 1800 s"):
        story.fail_attempt(failure(text, FailureKind.TIMED_OUT))
        story.restore(gives_up=True)
    said = "no run was completed within 2 run numbers, as each timed out after its limit; launch with a longer --run-s"
    assert story.action == GiveUp(said)
