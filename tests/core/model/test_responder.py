"""Changes of a request that a provider refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.model.faults import Fault, FaultKind, classify
from agent.core.model.messages import Message, Rules
from agent.core.model.own_servers import Place, ServerFacts
from agent.core.model.responder import Responder
from agent.core.model.rules import ModelRules
from agent.core.model.tokens import count_tokens

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


# Servers of one's own

OWN = Place("HOSTED_VLLM_API_BASE", "http://localhost:8080/v1")


def own(window: int | None = None, **rules: int) -> Responder:
    facts = ServerFacts(window) if window else None
    return Responder("hosted_vllm/m", ModelRules(**rules), Rules(), place=OWN, facts=facts)


@pytest.mark.parametrize(
    ("window", "rules", "most"),
    [
        (None, {}, 8192),
        (32_768, {}, 8192),
        (131_072, {}, 32_768),
        (1024, {}, 512),
        (None, {"max_output_tokens": 3000}, 3000),
        (4096, {"window_tokens": 65_536}, 16_384),
    ],
)
def test_a_server_of_ones_own_is_told_where_to_end(window: int | None, rules: dict[str, int], most: int) -> None:
    assert own(window, **rules).fit_reply(MESSAGES).max_output_tokens == most


def test_a_reply_has_no_more_than_the_prompt_leaves_free() -> None:
    long = [Message("user", "word " * 1900)]
    assert own(4096).fit_reply(long).max_output_tokens == 921
    assert own(4096).fit_reply(long).max_output_tokens == 4096 - count_tokens(long)


def test_other_providers_have_limits_of_their_own() -> None:
    assert responder(None).fit_reply(MESSAGES).max_output_tokens is None
    gateway = Responder("litellm_proxy/m", ModelRules(), Rules(), place=replace(OWN, needs_bound=False))
    assert gateway.fit_reply(MESSAGES).max_output_tokens is None


def test_after_a_reply_that_took_too_long_half_is_asked_for() -> None:
    asked, late = own(), Fault(FaultKind.TIMEOUT, "no complete answer within 600 s")
    lengths = []
    while asked.change(late, MESSAGES):
        lengths.append(asked.fit_reply(MESSAGES).max_output_tokens)
    assert lengths == [4096, 2048, 1024, 512]
    assert not own(max_output_tokens=4096).change(late, MESSAGES) and not responder(None).change(late, MESSAGES)


def test_a_length_that_the_server_refuses_is_lowered_and_not_left_out() -> None:
    asked = own()
    told = "max_tokens is too large: 8192. This model supports at most 2048 completion tokens"
    assert asked.change(classify(told, 400, "BadRequestError"), MESSAGES)
    assert asked.fit_reply(MESSAGES).max_output_tokens == 2048 and not asked.dropped
