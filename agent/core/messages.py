"""The message sequence of a request, brought to the one form that every chat provider accepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = [
    "CONTINUE",
    "OPENING",
    "Message",
    "Role",
    "Rules",
    "normalise",
    "rules_for",
    "scrub",
    "to_dicts",
    "without_surrogates",
]

Role = Literal["system", "user", "assistant"]

# Said by the orchestrator, which is the user: no word is ever put in the model's mouth, and no reply changes its role.
OPENING: Final = "[The beginning of this conversation is left out.]"
CONTINUE: Final = "Go on."

_SEPARATOR: Final = "\n\n"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What a model asks of the sequence; `system` False: no system role, its text opens the first user message."""

    name: str = "default"
    system: bool = True


_DEFAULT: Final = Rules()
_GEMMA: Final = Rules(name="gemma", system=False)
_O1_EARLY: Final = Rules(name="o1-early", system=False)

# Prefixes of any one part of a litellm name ("groq/gemma2-9b-it", "openrouter/google/gemma-2-27b-it:free").
# Gemma 1-3: the chat template has no system turn (2 raises, 3 folds it, the Gemini API refuses one).
_BY_PREFIX: Final[tuple[tuple[str, Rules], ...]] = (
    ("gemma-2", _GEMMA),
    ("gemma2", _GEMMA),
    ("gemma-3", _GEMMA),
    ("gemma3", _GEMMA),
    ("gemma-1", _GEMMA),
    ("gemma-7b", _GEMMA),
    ("gemma:", _GEMMA),
    ("o1-mini", _O1_EARLY),
    ("o1-preview", _O1_EARLY),
)


def rules_for(model: str) -> Rules:
    """The rules of a litellm model name, whatever provider serves it; the default where nothing else is known."""
    parts = model.strip().lower().split("/")
    for prefix, rules in _BY_PREFIX:
        if any(part.startswith(prefix) for part in parts):
            return rules
    return _DEFAULT


def normalise(messages: Sequence[Message], rules: Rules) -> list[Message]:
    """The same words in an order that providers accept: [system], then user, assistant, ..., user.

    Blank messages are dropped, lone surrogates become U+FFFD, same-role neighbours and all system messages are merged
    with a blank line between; every other character stays, in order. An assistant that comes first is preceded by the
    user's OPENING, one that comes last is followed by the user's CONTINUE, and so is a system message that stands
    alone. Nothing in, nothing out: no message of any substance gives an empty list.

    Idempotent. Append-only: where `messages` ends with a user message that is not blank, the result for
    `messages + [assistant, user]`, both not blank, starts with the result for `messages`.
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
    return head + _merge_neighbours(turns)


def to_dicts(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages as the chat API takes them, with no key but `role` and `content`."""
    return [{"role": m.role, "content": m.content} for m in messages]


def _merge_neighbours(turns: Sequence[Message]) -> list[Message]:
    groups: list[tuple[Role, list[str]]] = []
    for turn in turns:
        if groups and groups[-1][0] == turn.role:
            groups[-1][1].append(turn.content)
        else:
            groups.append((turn.role, [turn.content]))
    return [Message(role, _SEPARATOR.join(contents)) for role, contents in groups]


def without_surrogates(text: str) -> str:
    """Halves of a surrogate pair that stand together become the character they mean, the others U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def scrub(value: Any) -> Any:
    """JSON values with every text in them through without_surrogates: JSON readers refuse half a character."""
    match value:
        case str():
            return without_surrogates(value)
        case list():
            return [scrub(item) for item in value]
        case dict():
            return {scrub(key): scrub(item) for key, item in value.items()}
        case _:
            return value
