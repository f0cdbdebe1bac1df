"""How many tokens a text is, without the model's tokenizer: rather too many than too few."""

from __future__ import annotations

import math
from collections.abc import Iterable

from agent.core.model.messages import Message

__all__ = ["count_tokens", "estimate_tokens"]

CHARS_PER_TOKEN = 3.0  # of code and English; tokenizers in use make 3.1 to 4.2 of them
MESSAGE_TOKENS = 8


def estimate_tokens(text: str) -> int:
    """Tokens of a text; a character outside ASCII counts as one."""
    wide = 0 if text.isascii() else sum(ord(c) > 127 for c in text)
    return math.ceil((len(text) - wide) / CHARS_PER_TOKEN) + wide


def count_tokens(messages: Iterable[Message]) -> int:
    """Tokens of a request."""
    return sum(estimate_tokens(m.content) + MESSAGE_TOKENS for m in messages)
