"""Every fault through the real litellm ends in a reply, or in a pause that says why: nothing else.

A few modes stand for all here. tests/bench/provider_matrix.py plays every one.
"""

from __future__ import annotations

import pytest

from agent.core.model.messages import Message
from agent.edges.model.client import LiteLLMModel
from agent.edges.model.patience import ProviderPatience
from agent.edges.model.protocol import Request
from tests.fakes import FakeClock
from tests.provider.cells import MESSAGES, REPLY, VIEW, environment, play
from tests.provider.server import FAULTS, KEY, MODES, StrictServer

# One for each of litellm's ways to a provider; deepseek is also the most refused for its order.
PLAYED = ("deepseek", "openai", "anthropic", "bedrock", "gemini", "llamacpp")
STOPS = {
    "daily_limit",
    "context_length",
    "content_policy",
    "insufficient_quota",
    "key_401",
    "balance_402",
    "forbidden_403",
    "unknown_404",
}
WAITS = {
    "rate_limit",
    "rate_limit_retry_after",
    "tpm_limit",
    "server_500",
    "bad_gateway_502",
    "overloaded_529",
    "reset",
    "hang",
    "empty_body",
    "html",
    "cut_stream",
}


def test_every_fault_is_expected_to_wait_stop_or_be_changed() -> None:
    assert set(FAULTS) - STOPS - WAITS == {"empty_choices", "finish_length", "unknown_parameter"}


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("mode", PLAYED)
def test_one_fault_ends_in_a_reply_or_in_a_pause_with_its_reason(mode: str, fault: str) -> None:
    outcome = play(mode, fault, times=1)
    if fault in STOPS:
        assert outcome.refused and outcome.requests == 1 and outcome.waited_s == 0
        assert MODES[mode].model in outcome.pause and "\n" not in outcome.pause and KEY not in outcome.pause
    else:
        assert outcome.requests == 2
        assert outcome.said == REPLY
        assert (outcome.waited_s > 0) is (fault in WAITS)


# Whether another request follows, and whether it is waited for.
ODD = {
    "reasoning_alone": (2, False),
    "tool_call_alone": (2, False),
    "broken_off": (2, False),
    "list_content": (1, False),
    "no_usage": (1, False),
    "error_in_200": (2, True),
}


@pytest.mark.parametrize("fault", ODD)
@pytest.mark.parametrize("mode", ["openai", "anthropic", "gemini", "bedrock"])
def test_an_odd_reply_ends_in_a_reply(mode: str, fault: str) -> None:
    outcome = play(mode, fault, times=1)
    requests, waits = ODD[fault]

    assert outcome.said.endswith(REPLY) and outcome.requests == requests and (outcome.waited_s > 0) is waits


@pytest.mark.parametrize("fault", ["reasoning_alone", "tool_call_alone"])
def test_replies_without_text_end_in_a_pause_after_three(fault: str) -> None:
    outcome = play("anthropic", fault, times=99)
    assert outcome.refused and outcome.requests == 3 and outcome.waited_s == 0


@pytest.mark.parametrize("fault", ["tpm_limit", "reset", "html", "empty_choices", "unknown_parameter"])
def test_a_fault_that_stays_ends_in_a_pause(fault: str) -> None:
    outcome = play("openai", fault, times=200, patience_s=60)
    assert not outcome.said and outcome.pause and "\n" not in outcome.pause
    assert outcome.refused is (fault not in WAITS) and 1 < outcome.requests < 60 and outcome.waited_s <= 60


@pytest.mark.parametrize("mode", MODES)
def test_no_mode_refuses_the_order_of_what_is_sent(mode: str) -> None:
    """Messages that continue a cut reply are accepted too: every answer is 200 at once."""
    clock = FakeClock()
    with StrictServer(mode, [REPLY], ["finish_length"]) as server, environment(server.environment()):
        model = LiteLLMModel(server.model, ProviderPatience(0, sleep=clock.sleep, clock=clock))
        for messages in (MESSAGES, (Message("system", "s"),), (Message("assistant", "a"), Message("user", "\ud83d"))):
            assert model.ask(Request(messages, VIEW)).finish_reason == "stop"
        assert server.statuses() == [200] * 4
