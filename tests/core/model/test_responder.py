"""Changes of a request that a provider refused."""

from __future__ import annotations

import pytest

from agent.core.model.faults import classify
from agent.core.model.messages import Message, Rules
from agent.core.model.responder import Responder
from agent.core.model.rules import ModelRules

MESSAGES = [Message("system", "Rules."), Message("user", "What next?")]


def responder(most: int | None = 100_000) -> Responder:
    return Responder("openai/m", ModelRules(max_output_tokens=most), Rules())


@pytest.mark.parametrize(
    ("told", "most", "dropped"),
    [
        ("max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens", 64_000, set()),
        ("max_tokens is too large: 100000.", 100_000, {"max_tokens"}),
        ("max_tokens is too large. This model supports at most 100 tokens", 100_000, {"max_tokens"}),
    ],
)
def test_as_long_a_reply_as_the_provider_allows_is_asked_for(told: str, most: int, dropped: set[str]) -> None:
    asked = responder()
    assert asked.change(classify(told, 400, "BadRequestError"), MESSAGES)
    assert (asked.fit_reply(MESSAGES).max_output_tokens, asked.dropped) == (most, dropped)


def test_a_request_that_is_refused_without_a_reason_is_sent_in_other_forms() -> None:
    asked, refused = responder(), classify("no", 400, "BadRequestError")
    assert str(refused.kind) == "request refused"
    assert asked.change(refused, MESSAGES) and asked.shape == Rules(system=False)
    assert not asked.change(refused, MESSAGES)
