"""Every fault in every mode through the real litellm.

The errors of litellm are recorded here as they are, even if they look strange, because the client relies on them.
"""

from __future__ import annotations

import pytest

from agent.edges.model.call import load_litellm
from tests.provider.asking import Complete, good, outcome, talk
from tests.provider.faults import FAULTS
from tests.provider.server import MODES, Fault, StrictServer

# As litellm reports them for OpenAI; each other mode says below where it differs.
ARRIVES = {
    "rate_limit": "RateLimitError 429",
    "rate_limit_retry_after": "RateLimitError 429",
    "tpm_limit": "RateLimitError 429",
    "daily_limit": "RateLimitError 429",
    "server_500": "InternalServerError 500",
    "bad_gateway_502": "BadGatewayError 502",
    "overloaded_529": "APIError 529",
    "reset": "InternalServerError 500",
    "hang": "Timeout 408",
    "empty_body": "InternalServerError 500",
    "html": "InternalServerError 500",
    "empty_choices": "no choices",
    "cut_stream": "InternalServerError 500",
    "finish_length": "length: A re",
    "context_length": "ContextWindowExceededError 400",
    "content_policy": "ContentPolicyViolationError 400",
    "insufficient_quota": "RateLimitError 429",
    "key_401": "AuthenticationError 401",
    "balance_402": "APIError 402",
    "forbidden_403": "APIError 403",
    "unknown_404": "NotFoundError 404",
    "unknown_parameter": "BadRequestError 400",
    "refused": "InternalServerError 500",
}
_NOT_JSON = {"empty_body": "APIError 200", "html": "APIError 200"}
_ANTHROPIC = {
    "overloaded_529": "InternalServerError 500",
    "empty_body": "APIConnectionError 500",
    "html": "APIConnectionError 500",
    "empty_choices": "stop: None",
    "insufficient_quota": "BadRequestError 400",
    "balance_402": "PaymentRequiredError 402",
    "forbidden_403": "PermissionDeniedError 403",
}
_UNREACHED = dict.fromkeys(("reset", "cut_stream", "refused"), "APIConnectionError 500")
_UNREADABLE = dict.fromkeys(("empty_body", "html"), "BadRequestError 422")
DIFFERS: dict[str, dict[str, str]] = {
    # A body with "invalid_request_error" in it makes a BadRequestError of any status.
    "deepseek": _NOT_JSON
    | {
        "server_500": "BadRequestError 500",
        "overloaded_529": "BadRequestError 503",
        "content_policy": "BadRequestError 400",
        "balance_402": "BadRequestError 402",
        "forbidden_403": "BadRequestError 403",
    },
    "perplexity": {"insufficient_quota": "AuthenticationError 401"},
    "mistral": {
        "empty_body": "APIConnectionError 500",
        "html": "APIConnectionError 500",
        "context_length": "BadRequestError 400",
        "unknown_parameter": "BadRequestError 422",
    },
    "anthropic": _ANTHROPIC,
    "anthropic-no-prefill": _ANTHROPIC,
    "bedrock": _UNREACHED
    | _UNREADABLE
    | {
        "server_500": "ServiceUnavailableError 503",
        "overloaded_529": "ServiceUnavailableError 503",
        "empty_choices": "stop: ",
        "content_policy": "BadRequestError 400",
        "insufficient_quota": "BadRequestError 400",
        "key_401": "AuthenticationError 403",
        "balance_402": "PermissionDeniedError 403",
        "forbidden_403": "PermissionDeniedError 403",
    },
    "gemini": _UNREACHED
    | _UNREADABLE
    | {
        "bad_gateway_502": "APIConnectionError 500",
        "overloaded_529": "InternalServerError 500",
        "content_policy": "content_filter: None",
        "balance_402": "PaymentRequiredError 402",
        "forbidden_403": "BadRequestError 403",
    },
    "vllm-gemma3": _NOT_JSON,
    "vllm-gemma2": _NOT_JSON,
    "vllm-mistral": _NOT_JSON,
    "llamacpp": {"overloaded_529": "ServiceUnavailableError 503"},
}


@pytest.mark.parametrize("mode", MODES)
def test_each_fault_arrives_as_litellm_calls_it(complete: Complete, mode: str) -> None:
    arrives = {}
    with StrictServer(mode, faults=FAULTS) as server:
        for name in FAULTS:
            arrives[name] = outcome(complete, server, good(mode), timeout_s=0.3 if name == "hang" else 5.0)
        assert outcome(complete, server, good(mode)) == "stop: A reply.", "faults are used up"
    arrives["refused"] = outcome(complete, server, good(mode))
    assert arrives == ARRIVES | DIFFERS.get(mode, {})
    assert len(server.requests) == len(FAULTS) + 1, "litellm repeats nothing by itself"


@pytest.mark.parametrize("mode", sorted(set(MODES) - {"gemini"}))
def test_retry_after_arrives_where_the_provider_sent_it(complete: Complete, mode: str) -> None:
    litellm = load_litellm()
    faults = [Fault("rate_limit_retry_after", retry_after_s=7), "rate_limit"]
    with StrictServer(mode, faults=faults) as server:
        errors = []
        for _ in faults:
            with pytest.raises(litellm.exceptions.RateLimitError) as caught:
                complete(server, good(mode))
            errors.append(caught.value)
    with_it, without = (getattr(error, "litellm_response_headers", None) or {} for error in errors)
    assert with_it["retry-after"] == "7" and "retry-after" not in without


def test_gemini_says_in_its_text_when_to_come_back(complete: Complete) -> None:
    """It sends no header, and a limit a minute reads like a spent quota."""
    litellm = load_litellm()
    faults = [Fault("rate_limit_retry_after", retry_after_s=7)]
    with StrictServer("gemini", faults=faults) as server, pytest.raises(litellm.exceptions.RateLimitError) as caught:
        complete(server, talk("u"))
    assert "You exceeded your current quota" in str(caught.value) and "PerMinute" in str(caught.value)
    assert '"retryDelay": "7s"' in str(caught.value) and "Please retry in 7s." in str(caught.value)


def test_none_among_the_faults_lets_a_request_through(complete: Complete) -> None:
    with StrictServer("openai", faults=["server_500", None, "rate_limit"]) as server:
        arrives = [outcome(complete, server, talk("u")) for _ in range(4)]
        server.add_faults("server_500")
        arrives.append(outcome(complete, server, talk("u")))
    assert [text.split()[0] for text in arrives] == [
        "InternalServerError",
        "stop:",
        "RateLimitError",
        "stop:",
        "InternalServerError",
    ]
