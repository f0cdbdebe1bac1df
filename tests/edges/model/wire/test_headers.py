"""Waits and limits as providers write them into headers."""

from __future__ import annotations

import pytest

from agent.edges.model.wire.headers import RateLimits, lower_names, read_limits, retry_after_s

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:12:20 GMT"}, 0.0),
        ({"retry-after": "30s"}, 30.0),
        ({"retry-after": "later"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Mon, 1 Jan 2024 10:00:00 +99999999999999999999"}, None),
        ({"llm_provider-retry-after": "3"}, 3.0),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_a_number_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(lower_names(headers), NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        (
            {
                "x-ratelimit-limit-tokens": "40000",
                "x-ratelimit-remaining-tokens": "38000",
                "x-ratelimit-reset-tokens": "3s",
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-reset-requests": "120ms",
            },
            RateLimits(40_000, 38_000, 500, 499),
        ),
        (
            {"anthropic-ratelimit-tokens-limit": "40000", "anthropic-ratelimit-tokens-remaining": "0"},
            RateLimits(40_000, 0),
        ),
        (
            {"x-ratelimit-limit-tokens-minute": "40000", "x-ratelimit-remaining-tokens-minute": "100"},
            RateLimits(40_000, 100),
        ),
        (
            {
                "x-ratelimit-limit-requests": "14400",
                "x-ratelimit-remaining-requests": "14370",
                "x-ratelimit-reset-requests": "2m59.56s",
            },
            RateLimits(),
        ),
        ({"x-ratelimit-limit-tokens": "unlimited"}, RateLimits()),
        ({"x-ratelimit-limit-tokens": "9" * 400}, RateLimits()),
        ({}, RateLimits()),
    ],
    ids=["openai", "anthropic", "mistral", "by the day", "no number", "beyond all numbers", "none"],
)
def test_limits_by_the_minute(headers: dict[str, str], limits: RateLimits) -> None:
    assert read_limits(lower_names(headers), NOW) == limits
