"""Where a person is asked first: what waits, and what a resume or a word makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.decide import AskModel, GiveUp, Pause, Restore, StartStep
from agent.core.journal.action_results import Asked, Linted, Refused
from agent.core.journal.approval import MOST_REFUSED, change_step_limits, say_no_edit, wait_for_model
from agent.core.journal.budget import Limits
from agent.core.journal.codec import from_json, to_json
from agent.core.journal.events import Launched, Paused, Resumed, Told
from agent.core.journal.kinds import Intent, PauseKind, Purpose, Step
from tests.core.journal_by_hand import PLAN, Story, failure

WORD = Told("1", "Leave the rate alone.")


def waiting(where: str, **changes: object) -> Story:
    story = Story(**changes)  # type: ignore[arg-type]
    story.state = replace(story.state, launched=replace(story.state.launched, pause_before=where))
    return story


def pause_of(story: Story) -> Paused:
    action = story.action
    assert isinstance(action, Pause) and action.pause.kind is PauseKind.APPROVAL, action
    return action.pause


def stop(story: Story) -> Paused:
    pause = pause_of(story)
    story.hear(pause)
    assert story.action == Pause(pause)
    return pause


@pytest.fixture
def story() -> Story:
    """An edit that passed lint and waits."""
    found = waiting("run", smoke=True)
    found.apply()
    found.tell(Linted())
    return found


def test_an_edit_waits_after_lint_and_before_its_smoke_test(story: Story) -> None:
    pause = stop(story)
    assert "run 1, attempt 1" in pause.reason and story.state.attempt.candidate
    assert (
        story.state.attempt.candidate.subject in pause.reason and story.state.attempt.candidate.commit in pause.reason
    )


def test_a_resume_approves_all_steps_of_that_attempt(story: Story) -> None:
    stop(story)
    story.hear(Resumed())
    assert story.run_step().step is Step.SMOKE
    story.finish_run({"score": 0.5})
    assert len(story.state.rows) == 1


def test_an_approval_counts_for_one_attempt_alone(story: Story) -> None:
    stop(story)
    story.hear(Resumed())
    story.run_step(failed=failure())
    story.apply()
    story.tell(Linted())
    assert "attempt 2" in pause_of(story).reason


def test_a_step_that_the_machine_lost_needs_no_second_approval(story: Story) -> None:
    stop(story)
    story.hear(Resumed())
    story.break_step(None)
    assert isinstance(story.action, StartStep)


def test_a_stop_and_its_resume_approve_nothing(story: Story) -> None:
    story.hear(Paused(PauseKind.STOP, "stopped by request"))
    story.hear(Resumed())
    pause_of(story)


def test_a_word_sets_the_edit_aside_and_spends_nothing(story: Story) -> None:
    before = story.state
    stop(story)
    story.hear(WORD)
    story.hear(Resumed())
    state = story.state
    assert (
        state.attempt.candidate is None
        and state.attempt.set_aside
        and state.attempt.set_aside.commit == before.attempt.candidate.commit
    )  # type: ignore[union-attr]
    assert (state.run.attempts_spent, state.run.number, state.run.failures) == (0, 1, ())
    assert state.code.tried == "k0" and state.run.subject == ""
    story.restore(gives_up=False)
    assert story.action == AskModel(Purpose.PLAN) and story.state.attempt.set_aside
    story.apply()
    assert story.state.attempt.set_aside is None and story.state.run.subject


def test_a_word_before_the_pause_does_not_set_the_edit_aside(story: Story) -> None:
    story.hear(WORD)
    stop(story)
    story.hear(Resumed())
    assert isinstance(story.action, StartStep)


def test_the_same_word_told_twice_sets_one_edit_aside(story: Story) -> None:
    stop(story)
    story.hear(WORD)
    story.hear(Resumed())
    story.restore(gives_up=False)
    story.apply()
    story.tell(Linted())
    stop(story)
    story.hear(WORD)
    story.hear(Resumed())
    assert isinstance(story.action, StartStep)


def test_a_mended_edit_that_is_set_aside_keeps_the_failures_before_it(story: Story) -> None:
    stop(story)
    story.hear(Resumed())
    story.run_step(failed=failure())
    story.apply()
    story.tell(Linted())
    stop(story)
    story.hear(WORD)
    story.hear(Resumed())
    assert story.state.run.attempts_spent == 1
    story.restore(gives_up=False)
    assert story.action == AskModel(Purpose.FIX)


def test_a_replication_set_aside_needs_no_restore() -> None:
    story = waiting("run")
    story.apply()
    story.tell(Linted())
    stop(story)
    story.hear(Resumed())
    story.finish_run({"score": 0.5})
    story.apply(Intent.REPLICATE)
    stop(story)
    story.hear(WORD)
    story.hear(Resumed())
    assert story.action == AskModel(Purpose.NEXT)


def test_the_planner_waits_before_the_first_call_of_a_run_number_alone() -> None:
    story = waiting("plan")
    assert "run 1" in stop(story).reason
    story.hear(WORD)
    story.hear(Resumed())
    assert story.action == AskModel(Purpose.PLAN)
    story.tell(Asked(purpose=Purpose.PLAN, request="q", reply="r"), Refused(summary="no edit", feedback="f"))
    assert story.action == AskModel(Purpose.REPAIR)


def test_the_next_run_number_waits_again_and_names_its_plan_item() -> None:
    story = waiting("plan")
    stop(story)
    story.hear(Resumed())
    story.complete_run(plan=PLAN, item=1)
    assert pause_of(story).reason == "the planner's turn for run 2 waits for approval: Add momentum"


def test_a_failed_attempt_is_mended_without_asking_a_person() -> None:
    story = waiting("plan")
    stop(story)
    story.hear(Resumed())
    story.fail_attempt()
    assert story.action == AskModel(Purpose.FIX)


def test_a_resume_changes_where_an_idea_waits(story: Story) -> None:
    stop(story)
    story.hear(Resumed(pause_before=""))
    story.finish_run({"score": 0.5})
    story.complete_run()
    story.hear(Resumed(pause_before="plan"))
    pause_of(story)


def test_a_resume_changes_limits_and_leaves_the_rest() -> None:
    story = Story()
    story.hear(Resumed(limits=Limits(max_tokens=7)))
    assert story.state.limits == Limits(max_tokens=7) and story.state.launched.workspace == "momentum"
    story.hear(Resumed())
    assert story.state.limits == Limits(max_tokens=7)


def test_the_templates_own_run_and_the_end_of_a_study_wait_for_nobody() -> None:
    story = waiting("run", has_baseline=False)
    assert isinstance(story.action, StartStep)
    done = waiting("plan", limits=Limits(max_runs=1))
    stop(done)
    done.hear(Resumed())
    done.complete_run()
    assert done.action == AskModel(Purpose.PLOT)


def test_giving_up_goes_before_waiting() -> None:
    story = waiting("plan", limits=Limits(give_ups=1))
    stop(story)
    story.hear(Resumed())
    story.give_up_run()
    assert isinstance(story.action, GiveUp)


def test_a_resume_changes_the_limits_of_steps_that_it_names() -> None:
    launched = Launched(run_s=60.0, smoke_s=5.0)
    assert change_step_limits(launched, Resumed()) == launched
    assert change_step_limits(launched, Resumed(run_s=7200.0, memory_gib=8.0)) == Launched(
        run_s=7200.0, smoke_s=5.0, memory_gib=8.0
    )
    assert change_step_limits(launched, Resumed(run_s=0.0)).run_s == 0.0, "the template's own again"
    assert to_json(Resumed(run_s=0.0))["run_s"] == 0.0 and "smoke_s" not in to_json(Resumed(run_s=0.0))
    assert "run_s" not in to_json(Launched()) and from_json(to_json(launched)) == launched


# A model that cannot follow the form


def test_a_model_whose_replies_never_hold_an_edit_pauses_the_idea_and_a_resume_asks_it_again() -> None:
    story = Story()
    for _ in range(MOST_REFUSED):
        while isinstance(story.action, Restore):
            story.restore(gives_up=story.action.gives_up)
        story.refuse("the reply holds no SEARCH/REPLACE block")
    while isinstance(story.action, Restore):
        story.restore(gives_up=story.action.gives_up)
    action = story.action
    assert isinstance(action, Pause) and action.pause.kind is PauseKind.MODEL and not action.pause.remedy
    assert action.pause.reason.startswith(
        "no reply held an edit that could be applied: 16 in a row were refused (the last"
    )
    assert "holds no SEARCH/REPLACE block" in action.pause.reason and "--editor-model" in action.pause.reason
    story.hear(action.pause)
    story.resume()
    assert isinstance(story.action, AskModel) and story.state.refused_in_row == 0


def test_an_edit_ends_the_count_and_a_replay_goes_on() -> None:
    story = Story()
    for _ in range(3):
        story.refuse()
    assert story.state.refused_in_row == 3 and not say_no_edit(story.state)
    story.apply()
    assert story.state.refused_in_row == 0
    replayed = replace(story.state, refused_in_row=99, launched=replace(story.state.launched, model="replay/x"))
    assert wait_for_model(replayed) is None and wait_for_model(replace(story.state, refused_in_row=99))
    assert "99 in a row" in say_no_edit(replayed)
