"""Values that every provider has in common: turns that came, replies, refusals and answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Body", "Headers", "Refusal", "Reply", "Response", "Turn", "count_tokens", "dump", "texts_of"]

Body = dict[str, Any]
Headers = tuple[tuple[str, str], ...]

JSON: Headers = (("Content-Type", "application/json"),)
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_TURN = 4


@dataclass(frozen=True)
class Response:
    """One answer, whose `body` is sent as it is."""

    status: int
    body: bytes
    headers: Headers = JSON


@dataclass(frozen=True)
class Refusal:
    """An error before it is put in a provider's envelope."""

    # HTTP status.
    status: int
    message: str
    # The error's type, status or exception name, as the provider calls it.
    kind: str = "invalid_request_error"
    code: str | int | None = None
    # The field at fault.
    param: str | None = None
    headers: Headers = ()
    # Gemini's list.
    details: tuple[Body, ...] = ()
    # The whole body, if it is not in the provider's usual envelope.
    bare: Body | str | None = None


@dataclass(frozen=True)
class Turn:
    """One message of a request. `keys` are fields beside role and content, `at` its index in the list that was sent."""

    role: str
    texts: tuple[str, ...]
    at: int = 0
    keys: frozenset[str] = frozenset()
    prefix: bool = False

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


@dataclass(frozen=True)
class Reply:
    """A reply of the model. Tokens are counted from the text if they are None."""

    text: str
    reasoning: str = ""
    finish: str = "stop"
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None


def count_tokens(turns: Sequence[Turn]) -> int:
    """Tokens of a request, at four characters each and four a message."""
    return sum(-(-len(turn.text) // CHARACTERS_PER_TOKEN) + TOKENS_PER_TURN for turn in turns)


def count_reply_tokens(reply: Reply) -> int:
    return -(-(len(reply.text) + len(reply.reasoning)) // CHARACTERS_PER_TOKEN)


def texts_of(content: Any) -> tuple[str, ...]:
    """The texts of a content field: a string, a list of blocks with `text`, or null."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (content,)
    return tuple(str(block["text"]) for block in content if isinstance(block, dict) and "text" in block)


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()
