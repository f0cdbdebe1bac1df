"""What the errors of providers ask for: the texts are theirs, statuses and classes as litellm gives them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.model.fault_words import read_seconds
from agent.core.model.faults import FaultAction, FaultKind, advice, classify
from agent.core.text.redact import Redactor

K = FaultKind
TPM = (
    "litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit reached for gpt-4o in organization org-x on "
    "tokens per min (TPM): Limit 40000, Used 38000, Requested {requested}. Please try again in 7.66s."
)
CASES: list[tuple[K, str, int | None, str]] = [
    # the text says more than status and class
    (K.QUOTA, "You exceeded your current quota, please check your plan (insufficient_quota)", 429, "RateLimitError"),
    (K.QUOTA, "Your credit balance is too low to access the API", 400, "BadRequestError"),
    (K.QUOTA, "Rate limit reached on tokens per day (TPD): Limit 500000, Used 499000", 429, "RateLimitError"),
    (K.QUOTA, "Insufficient Balance", 402, "APIError"),
    (K.RATE_LIMIT, "You exceeded your current quota. limit: 10. Please retry in 34.07s", 429, "RateLimitError"),
    (K.RATE_LIMIT, "Quota exceeded for metric RequestsPerMinutePerProject", 429, "RateLimitError"),
    (K.RATE_LIMIT, "Too many requests", 400, "BadRequestError"),
    (
        K.SEQUENCE,
        "Error: Jinja Exception: Conversation roles must alternate user/assistant",
        500,
        "InternalServerError",
    ),
    (K.SEQUENCE, "deepseek-reasoner does not support successive user or assistant messages", 400, "BadRequestError"),
    (K.SEQUENCE, "Unsupported value: 'messages[0].role' does not support 'system' with this model.", 400, ""),
    (K.SEQUENCE, "System role not supported", 400, "BadRequestError"),
    (K.PARAMETER, "Unsupported parameter: 'max_tokens' is not supported with this model.", 400, "BadRequestError"),
    (K.PARAMETER, "thinking: Extra inputs are not permitted", 400, "BadRequestError"),
    (K.LENGTH, "This model's maximum context length is 65536 tokens. However, you requested 70000", 400, ""),
    (K.LENGTH, "prompt is too long: 201000 tokens > 200000 maximum", 400, "BadRequestError"),
    (K.LENGTH, "request (9192 tokens) exceeds the available context size (8192 tokens)", 400, "BadRequestError"),
    (K.LENGTH, TPM.format(requested=50000), 429, "RateLimitError"),
    (K.KEY, "API key not valid. Please pass a valid API key.", 400, "BadRequestError"),
    (K.MODEL, "Model Not Exist", 400, "BadRequestError"),
    (K.CONTENT, "Content Exists Risk", 400, "BadRequestError"),
    (K.CONTENT, "Output blocked by content filtering policy", 400, "BadRequestError"),
    (K.GARBLED, "Unable to get json response - Expecting value: line 1 column 1 (char 0)", 200, "APIError"),
    # then the status
    (K.KEY, "no", 401, "BadRequestError"),
    (K.QUOTA, "no", 402, "APIError"),
    (K.MACHINE, "Proxy Authentication Required", 407, "APIError"),
    (K.REFUSED, "Method Not Allowed", 405, "APIError"),
    (K.MODEL, "Gone", 410, "APIError"),
    (K.KEY, "no", 403, "APIError"),
    (K.MODEL, "no", 404, "BadRequestError"),
    (K.LENGTH, "no", 413, "APIError"),
    (K.REFUSED, "no", 422, "BadRequestError"),
    (K.REFUSED, "no", 400, "BadRequestError"),
    (K.RATE_LIMIT, "no", 429, "RateLimitError"),
    (K.OUTAGE, "no", 409, "APIError"),
    (K.OUTAGE, "no", 503, "ServiceUnavailableError"),
    (K.OUTAGE, "Overloaded", 529, "InternalServerError"),
    (K.OUTAGE, "Connection refused", 500, "InternalServerError"),
    # then the class
    (K.TIMEOUT, "no", None, "Timeout"),
    (K.LENGTH, "no", 400, "ContextWindowExceededError"),
    (K.CONTENT, "no", 400, "ContentPolicyViolationError"),
    (K.PARAMETER, "no", None, "UnsupportedParamsError"),
    (K.QUOTA, "no", None, "BudgetExceededError"),
    (K.OUTAGE, "no", None, "APIConnectionError"),
    # a web page is nobody's verdict on the request
    (K.OUTAGE, "<html><head><title>502</title></head>blocked by policy, unauthorized</html>", 502, "BadGatewayError"),
    (K.OUTAGE, "<!DOCTYPE html><html>prompt too long</html>", 400, "BadRequestError"),
    (K.KEY, "<html><title>401 Authorization Required</title></html>", 401, "AuthenticationError"),
]


@pytest.mark.parametrize(("kind", "text", "status", "name"), CASES)
def test_what_an_error_asks_for(kind: K, text: str, status: int | None, name: str) -> None:
    assert classify(text, status, name).kind is kind


def test_every_kind_has_an_action_and_what_stops_has_an_advice() -> None:
    for kind in FaultKind:
        assert kind.action is FaultAction.WAIT or advice(kind)


def test_a_rate_limit_tells_its_size_and_its_wait() -> None:
    fault = classify(TPM.format(requested=2500), 429, "RateLimitError")
    assert fault.kind is K.RATE_LIMIT
    assert (fault.tokens_per_minute, fault.tokens_used, fault.wait_s) == (40_000, 38_000, 7.66)
    spoken = classify("exceed your organization's rate limit of 40,000 input tokens per minute", 429, "RateLimitError")
    assert spoken.tokens_per_minute == 40_000
    requests = classify("Rate limit reached on requests per min (RPM): Limit 3, Used 3", 429, "RateLimitError")
    assert requests.tokens_per_minute is None


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("This model's maximum context length is 65536 tokens. However, you requested 70000", 65536),
        ("prompt is too long: 201000 tokens > 200,000 maximum", 200_000),
        ("request (9192 tokens) exceeds the available context size (8192 tokens)", 8192),
        ("Input is too long for requested model.", None),
    ],
)
def test_a_prompt_too_long_tells_the_window(text: str, window: int | None) -> None:
    assert classify(text, 400, "BadRequestError").window_tokens == window


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model.", "max_tokens"),
        ("Unknown parameter: 'reasoning'.", "reasoning"),
        ("unknown field `reasoning` at line 1 column 40", "reasoning"),
        ("thinking: Extra inputs are not permitted", "thinking"),
        ('Invalid JSON payload received. Unknown name "seed": Cannot find field.', "seed"),
        ("Unrecognized request argument supplied: top_k_p", "top_k_p"),
        ("o3 does not support parameters: ['temperature']", "temperature"),
    ],
)
def test_a_refused_parameter_is_named(text: str, parameter: str) -> None:
    fault = classify(text, 400, "BadRequestError")
    assert (fault.kind, fault.parameter) == (K.PARAMETER, parameter)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7.66s", 7.66),
        ("1m2.5s", 62.5),
        ("340ms", 0.34),
        ("2 minutes", 120.0),
        ("1h", 3600.0),
        ("soon", None),
        ("", None),
    ],
)
def test_spans_as_providers_write_them(text: str, seconds: float | None) -> None:
    assert read_seconds(text) == (None if seconds is None else pytest.approx(seconds))


def test_what_is_shown_is_what_the_provider_said_on_one_line() -> None:
    body = 'litellm.BadRequestError: DeepseekException - {"error": {"message": "Model Not\\nExist", "code": "x"}}'
    assert classify(body, 404, "NotFoundError").text == "Model Not Exist"
    assert classify('MistralException - {"detail": "Unauthorized"}', 401, "").text == "Unauthorized"
    assert classify("X - {not json}", 500, "").text == "X - {not json}"
    page = "<html><head><title>502 Bad Gateway</title></head></html>"
    assert classify(page, 502, "").text == "answered with a web page: 502 Bad Gateway"


@pytest.mark.parametrize(
    "key",
    ["sk-0123456789abcdef", "sk-ant-api03-abc_def-0123456789", "AIzaSyA0123456789abcdefghijk", "AKIAIOSFODNN7EXAMPLE"],
)
def test_keys_are_blotted_out_by_their_look(key: str) -> None:
    assert key not in classify(f"Incorrect API key provided: {key}.", 401, "").text


@given(
    st.text(st.characters(categories=("L", "N")), min_size=8, max_size=40), st.text(max_size=20), st.text(max_size=20)
)
def test_known_keys_are_blotted_out_whatever_they_look_like(secret: str, before: str, after: str) -> None:
    fault = classify(f"{before} {secret} {after}", 401, "", Redactor({secret: "K"}))
    assert secret not in fault.text or secret in "[redacted: K]" or secret in "[redacted: key]"


def test_a_key_within_another_leaves_nothing_of_it() -> None:
    redact = Redactor({"long-secret": "SHORT", "long-secret-tail": "LONG"})
    assert classify("long-secret-tail", 401, "", redact).text == "[redacted: LONG]"


@given(
    st.text(max_size=200), st.sampled_from([None, 200, 400, 401, 429, 500, 503, 529]), st.sampled_from(["", "Timeout"])
)
def test_any_text_is_classified(text: str, status: int | None, name: str) -> None:
    fault = classify(text, status, name)
    assert fault.text.isprintable() and len(fault.text) <= 500


def test_what_a_terminal_would_obey_is_blanked() -> None:
    """Half a character would even stop the command that prints the reason."""
    fault = classify('{"error": {"message": "Insufficient Balance \\ud83d \\u001b[2J\\u202e"}}', 402, "APIError")
    assert fault.text == "Insufficient Balance \ufffd \ufffd[2J\ufffd"


@pytest.mark.parametrize("words", ["Limit {} tokens per min", "maximum context length is {} tokens"])
def test_a_figure_too_long_to_be_one_is_none(words: str) -> None:
    fault = classify(words.format("9" * 400), 429 if "Limit" in words else 400, "")
    assert fault.tokens_per_minute is None and fault.window_tokens is None


def test_a_body_nested_beyond_what_can_be_read_is_kept_as_text() -> None:
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    assert classify(deep, 500, "").kind is FaultKind.OUTAGE


def test_a_long_header_is_read_in_a_moment() -> None:
    began_s = time.monotonic()
    assert read_seconds("1" * 60_000) is None
    assert time.monotonic() - began_s < 2.0


def test_an_error_with_a_number_that_python_does_not_read_is_an_error() -> None:
    assert classify(f'{{"error": {"7" * 5_000}}}', 400, "APIError").kind is not None
