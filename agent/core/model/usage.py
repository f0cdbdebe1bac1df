"""Tokens that a provider counted, read from its own JSON. A count that cannot be is unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Usage", "read_count", "read_usage"]

# No request has more, and no reply.
MOST_TOKENS: Final = 20_000_000

_IN: Final = ("prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens", "prompt_eval_count")
_OUT: Final = ("completion_tokens", "output_tokens", "candidatesTokenCount", "outputTokens", "eval_count")
# Tokens of the prompt that some providers do not count among the others.
_BESIDE: Final = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
)
_CACHED: Final = ("cached_tokens", "prompt_cache_hit_tokens", "cachedContentTokenCount", *_BESIDE[::2])


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. None: not counted. tokens_in includes tokens_cached."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int = 0

    @property
    def is_counted(self) -> bool:
        return bool(self.tokens_in or self.tokens_out)


def read_usage(data: Mapping[str, Any]) -> Usage:
    """The usage in an answer of any provider."""
    found = next((data[n] for n in ("usage", "usageMetadata") if isinstance(data.get(n), dict)), data)
    inner = found.get("tokens")  # Cohere's
    usage = inner if isinstance(inner, dict) else found
    tokens_in, tokens_out = _first(usage, _IN), _first(usage, _OUT)
    total = _first(usage, ("total_tokens", "totalTokenCount", "totalTokens"))
    if tokens_out is None and tokens_in is not None and total is not None:
        tokens_out = max(0, total - tokens_in)
    thoughts = read_count(usage.get("thoughtsTokenCount"))
    if thoughts:
        tokens_out = (tokens_out or 0) + thoughts
    if "prompt_tokens" not in usage and tokens_in is not None:
        tokens_in += sum(read_count(usage.get(name)) or 0 for name in _BESIDE)
    details = [usage.get(name) for name in ("prompt_tokens_details", "input_tokens_details")]
    places = [usage, *(detail for detail in details if isinstance(detail, dict))]
    cached = next((count for place in places if (count := _first(place, _CACHED))), 0)
    return Usage(tokens_in, tokens_out, min(cached, tokens_in or 0))


def read_count(value: Any) -> int | None:
    """A number of tokens: a whole number, also as a text or a float. Anything else is unknown."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return int(value) if 0 <= value <= MOST_TOKENS else None


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((count for name in names if (count := read_count(usage.get(name))) is not None), None)
