"""Estimates of tokens from characters, without the model's tokenizer."""

from __future__ import annotations

import math
from collections.abc import Iterable

from agent.core.model.messages import Message

__all__ = ["CHARS_PER_TOKEN", "count_tokens", "estimate_tokens"]

# Characters of code and English in a token. Tokenizers in use put 3.1 to 4.2 of them into one. Budgets and rate limits
# are forecast with this mean until a provider has counted a request of the same kind.
CHARS_PER_TOKEN = 3.5
# A prompt that is a little too long is refused, and one that is a little too short costs nothing. So a prompt is
# measured with less than every tokenizer needs, which makes its count too high.
LEAST_CHARS_PER_TOKEN = 3.0
MESSAGE_TOKENS = 8  # of the marks around a message


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rather too many than too few. A character outside ASCII counts as one."""
    wide = 0 if text.isascii() else sum(ord(c) > 127 for c in text)
    return math.ceil((len(text) - wide) / LEAST_CHARS_PER_TOKEN) + wide


def count_tokens(messages: Iterable[Message]) -> int:
    """Tokens of a request, rather too many than too few."""
    return sum(estimate_tokens(m.content) + MESSAGE_TOKENS for m in messages)
