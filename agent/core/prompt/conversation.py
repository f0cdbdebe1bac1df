"""The requests of one conversation: its opening, and how it goes on after a reply that led to no attempt."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent.core.edit.seen import Ranges, as_ranges, carry, reveal
from agent.core.journal.events import Purpose, Role
from agent.core.journal.state import State
from agent.core.model.messages import Message, to_dicts
from agent.core.model.tokens import count_tokens
from agent.core.prompt.excerpt import render_excerpt
from agent.core.prompt.fit import FILE_CHARS, fit, fit_conversation, fits
from agent.core.prompt.render import render_opening, render_repair
from agent.core.prompt.view import TurnView
from agent.core.reply.outcome import Refusal
from agent.core.text.redact import Redactor

__all__ = ["Prompt", "Talk", "continue_talk", "excerpt_staged", "load_talk", "open_talk", "opening_purpose"]


@dataclass(frozen=True, slots=True)
class Talk:
    """Messages, and of the files that they show in part, which lines of the newest commit's texts."""

    messages: tuple[Message, ...]
    shown: dict[str, Ranges] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt(Talk):
    """A request before it is sent, and the view that its last message was rendered from."""

    view: TurnView = field(kw_only=True)

    def without_keys(self, redact: Redactor) -> Prompt:
        """The request as it may leave this machine."""
        return replace(self, messages=tuple(Message(m.role, redact(m.content)) for m in self.messages))

    def to_json(self, **more: Any) -> str:
        """The request as it is kept; `more` goes in front."""
        stored = {**more, "messages": to_dicts(self.messages), "shown": self.shown}
        return json.dumps(stored, ensure_ascii=False, indent=1)


def load_talk(text: str) -> Talk:
    """A request as it was kept; one from before files were shown in part showed all."""
    stored = json.loads(text)
    return Talk(tuple(Message(m["role"], m["content"]) for m in stored["messages"]), as_ranges(stored.get("shown", {})))


def excerpt_staged(
    refusal: Refusal, files: Mapping[str, str], before: Mapping[str, str], shown: Mapping[str, Ranges]
) -> Refusal:
    """The refusal as it is told: of files that were shown in part, the good blocks' results are shown in part too.

    files: the newest commit's texts, which `shown` is about; before: those that the reply was applied to.
    """
    staged = {
        name: render_excerpt(text, carry(shown[name], files[name], text))
        if name in shown and name in files and text != before.get(name)
        else text
        for name, text in refusal.staged.items()
    }
    return replace(refusal, staged=staged)


def opening_purpose(state: State) -> Purpose:
    """What the conversation about the run number at work began with."""
    if state.reviewing:
        return Purpose.REVIEW
    if state.attempt.conversation.role is Role.EDITOR:
        return Purpose.EDIT
    return Purpose.FIX if state.run.failures else Purpose.NEXT if state.rows else Purpose.PLAN


def open_talk(view: TurnView, budget_tokens: int | None) -> Prompt:
    """A new conversation within a budget."""
    fitted = fit(view, budget_tokens)
    return Prompt(tuple(render_opening(fitted)), fitted.shown, view=fitted)


def continue_talk(
    view: TurnView,
    past: Talk,
    reply: str,
    files: Mapping[str, str],
    staged: Mapping[str, str],
    budget_tokens: int | None,
    reopen: Callable[[int], Prompt],
) -> Prompt:
    """The conversation with the last reply and what was wrong with it.

    files: the newest commit's texts; staged: what good blocks made of them. reopen: the opening anew within a budget,
    for a conversation that has grown too long.
    """
    shown = reveal(past.shown, view.texts.feedback, files, staged)
    view = replace(view, shown=shown)
    told, is_whole = Message("user", render_repair(view)), False
    if view.purpose is Purpose.WHOLE and shown:
        texts = {name: staged.get(name, files[name]) for name in shown if name in files}
        whole = Message("user", render_repair(replace(view, shown={}, whole=texts)))
        grown = [*past.messages, Message("assistant", reply), whole]
        if max(map(len, texts.values())) <= FILE_CHARS and fits(fit_conversation(grown, budget_tokens), budget_tokens):
            told, shown, is_whole = whole, {}, True
    messages = fit_conversation([*past.messages, Message("assistant", reply), told], budget_tokens)
    if budget_tokens is None or fits(messages, budget_tokens):
        return Prompt(tuple(messages), shown, view=view)
    opening = reopen(max(0, budget_tokens - count_tokens(messages[-2:])))
    kept = {} if is_whole else opening.shown
    return Prompt((*opening.messages, *messages[-2:]), reveal(kept, view.texts.feedback, files, staged), view=view)
