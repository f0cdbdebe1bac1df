"""Headers of a provider's answer, read for the wait that they ask for and for rate limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from agent.core.model.fault_words import read_seconds

HALF_A_DAY_S = 43200.0


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Tokens and requests per minute, and how many of them are left. None if the provider does not say."""

    tokens: int | None = None
    tokens_left: int | None = None
    requests: int | None = None
    requests_left: int | None = None


def lower_names(headers: Mapping[str, object] | None) -> dict[str, str]:
    """Headers under lower-case names, without the prefix that litellm adds to some."""
    return {str(k).lower().removeprefix("llm_provider-"): str(v) for k, v in (headers or {}).items()}


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that Retry-After asks to wait, given as a number or as a date. `now` is in seconds since the epoch."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a time zone of twenty digits
        return read_seconds(text)
    return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now)


def read_limits(headers: Mapping[str, str], now: float) -> RateLimits:
    """Limits under OpenAI's, Anthropic's and Mistral's header names. `now` is in seconds since the epoch."""
    found = {}
    for what in ("tokens", "requests"):
        limit = _first(headers, f"x-ratelimit-limit-{what}", f"anthropic-ratelimit-{what}-limit")
        left = _first(headers, f"x-ratelimit-remaining-{what}", f"anthropic-ratelimit-{what}-remaining")
        reset_s = _reset_s(headers, what, now)
        if what == "tokens" and limit is None:
            limit = _first(headers, "x-ratelimit-limit-tokens-minute", "x-ratelimitbysize-limit-minute")
            left = _first(headers, "x-ratelimit-remaining-tokens-minute", "x-ratelimitbysize-remaining-minute")
        if limit and left is not None and reset_s and left < limit and reset_s * limit / (limit - left) > HALF_A_DAY_S:
            continue  # counted by the day
        found[what] = limit
        found[f"{what}_left"] = left
    return RateLimits(**found)


def _reset_s(headers: Mapping[str, str], what: str, now: float) -> float | None:
    """Seconds until the whole limit may be used again."""
    text = headers.get(f"x-ratelimit-reset-{what}", "")
    if text:
        # "59.5" in seconds, not "1m2.5s"
        return _number(text) if re.fullmatch(r"[\d.]+", text) else read_seconds(text)
    try:
        return datetime.fromisoformat(headers.get(f"anthropic-ratelimit-{what}-reset", "")).timestamp() - now
    except ValueError:
        return None


def _first(headers: Mapping[str, str], *names: str) -> int | None:
    for name in names:
        number = _number(headers.get(name))
        if number is not None:
            return int(number)
    return None


def _number(text: str | None) -> float | None:
    # "20", "7.66"
    return float(text) if text and re.fullmatch(r"\d{1,15}(\.\d*)?", text.strip()) else None
