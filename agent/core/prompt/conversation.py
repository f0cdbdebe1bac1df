"""Requests of one chat: its opening, and the repairs after replies that led to no attempt."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from agent.core.edit.seen import Ranges, as_ranges, carry, reveal
from agent.core.failure.folding import cut_middle
from agent.core.journal.kinds import Purpose, Role, Stage
from agent.core.journal.state import State
from agent.core.model.messages import Message, to_dicts
from agent.core.model.tokens import count_tokens
from agent.core.prompt.excerpt import render_excerpt
from agent.core.prompt.fit import fit, fit_conversation, fits
from agent.core.prompt.parts import FILE_CHARS, room_of
from agent.core.prompt.render import render_opening, render_repair
from agent.core.prompt.view import TurnView
from agent.core.reply.turn import Refusal, Turn
from agent.core.text.lexer import find_unreadable
from agent.core.text.redact import Redactor

__all__ = ["ChatRequest", "Prompt", "continue_chat", "excerpt_staged", "load_request", "open_chat", "opening_purpose"]


UNREAD_CHARS = 4000  # of a reply that is too long to be read, in the request that asks for another


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The messages of a request.

    shown: for each file that they show in part, the lines of the newest commit's text that they show. answers: whether
    a reply that asks to see code is answered; versions that did not do so refused it.
    """

    messages: tuple[Message, ...]
    shown: dict[str, Ranges] = field(default_factory=dict)
    answers: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Prompt(ChatRequest):
    """A request before it is sent, with the view that its last message was rendered from."""

    view: TurnView = field(kw_only=True)

    def without_keys(self, redact: Redactor) -> Prompt:
        """The request in the form that may leave this machine."""
        return replace(self, messages=tuple(Message(m.role, redact(m.content)) for m in self.messages))

    def to_json(self, **more: Any) -> str:
        """The request in the form in which the journal keeps it, with `more` in front."""
        stored = {**more, "messages": to_dicts(self.messages), "shown": self.shown, "answers": self.answers}
        return json.dumps(stored, ensure_ascii=False, indent=1)


def load_request(text: str) -> ChatRequest:
    """A request that the journal kept. An old one without ranges of lines showed its files whole."""
    stored = json.loads(text)
    messages = tuple(Message(m["role"], m["content"]) for m in stored["messages"])
    return ChatRequest(messages, as_ranges(stored.get("shown", {})), stored.get("answers", False) is True)


def excerpt_staged(refusal: Refusal, turn: Turn) -> Refusal:
    """The refusal with staged texts as the model is told them.

    If a file was shown in part and this reply changed it, the same lines of the new text and the new lines are shown.
    """
    before = turn.base
    staged = {
        name: render_excerpt(text, carry(turn.seen[name], turn.files[name], text))
        if name in turn.seen and name in turn.files and text != before.get(name)
        else text
        for name, text in refusal.staged.items()
    }
    return replace(refusal, staged=staged)


def opening_purpose(state: State) -> Purpose:
    """The purpose of the first request of the chat about the run number at work."""
    if state.reviewing:
        return Purpose.REVIEW
    if state.stage in (Stage.PLOT, Stage.NOTES):
        return Purpose.PLOT if state.stage is Stage.PLOT else Purpose.NOTES
    if state.attempt.conversation.role is Role.EDITOR:
        return Purpose.EDIT
    return Purpose.FIX if state.run.failures else Purpose.NEXT if state.rows else Purpose.PLAN


def open_chat(view: TurnView, budget_tokens: int | None) -> Prompt:
    """A new chat within a budget."""
    fitted = fit(view, budget_tokens)
    return Prompt(tuple(render_opening(fitted)), fitted.shown, view=fitted)


def continue_chat(turn: Turn, view: TurnView, budget_tokens: int | None, reopen: Reopen) -> Prompt:
    """The chat with its last reply and the reason why that was refused.

    reopen: renders the opening of the chat anew within a budget, for a chat that has grown too long. If the last reply
    shows that more of the same leads nowhere, the chat begins anew.
    """
    if view.purpose is Purpose.WHOLE and view.state.attempt.conversation.stuck:
        return _begin_anew(turn, view, budget_tokens, reopen)
    reply = cut_middle(turn.reply, UNREAD_CHARS) if find_unreadable(turn.reply) else turn.reply
    exchanged = [*turn.past, Message("assistant", reply)]
    also = dict(view.state.attempt.conversation.revealed)
    shown = reveal(turn.seen, view.texts.feedback, turn.files, turn.base, also)
    view = replace(view, shown=shown)
    told, is_whole = Message("user", render_repair(view)), False
    if view.purpose is Purpose.WHOLE and shown:
        base = turn.base
        texts = {name: base[name] for name in shown if name in turn.files}
        whole = Message("user", render_repair(replace(view, shown={}, whole=texts)))
        grown = fit_conversation([*exchanged, whole], budget_tokens)
        is_short = max(map(len, texts.values())) <= FILE_CHARS or count_tokens(grown) <= room_of(budget_tokens)
        if is_short and fits(grown, budget_tokens):
            told, shown, is_whole = whole, {}, True
    messages = fit_conversation([*exchanged, told], budget_tokens)
    if budget_tokens is None or fits(messages, budget_tokens):
        return Prompt(tuple(messages), shown, view=view)
    opening = reopen(max(0, budget_tokens - count_tokens(messages[-2:])))
    kept = {} if is_whole else opening.shown
    shown = reveal(kept, view.texts.feedback, turn.files, turn.base, also)
    return Prompt((*opening.messages, *messages[-2:]), shown, view=view)


def _begin_anew(turn: Turn, view: TurnView, budget_tokens: int | None, reopen: Reopen) -> Prompt:
    """The opening of the chat, which holds none of its replies, with the reason against the last one at its end."""
    told = render_repair(view)
    room = None if budget_tokens is None else max(0, budget_tokens - count_tokens([Message("user", told)]))
    opening = reopen(room)
    *first, last = opening.messages
    also = dict(view.state.attempt.conversation.revealed)
    shown = reveal(opening.shown, view.texts.feedback, turn.files, turn.base, also)
    begun = (*first, Message("user", f"{last.content}\n\n{told}"))
    if shown and (whole := _with_whole_files(turn, replace(view, shown=shown))):
        grown = (*first, Message("user", f"{last.content}\n\n{whole.content}"))
        if fits(grown, budget_tokens):
            begun, shown = grown, {}
    return Prompt(begun, shown, view=replace(view, shown=shown))


def _with_whole_files(turn: Turn, view: TurnView) -> Message | None:
    """The repair's request with all of each file that the chat shows in part, None if one is too long for that."""
    base = turn.base
    texts = {name: base[name] for name in view.shown if name in turn.files}
    if max(map(len, texts.values()), default=0) > FILE_CHARS:
        return None
    return Message("user", render_repair(replace(view, shown={}, whole=texts)))


# Renders the opening of a chat within a budget of tokens, if there is one.
Reopen = Callable[[int | None], Prompt]
