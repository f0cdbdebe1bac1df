"""The message sequence of a request, brought to the one form that every chat provider accepts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from agent.core.model.rules import RuleTable
from agent.core.text.plain import map_texts, without_surrogates

__all__ = [
    "CONTINUE",
    "OPENING",
    "ChatRole",
    "Message",
    "Rules",
    "normalise",
    "rules_for",
    "scrub",
    "stricter",
    "to_dicts",
    "without_surrogates",
]

ChatRole = Literal["system", "user", "assistant"]

# Said by the orchestrator, which is the user: no word is ever put in the model's mouth, and no reply changes its role.
OPENING: Final = "[The beginning of this conversation is left out.]"
CONTINUE: Final = "Go on."

MOST_NESTED: Final = 60  # JSON values within one another

QUOTED_REPLY: Final = "[Your reply was:]"
QUOTED_ANSWER: Final = "[To that the user said:]"
# "[Your reply was:]" at the beginning of a line of somebody's text
_TURN: Final = re.compile(rf"^[ \t]*(?:{re.escape(QUOTED_REPLY)}|{re.escape(QUOTED_ANSWER)})", re.MULTILINE)

_SEPARATOR: Final = "\n\n"
_BUILT_IN: Final = RuleTable()


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: ChatRole
    content: str


@dataclass(frozen=True, slots=True)
class Rules:
    """A model's demands on the sequence, from the common form to the strictest."""

    # False: there is no system role, and its text opens the first user message.
    system: bool = True
    # One user message quotes the conversation, for a model that refuses every other order.
    single: bool = False


def rules_for(model: str, table: RuleTable = _BUILT_IN) -> Rules:
    """The rules of a litellm model name, whatever provider serves it, or the default if nothing is known of it."""
    return Rules(system=table.find(model).system is not False)


def stricter(rules: Rules, messages: Sequence[Message]) -> Rules | None:
    """The mildest stricter rules under which these messages are sent in another form, or None."""
    sent = normalise(messages, rules)
    for harder in (Rules(system=False), Rules(system=False, single=True)):
        if normalise(messages, harder) != sent and (harder.single or rules.system):
            return harder
    return None


def normalise(messages: Sequence[Message], rules: Rules) -> list[Message]:
    """The same words in an order that providers accept: [system], then user, assistant, ..., user.

    Blank messages are dropped, lone surrogates become U+FFFD, and same-role neighbours and all system messages are
    merged with a blank line between. Every other character stays, in order. If an assistant comes first, the user's
    OPENING comes before it. If an assistant comes last, or a system message stands alone, the user's CONTINUE follows.
    If all messages are blank, the list is empty.

    Under `single` the result is one user message: system text and first turn as they are, and each later turn under a
    line that says whose it is.

    Idempotent. Append-only: if `messages` ends with a user message that is not blank, the result for
    `messages + [assistant, user]`, both not blank, starts with the result for `messages`. Under `single` its one
    message does.
    """
    cleaned = [Message(m.role, without_surrogates(m.content)) for m in messages if m.content.strip()]
    system = _SEPARATOR.join(m.content for m in cleaned if m.role == "system")
    turns = [m for m in cleaned if m.role != "system"]
    if not system and not turns:
        return []
    if system and not rules.system:
        turns.insert(0, Message("user", system))
        system = ""
    if turns and turns[0].role == "assistant":
        turns.insert(0, Message("user", OPENING))
    if not turns or turns[-1].role == "assistant":
        turns.append(Message("user", CONTINUE))
    head = [Message("system", system)] if system else []
    merged = head + _merge_neighbours(turns)
    return [_quote(merged)] if rules.single else merged


def to_dicts(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages as the chat API takes them, with no key but `role` and `content`."""
    return [{"role": m.role, "content": m.content} for m in messages]


def _quote(turns: Sequence[Message]) -> Message:
    first = next(n for n, turn in enumerate(turns) if turn.role == "user")
    later = turns[first + 1 :]
    parts = [_own(turn.content) if later else turn.content for turn in turns[: first + 1]]
    for turn in later:
        parts += [QUOTED_REPLY if turn.role == "assistant" else QUOTED_ANSWER, _own(turn.content)]
    return Message("user", _SEPARATOR.join(parts))


def _own(content: str) -> str:
    """The content with a mark before lines that would pass for the beginning of another turn."""
    return _TURN.sub(r"> \g<0>", content)


def _merge_neighbours(turns: Sequence[Message]) -> list[Message]:
    groups: list[tuple[ChatRole, list[str]]] = []
    for turn in turns:
        if groups and groups[-1][0] == turn.role:
            groups[-1][1].append(turn.content)
        else:
            groups.append((turn.role, [turn.content]))
    return [Message(role, _SEPARATOR.join(contents)) for role, contents in groups]


def scrub(value: Any) -> Any:
    """JSON values with every text in them through without_surrogates: JSON readers refuse half a character.

    Raises: ValueError if they are nested so deeply that what is made of them could not be written.
    """
    if _is_deep(value):
        raise ValueError("it is nested too deeply")
    return map_texts(value, without_surrogates)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_NESTED):
        level = [
            item
            for holder in level
            if isinstance(holder, list | dict)
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
        if not level:
            return False
    return True
