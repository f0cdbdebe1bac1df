"""Whose turn it is, and which conversation a reply belongs to."""

from __future__ import annotations

import pytest

from agent.core.journal.action_results import Asked, Refused, Reviewed
from agent.core.journal.kinds import Purpose, Role
from agent.core.journal.roles import hear, refuse_reply, role_of, take_review
from agent.core.journal.state import Conversation
from tests.core.journal_by_hand import Story


@pytest.mark.parametrize("purpose", list(Purpose))
def test_every_purpose_is_somebodys(purpose: Purpose) -> None:
    planner, editor = Story(editor_model="e/m"), Story(editor_model="e/m")
    editor.hand()
    asked = (role_of(planner.state, purpose), role_of(editor.state, purpose))
    if purpose in (Purpose.REPAIR, Purpose.WHOLE):
        assert asked == (Role.PLANNER, Role.EDITOR)
    elif purpose is Purpose.EDIT:
        assert asked == (Role.EDITOR, Role.EDITOR)
    elif purpose in (Purpose.REVIEW, Purpose.REFLECT):
        assert asked == (Role.REVIEWER, Role.REVIEWER)
    else:
        assert asked == (Role.PLANNER, Role.PLANNER)


def test_the_reviewers_reply_leaves_the_planners_conversation_alone() -> None:
    story = Story(reviewer_model="r/m")
    story.complete_run()
    before = story.state.attempt.conversation
    state = hear(story.state, Asked(purpose=Purpose.REVIEW, request="q", reply="r", role=Role.REVIEWER))
    assert state.attempt.conversation == before and state.reply == "r"
    assert state.reviewing and (state.reviewing.request, state.reviewing.reply) == ("q", "r")


def test_a_reply_cut_at_its_length_is_known_by_its_finish_reason() -> None:
    state = Story().state
    assert hear(state, Asked(finish_reason="length")).attempt.conversation.cut
    assert not hear(state, Asked(finish_reason="stop")).attempt.conversation.cut


def test_the_planners_own_blocks_stay_where_the_editor_fails() -> None:
    planner = Conversation(reply="plan", staged="notes")
    editor = Conversation(role=Role.EDITOR, asked_by=planner, refusals=3)
    back = refuse_reply(editor, Refused(summary="no block", feedback="told", staged="half"), 4)
    assert (back.reply, back.refusals, back.feedback, back.staged) == ("plan", 1, "told", "notes")


def test_a_revision_that_was_refused_is_a_warning_and_no_version() -> None:
    story = Story(reviewer_model="r/m")
    story.complete_run()
    story.ask()
    state = take_review(story.state, Reviewed(run=1, judgement="revise", commit="r1", refused="Name is frozen"))
    assert state.idea_version == 1 and state.code.head == "r1" and state.reviewing is None
    assert state.warnings == ("the revision of the idea after run 1 was left out: Name is frozen",)
