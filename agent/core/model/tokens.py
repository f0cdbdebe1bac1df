"""Estimates of tokens from characters, without the model's tokenizer."""

from __future__ import annotations

import math
from collections.abc import Iterable

from agent.core.model.messages import Message

__all__ = [
    "CHARS_PER_TOKEN",
    "LEAST_CHARS_PER_TOKEN",
    "LEAST_REPLY_TOKENS",
    "count_tokens",
    "drops_front",
    "estimate_tokens",
    "own_reply_tokens",
    "room_for_reply",
]

# Characters of code and English in a token. Tokenizers in use put 3.1 to 4.2 of them into one. Budgets and rate limits
# are forecast with this mean until a provider has counted a request of the same kind.
CHARS_PER_TOKEN = 3.5
# A prompt that is a little too long is refused, and one that is a little too short costs nothing. So a prompt is
# measured with less than every tokenizer needs, which makes its count too high.
LEAST_CHARS_PER_TOKEN = 3.0
MESSAGE_TOKENS = 8  # of the marks around a message
# A server with a smaller window than this cannot hold a conversation, so that its counts are of another kind.
LEAST_WINDOW_TOKENS = 1024
# No tokenizer puts so many characters of a prompt into one token.
MOST_CHARS_PER_TOKEN = 8.0
# A prompt with so many in one is suspect, if another one of different length had the same count.
SUSPECT_CHARS_PER_TOKEN = 5.0
UNLIKE = 1.05  # lengths of two prompts that differ
# A reply of fewer tokens holds no edit.
LEAST_REPLY_TOKENS = 512
# Of a server whose window is unknown.
OWN_REPLY_TOKENS = 8192


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rather too many than too few. A character outside ASCII counts as one."""
    wide = len(text) - len(text.encode("ascii", "ignore"))
    return math.ceil((len(text) - wide) / LEAST_CHARS_PER_TOKEN) + wide


def count_tokens(messages: Iterable[Message]) -> int:
    """Tokens of a request, rather too many than too few."""
    return sum(estimate_tokens(m.content) + MESSAGE_TOKENS for m in messages)


def drops_front(chars: int, counted: int, before: tuple[int, int] | None = None) -> bool:
    """Whether a server that counted so few tokens of a prompt of `chars` characters left out its beginning.

    before: characters and count of another prompt.
    """
    if counted < LEAST_WINDOW_TOKENS:
        return False
    if chars > MOST_CHARS_PER_TOKEN * counted:
        return True
    unlike = before is not None and max(before[0], chars) > UNLIKE * min(before[0], chars)
    return unlike and before is not None and before[1] == counted and chars > SUSPECT_CHARS_PER_TOKEN * counted


def own_reply_tokens(window_tokens: int | None) -> int:
    """Most tokens of a reply where nobody set them: a quarter of the window, as a prompt leaves."""
    return OWN_REPLY_TOKENS if window_tokens is None else max(LEAST_REPLY_TOKENS, window_tokens // 4)


def room_for_reply(window_tokens: int | None, prompt_tokens: int, output_tokens: int | None) -> int | None:
    """Tokens to ask for: those of the settings, or those that the prompt leaves free in the window if that is fewer."""
    if output_tokens is None or window_tokens is None:
        return output_tokens
    return min(output_tokens, max(window_tokens - prompt_tokens, LEAST_REPLY_TOKENS))
