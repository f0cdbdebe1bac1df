"""The role that is asked at a turn, and the chats of editor and reviewer: parts of the fold."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from agent.core.journal.action_results import Answered, Asked, Handed, Refused, Reviewed
from agent.core.journal.kinds import Purpose, Role
from agent.core.journal.state import Chat, Conversation, ReviewChat, State

REVIEW_MISSES = 1


def role_of(state: State, purpose: Purpose) -> Role:
    """The role that is asked. A repair is asked of the role that wrote the reply."""
    match purpose:
        case Purpose.REVIEW | Purpose.REFLECT:
            return Role.REVIEWER
        case Purpose.EDIT:
            return Role.EDITOR
        case Purpose.REPAIR | Purpose.WHOLE:
            return state.attempt.conversation.role
        case Purpose.PLAN | Purpose.NEXT | Purpose.FIX | Purpose.PLOT | Purpose.NOTES:
            return Role.PLANNER
        case _:
            assert_never(purpose)


def chat_of(state: State, purpose: Purpose) -> Chat:
    """The chat that a request for this purpose belongs to."""
    if state.reviewing and role_of(state, purpose) is Role.REVIEWER:
        return state.reviewing
    return state.attempt.conversation


def hear(state: State, asked: Asked) -> State:
    """The state with the reply in the chat that it belongs to."""
    cut = asked.finish_reason == "length"
    if state.reviewing and asked.role is Role.REVIEWER:
        review = replace(state.reviewing, request=asked.request, reply=asked.reply, cut=cut)
        return replace(state, reply=asked.reply, reviewing=review)
    chat = replace(
        state.attempt.conversation,
        purpose=asked.purpose,
        request=asked.request,
        reply=asked.reply,
        cut=cut,
        role=asked.role,
    )
    return replace(state, reply=asked.reply, attempt=replace(state.attempt, conversation=chat))


def hand_over(state: State, handed: Handed) -> State:
    """The state in which the editor, in a new chat, carries the planner's instruction out."""
    planner = replace(state.attempt.conversation, staged=handed.staged)
    chat = Conversation(
        purpose=Purpose.EDIT,
        role=Role.EDITOR,
        instruction=handed.instruction,
        staged=handed.staged,
        asked_by=planner,
    )
    attempt = replace(state.attempt, conversation=chat)
    return replace(state, reply=None, attempt=attempt, plan=state.plan if handed.plan is None else handed.plan)


def refuse_reply(chat: Conversation, refused: Refused, tries: int) -> Conversation:
    """The chat that goes on: the editor's while it has tries left, then the planner's.

    The request for whole functions is the last one of a chat, also if it came early.
    """
    told = replace(
        chat,
        refusals=max(tries, chat.refusals + 1) if chat.purpose is Purpose.WHOLE else chat.refusals + 1,
        stuck=refused.stuck,
        is_answered=False,
        revealed=(),
        feedback=refused.feedback,
        staged=refused.staged,
        summary=refused.summary,
    )
    if chat.asked_by is None or told.refusals < tries:
        return told
    return refuse_reply(chat.asked_by, replace(refused, staged=chat.asked_by.staged, stuck=""), tries)


def answer_reply(state: State, answered: Answered) -> State:
    """The state in which the same chat goes on with the code that its last reply asked to see."""
    chat = replace(
        state.attempt.conversation,
        answers=state.attempt.conversation.answers + 1,
        is_answered=True,
        revealed=tuple(answered.shown.items()),
        feedback=answered.feedback,
        staged=answered.staged,
    )
    state = replace(state, plan=state.plan if answered.plan is None else answered.plan).want(answered.wanted)
    return replace(state, reply=None, attempt=replace(state.attempt, conversation=chat))


def begin_review(state: State, run: int) -> State:
    """The state in which a completed run is to be judged, if there is a reviewer and the run is no control."""
    if not state.launched.reviewer_model or state.launched.control:
        return state
    return replace(state, reviewing=ReviewChat(run=run))


def miss_review(state: State, refused: Refused) -> State:
    """The state after a review that could not be read: one repair is asked for.

    Then the last review that could be read stands, or there is none. Neither ends nor blocks an idea.
    """
    chat = state.reviewing
    assert chat
    chat = replace(chat, misses=chat.misses + 1, feedback=refused.feedback)
    if chat.misses <= REVIEW_MISSES:
        return replace(state, reply=None, reviewing=chat)
    if chat.draft:
        return replace(state, reply=chat.draft, reviewing=replace(chat, rounds=state.launched.reflections, cut=False))
    warning = f"the review of run {chat.run} was left out: {refused.summary}"
    return replace(state, reply=None, reviewing=None, warnings=(*state.warnings, warning))


def take_review(state: State, reviewed: Reviewed) -> State:
    """The state with the review of the run, or with a draft that the reviewer may still change."""
    chat = state.reviewing
    assert chat
    if not reviewed.final:
        chat = replace(chat, draft=chat.reply, rounds=chat.rounds + 1, feedback="")
        return replace(state, reply=None, reviewing=chat)
    refused = f"the revision of the idea after run {chat.run} was left out: {reviewed.refused}"
    return replace(
        state,
        reply=None,
        reviewing=None,
        code=replace(state.code, head=reviewed.commit or state.code.head),
        idea_version=reviewed.version,
        rows=tuple(replace(row, review=reviewed) if row.run == reviewed.run else row for row in state.rows),
        warnings=(*state.warnings, refused) if reviewed.refused else state.warnings,
    )
