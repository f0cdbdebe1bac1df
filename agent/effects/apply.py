"""Apply a reply: commit its edit, hand it over to the editor, answer its question, or refuse it with the reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from agent.core.edit.apply import has_blocks
from agent.core.edit.seen import carry
from agent.core.journal.action_results import Answered, Applied, Handed, Refused
from agent.core.journal.kinds import Role, Stage
from agent.core.journal.state import State
from agent.core.model.tokens import LEAST_CHARS_PER_TOKEN
from agent.core.prompt.answer import ANSWER_CHARS, CodeAnswer, answer_request
from agent.core.prompt.conversation import excerpt_staged
from agent.core.prompt.parts import room_of
from agent.core.prompt.render import render_no_change, render_refusal
from agent.core.prompt.view import shown_files
from agent.core.reply.code_request import CodeRequest
from agent.core.reply.inquiry import Inquiry
from agent.core.reply.outcome import read_reply, refuse_unread
from agent.core.reply.turn import Edit, Handover, Refusal, Turn
from agent.core.text.reasoning import strip_reasoning
from agent.edges.model.replay import ReplayModel
from agent.edges.system.reader import Unread, read_apart
from agent.effects.commit import commit, trailers_of
from agent.effects.edges import Edges
from agent.effects.turn import take_turn


def apply(edges: Edges, state: State, key: str) -> Applied | Handed | Answered | Refused:
    """Apply the edit of the last reply to the newest commit, hand it over to the editor, answer it, or refuse it."""
    if refused := _refused_in_recording(edges, state):
        return refused
    turn = take_turn(edges, state, state.attempt.conversation.purpose)
    outcome = read_apart(edges.workspace.is_stopped, read_reply, state, turn)
    if isinstance(outcome, Unread):
        outcome = refuse_unread(outcome.why)
    match outcome:
        case Refusal():
            return _refuse(edges, state, turn, outcome)
        case Handover():
            words = edges.journal.put(outcome.instruction)
            kept = _put_staged(edges, outcome.staged)
            return Handed(instruction=words, staged=kept, plan=outcome.plan, item=outcome.item)
        case Inquiry():
            return _answer(edges, state, turn, outcome, _put_staged(edges, outcome.staged))
        case Edit():
            return _carry_out(edges, state, outcome, key)
        case _:
            assert_never(outcome)


def _refused_in_recording(edges: Edges, state: State) -> Refused | None:
    """The refusal of this reply in the recording that is replayed, with its texts. None if there is none."""
    role = state.attempt.conversation.role
    model = edges.models.of(role)
    if not isinstance(model, ReplayModel):
        return None
    found = model.refusal_of(role, state.spent.replies.get(role, 0), state.launched.template_hash)
    if found is None:
        return None
    refused, read = found
    staged = edges.journal.put(read(refused.staged)) if refused.staged else None
    return replace(refused, feedback=edges.journal.put(read(refused.feedback)), staged=staged)


def _refuse(edges: Edges, state: State, turn: Turn, refusal: Refusal) -> Refused:
    """The refusal in words for whoever repairs it: the planner, once the editor's own repairs are spent."""
    chat = state.attempt.conversation
    if chat.asked_by and chat.refusals + 1 >= state.tries:
        words = "" if refusal.is_unread else strip_reasoning(turn.reply)
        feedback = render_no_change(refusal.summary, "" if has_blocks(words) else words)
    else:
        shown = shown_files(state.stage, edges.template.spec)
        base = turn.base
        told = excerpt_staged(refusal, turn)
        feedback = render_refusal(told, {name: base[name] for name in shown if name in base})
        if refusal.wanted:
            feedback += f"\n\n{_show_code(edges, state, turn, CodeRequest(refusal.wanted)).text}"
    return Refused(
        summary=refusal.summary,
        feedback=edges.journal.put(feedback),
        plan=refusal.plan,
        staged=_put_staged(edges, refusal.staged),
        stuck=refusal.stuck if state.stage is Stage.EXPERIMENTS else "",
        wanted=refusal.wanted,
    )


def _answer(edges: Edges, state: State, turn: Turn, inquiry: Inquiry, staged: str | None) -> Answered:
    """The answer as an event. staged: blob of files that earlier replies changed."""
    found = _show_code(edges, state, turn, inquiry.request)
    shown = {n: carry(ranges, turn.base[n], turn.files[n]) for n, ranges in found.shown.items() if n in turn.files}
    return Answered(
        wanted=inquiry.request.places,
        feedback=edges.journal.put(found.text),
        shown=shown,
        staged=staged,
        plan=inquiry.plan,
    )


def _show_code(edges: Edges, state: State, turn: Turn, request: CodeRequest) -> CodeAnswer:
    """The code that was asked for, within what the window of the model allows."""
    window = edges.models.of(state.attempt.conversation.role).window_tokens
    room = min(ANSWER_CHARS, int(LEAST_CHARS_PER_TOKEN * room_of(window)))
    return answer_request(request, turn.readable, turn.editable, room_chars=room)


def _put_staged(edges: Edges, staged: Mapping[str, str]) -> str | None:
    return edges.journal.put(json.dumps(staged)) if staged else None


def _carry_out(edges: Edges, state: State, outcome: Edit, key: str) -> Applied:
    role = state.attempt.conversation.role
    trailers = trailers_of(state, key) | {"Model": edges.models.of(role).name}
    if role is Role.EDITOR:
        trailers["Planner"] = edges.models.planner.name
    if outcome.item is not None:
        trailers["Plan-Item"] = str(outcome.item)
    return Applied(
        intent=outcome.intent,
        commit=commit(edges.repo, outcome.changes, outcome.subject, trailers),
        changed=tuple(sorted(outcome.changes)),
        subject=outcome.subject,
        code=outcome.code,
        plan=outcome.plan,
        item=outcome.item,
        dropped=outcome.dropped,
        wanted=outcome.wanted,
    )
