"""Replies that ask to see code, as the fold takes them: no refusal, no attempt, and the code stays wanted."""

from __future__ import annotations

from agent.core.decide import AskModel, StartStep
from agent.core.journal.action_results import Applied, Refused
from agent.core.journal.budget import Limits
from agent.core.journal.kinds import Intent, Purpose, Role, Stage
from agent.core.journal.state import MOST_WANTED
from tests.core.journal_by_hand import PLAN, Story


def test_an_answer_costs_neither_a_repair_nor_an_attempt() -> None:
    story = Story()
    assert story.answer("experiment.py:train") is Purpose.PLAN
    chat = story.state.attempt.conversation
    assert (chat.refusals, chat.answers, chat.is_answered, story.state.run.attempts_spent) == (0, 1, True, 0)
    assert chat.feedback == "answer" and chat.revealed == (("experiment.py", ((1, 9),)),) and story.state.reply is None
    assert story.action == AskModel(Purpose.REPAIR) and story.state.run.wanted == ("experiment.py:train",)
    story.refuse()
    chat = story.state.attempt.conversation
    assert (chat.refusals, chat.answers, chat.is_answered, chat.revealed) == (1, 1, False, ())
    assert story.answer("prepare.py") is Purpose.REPAIR
    story.complete_run(plan=PLAN, item=1)
    assert story.state.rows[0].attempts == 1 and story.state.run.wanted == (), "the next run number begins anew"


def test_the_last_turn_of_a_repair_is_the_last_one_after_an_answer_too() -> None:
    story = Story(Limits(repairs=0))
    story.refuse()
    assert story.answer("experiment.py") is Purpose.WHOLE and story.action == AskModel(Purpose.WHOLE)


def test_a_failure_keeps_what_was_asked_for_and_a_new_chat_may_ask_again() -> None:
    story = Story()
    story.answer("experiment.py:train")
    story.fail_attempt()
    assert story.state.run.wanted == ("experiment.py:train",) and story.action == AskModel(Purpose.FIX)
    assert story.state.attempt.conversation.answers == 0


def test_a_request_beside_an_edit_is_heeded_at_the_next_run_number() -> None:
    story = Story(Limits(max_runs=3))
    story.ask()
    story.tell(Applied(intent=Intent.RUN, commit=story.commit(), subject="Run 1: a", code="k", wanted=("a.py:f",)))
    assert story.state.run.wanted == ("a.py:f",), "and by a repair of this one"
    story.finish_run({"score": 0.5})
    assert story.state.run.wanted == ("a.py:f",)
    story.complete_run()
    assert story.state.run.wanted == (), "once"
    story.ask()
    story.tell(Refused(summary="s", feedback="f", wanted=("b.py",)))
    assert story.state.run.wanted == ("b.py",) and story.state.attempt.conversation.refusals == 1


def test_figures_and_notes_are_asked_for_again_after_an_answer() -> None:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    assert story.state.stage is Stage.PLOT and story.answer("plot.py") is Purpose.PLOT
    assert story.action == AskModel(Purpose.REPAIR)
    story.apply(Intent.PLOT)
    assert isinstance(story.action, StartStep)
    story.run_step()
    assert story.state.run.wanted == () and story.answer("experiment.py") is Purpose.NOTES
    story.apply(Intent.NOTES)
    assert story.state.run.attempts_spent == 1


def test_an_editor_that_asks_keeps_its_chat() -> None:
    story = Story(editor_model="openai/b")
    story.hand()
    assert story.answer("experiment.py:train") is Purpose.EDIT
    chat = story.state.attempt.conversation
    assert chat.role is Role.EDITOR and chat.asked_by and story.action == AskModel(Purpose.REPAIR)


def test_only_the_newest_places_are_kept() -> None:
    state = Story().state.want([f"a.py:f{n}" for n in range(100)])
    assert len(state.run.wanted) == MOST_WANTED and state.run.wanted[-1] == "a.py:f99"
    assert state.want(["a.py:f99"]).run.wanted == state.run.wanted
