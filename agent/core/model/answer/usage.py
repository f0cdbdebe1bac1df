"""Tokens that a provider counted, read from its own JSON. A count that cannot be is unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Usage", "read_count", "read_usage"]

# No request has more, and no reply.
MOST_TOKENS: Final = 20_000_000

_IN: Final = (
    "prompt_tokens",
    "input_tokens",
    "promptTokenCount",
    "inputTokens",
    "prompt_eval_count",
    "prompt_token_count",
)
_OUT: Final = (
    "completion_tokens",
    "output_tokens",
    "candidatesTokenCount",
    "outputTokens",
    "eval_count",
    "candidates_token_count",
)
_TOTAL: Final = ("total_tokens", "totalTokenCount", "totalTokens", "total_token_count")
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
        """Whether any tokens were counted."""
        return bool(self.tokens_in or self.tokens_out)

    @property
    def is_whole(self) -> bool:
        """Whether both prompt and reply were counted. No prompt has no tokens."""
        return bool(self.tokens_in) and self.tokens_out is not None

    @property
    def total(self) -> int:
        return (self.tokens_in or 0) + (self.tokens_out or 0)


def read_usage(data: Mapping[str, Any]) -> Usage:
    """The usage in an answer of any provider."""
    usage = _place_of(data)
    tokens_in, tokens_out, total = (_first(usage, names) for names in (_IN, _OUT, _TOTAL))
    if tokens_in is None and total is not None:
        tokens_in = total - tokens_out if tokens_out is not None and tokens_out <= total else total
    if "prompt_tokens" not in usage and tokens_in is not None:
        tokens_in += sum(read_count(usage.get(name)) or 0 for name in _BESIDE)
    thoughts = read_count(usage.get("thoughtsTokenCount")) or 0
    if thoughts and not (tokens_in and total == tokens_in + (tokens_out or 0)):  # else they are counted already
        tokens_out = (tokens_out or 0) + thoughts
    if total is not None and tokens_in and total > tokens_in + (tokens_out or 0):
        tokens_out = total - tokens_in  # thoughts that some count in the sum alone
    details = [usage.get(name) for name in ("prompt_tokens_details", "input_tokens_details")]
    places = [usage, *(detail for detail in details if isinstance(detail, dict))]
    cached = next((count for place in places if (count := _first(place, _CACHED))), 0)
    return Usage(tokens_in, tokens_out, min(cached, tokens_in or 0))


def _place_of(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object with the counts, or the answer itself."""
    choices, groq = data.get("choices"), data.get("x_groq")
    places = [data, choices[0] if isinstance(choices, list) and choices else None, groq]
    names = ("usage", "usageMetadata", "usage_metadata")
    holders = [place for place in places if isinstance(place, dict)]
    found = next((place[n] for place in holders for n in names if isinstance(place.get(n), dict)), data)
    inner = found.get("tokens")  # Cohere's
    return inner if isinstance(inner, dict) else found


def read_count(value: Any) -> int | None:
    """A number of tokens: a whole number, also as a text or as 3.0. Anything else is unknown."""
    if isinstance(value, str) and len(value) < 20:
        figures = value.strip().replace(",", "")
        value = int(figures) if figures.isascii() and figures.isdigit() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return None
    return int(value) if 0 <= value <= MOST_TOKENS else None


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((count for name in names if (count := read_count(usage.get(name))) is not None), None)
