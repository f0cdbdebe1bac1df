"""One mode for each provider: its protocol, its rules, its words, its headers and how litellm is pointed at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from tests.provider import rules
from tests.provider.limit import Standing
from tests.provider.protocols import ANTHROPIC, BEDROCK, GEMINI, OPENAI, Protocol
from tests.provider.rules import Rule
from tests.provider.wire import Body, Headers, Refusal
from tests.provider.words_chat import (
    DEEPSEEK_WORDS,
    LLAMACPP_WORDS,
    MISTRAL_WORDS,
    OPENAI_WORDS,
    PERPLEXITY_WORDS,
    VLLM_WORDS,
)
from tests.provider.words_native import ANTHROPIC_WORDS, BEDROCK_WORDS, GEMINI_WORDS

__all__ = ["MODES", "Mode", "secret_of"]

Words = Mapping[str, Refusal]
Envelope = Callable[[Refusal], Body]
RateHeaders = Callable[[Standing], Headers]


@dataclass(frozen=True)
class Mode:
    """A provider as the server plays it."""

    name: str
    # The name by which litellm reaches it, with its prefix.
    model: str
    protocol: Protocol
    # Checks of a message sequence.
    rules: tuple[Rule, ...]
    # Its errors by the name of the fault.
    words: Words
    # Puts an error into the body that the provider sends.
    envelope: Envelope
    # Variables that point litellm here, in which {url} and {key} are filled in.
    environment: Mapping[str, str]
    # Size of the context window that its errors name.
    window_tokens: int
    # Headers that report the rate limit.
    rate_headers: RateHeaders = lambda standing: ()
    # Whether it sends Retry-After.
    retry_after: bool = False
    # Top-level fields of a request that it knows, or None for any.
    fields: frozenset[str] | None = None
    # Fields of a message that it knows, or None for any.
    message_fields: frozenset[str] | None = None
    # Whether it reports tokens that were read from a cache.
    caches: bool = False


# Envelopes


def _openai_error(refusal: Refusal) -> Body:
    fields = {"message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code}
    return {"error": fields}


def _perplexity_error(refusal: Refusal) -> Body:
    return {"error": {"message": refusal.message, "type": refusal.kind, "code": refusal.code or refusal.status}}


def _mistral_error(refusal: Refusal) -> Body:
    fields = {"message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code}
    return {"object": "error"} | fields


def _anthropic_error(refusal: Refusal) -> Body:
    fields = {"type": refusal.kind, "message": refusal.message}
    return {"type": "error", "error": fields, "request_id": "req_0000"}


def _gemini_error(refusal: Refusal) -> Body:
    fields: Body = {"code": refusal.status, "message": refusal.message, "status": refusal.kind}
    return {"error": fields | ({"details": list(refusal.details)} if refusal.details else {})}


def _llamacpp_error(refusal: Refusal) -> Body:
    return {"error": {"code": refusal.status, "message": refusal.message, "type": refusal.kind}}


# Rate-limit headers


def _openai_headers(standing: Standing) -> Headers:
    return (
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-limit-tokens", str(standing.limit)),
        ("x-ratelimit-remaining-tokens", str(standing.remaining)),
        ("x-ratelimit-reset-tokens", f"{standing.reset_s:.3f}s"),
    )


def _mistral_headers(standing: Standing) -> Headers:
    return (
        ("x-ratelimit-limit-tokens-minute", str(standing.limit)),
        ("x-ratelimit-remaining-tokens-minute", str(standing.remaining)),
        ("x-ratelimit-tokens-query-cost", str(standing.requested)),
    )


def _anthropic_headers(standing: Standing) -> Headers:
    reset = (datetime.now(UTC) + timedelta(seconds=math.ceil(standing.reset_s))).strftime("%Y-%m-%dT%H:%M:%SZ")
    limits = (("limit", str(standing.limit)), ("remaining", str(standing.remaining)), ("reset", reset))
    names = ("anthropic-ratelimit-tokens", "anthropic-ratelimit-input-tokens")
    return tuple((f"{name}-{what}", value) for name in names for what, value in limits)


# Fields beside which a provider refuses any other

_CHAT = """model messages stream stream_options temperature top_p n stop max_tokens max_completion_tokens seed user
presence_penalty frequency_penalty logit_bias logprobs top_logprobs response_format tools tool_choice
parallel_tool_calls reasoning_effort service_tier store metadata modalities prediction verbosity"""
_CHAT_FIELDS = frozenset(_CHAT.split())
_CHAT_MESSAGE = frozenset({"name", "tool_calls", "tool_call_id", "refusal", "annotations", "audio", "function_call"})
_ANTHROPIC = """model messages system max_tokens stream temperature top_p top_k stop_sequences tools tool_choice
metadata thinking service_tier output_config"""
_GEMINI = """contents system_instruction systemInstruction generationConfig generation_config safetySettings
safety_settings tools toolConfig cachedContent model"""
_BEDROCK = """messages system inferenceConfig toolConfig guardrailConfig additionalModelRequestFields promptVariables
additionalModelResponseFieldPaths performanceConfig requestMetadata"""


def _chat(name: str, model: str, prefix: str, base: str, *order: Rule, **changes: Any) -> Mode:
    """A mode of OpenAI's protocol. `prefix` names its variables, and `base` follows the server's address."""
    mode = Mode(
        name=name,
        model=model,
        protocol=OPENAI,
        rules=order,
        words=OPENAI_WORDS,
        envelope=_openai_error,
        environment={f"{prefix}_API_BASE": f"{{url}}{base}", f"{prefix}_API_KEY": "{key}"},
        window_tokens=128_000,
        fields=_CHAT_FIELDS,
        message_fields=_CHAT_MESSAGE,
    )
    return replace(mode, **changes)


def _vllm(name: str, model: str, order: Rule, window: int) -> Mode:
    """vLLM ignores fields that it does not know."""
    loose = {"fields": None, "message_fields": None}
    return _chat(
        name, f"hosted_vllm/{model}", "HOSTED_VLLM", "/v1", order, words=VLLM_WORDS, window_tokens=window, **loose
    )


_AWS = {
    "AWS_BEDROCK_RUNTIME_ENDPOINT": "{url}",
    "AWS_ACCESS_KEY_ID": "{key}",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION_NAME": "us-east-1",
}

_CLAUDE = Mode(
    name="anthropic",
    model="anthropic/claude-sonnet-4-5",
    protocol=ANTHROPIC,
    rules=(rules.anthropic_order, rules.anthropic_content, rules.anthropic_end),
    words=ANTHROPIC_WORDS,
    envelope=_anthropic_error,
    environment={"ANTHROPIC_API_BASE": "{url}", "ANTHROPIC_API_KEY": "{key}"},
    window_tokens=200_000,
    rate_headers=_anthropic_headers,
    retry_after=True,
    fields=frozenset(_ANTHROPIC.split()),
    message_fields=frozenset(),
)

_ALL = (
    _chat(
        "deepseek",
        "deepseek/deepseek-reasoner",
        "DEEPSEEK",
        "",
        rules.deepseek_order,
        words=DEEPSEEK_WORDS,
        window_tokens=65_536,
        fields=_CHAT_FIELDS | {"thinking"},
        message_fields=_CHAT_MESSAGE | {"prefix"},
        caches=True,
    ),
    _chat(
        "perplexity",
        "perplexity/sonar-pro",
        "PERPLEXITY",
        "",
        rules.perplexity_order,
        words=PERPLEXITY_WORDS,
        envelope=_perplexity_error,
    ),
    _chat(
        "mistral",
        "mistral/mistral-large-latest",
        "MISTRAL",
        "/v1",
        rules.mistral_order,
        rules.mistral_content,
        words=MISTRAL_WORDS,
        envelope=_mistral_error,
        environment={
            "MISTRAL_API_BASE": "{url}/v1",
            "MISTRAL_AZURE_API_BASE": "{url}/v1",
            "MISTRAL_API_KEY": "{key}",
        },
        rate_headers=_mistral_headers,
        fields=_CHAT_FIELDS | {"random_seed", "safe_prompt", "prompt_mode"},
        message_fields=_CHAT_MESSAGE | {"prefix"},
    ),
    _CLAUDE,
    replace(
        _CLAUDE,
        name="anthropic-no-prefill",
        model="anthropic/claude-opus-4-6",
        rules=(*_CLAUDE.rules, rules.anthropic_no_prefill),
    ),
    Mode(
        name="bedrock",
        model="bedrock/converse/anthropic.claude-3-5-sonnet-20240620-v1:0",
        protocol=BEDROCK,
        rules=(rules.bedrock_order, rules.bedrock_content, rules.bedrock_end),
        words=BEDROCK_WORDS,
        envelope=lambda refusal: {"message": refusal.message},
        environment=_AWS,
        window_tokens=200_000,
        fields=frozenset(_BEDROCK.split()),
    ),
    Mode(
        name="gemini",
        model="gemini/gemini-2.5-pro",
        protocol=GEMINI,
        rules=(rules.gemini_order, rules.gemini_content),
        words=GEMINI_WORDS,
        envelope=_gemini_error,
        environment={"GEMINI_API_BASE": "{url}", "GEMINI_API_KEY": "{key}"},
        window_tokens=1_048_576,
        fields=frozenset(_GEMINI.split()),
        message_fields=frozenset({"thought", "thoughtSignature"}),
    ),
    _chat(
        "openai",
        "openai/gpt-4o",
        "OPENAI",
        "/v1",
        rules.openai_content,
        rate_headers=_openai_headers,
        retry_after=True,
        caches=True,
    ),
    _chat(
        "openai-o",
        "openai/o3",
        "OPENAI",
        "/v1",
        rules.openai_content,
        rules.reasoning_parameters,
        rate_headers=_openai_headers,
        retry_after=True,
        window_tokens=200_000,
        caches=True,
    ),
    _vllm("vllm-gemma3", "google/gemma-3-27b-it", rules.gemma3_template, 131_072),
    _vllm("vllm-gemma2", "google/gemma-2-27b-it", rules.gemma2_template, 8192),
    _vllm("vllm-mistral", "mistralai/Mistral-7B-Instruct-v0.3", rules.mistral_template, 32_768),
    _chat(
        "llamacpp",
        "openai/gemma-3-27b-it",
        "OPENAI",
        "/v1",
        rules.llamacpp_template,
        words=LLAMACPP_WORDS,
        envelope=_llamacpp_error,
        window_tokens=8192,
        fields=None,
        message_fields=None,
    ),
)

MODES: Mapping[str, Mode] = MappingProxyType({mode.name: mode for mode in _ALL})


def secret_of(mode: Mode, headers: Mapping[str, str]) -> str:
    """The key of a request, at the place where this provider looks for it. "" if there is none."""
    authorization = headers.get("authorization", "")
    match mode.protocol.name:
        case "anthropic":
            return headers.get("x-api-key", "")
        case "gemini":
            return headers.get("x-goog-api-key", "")
        case "bedrock":
            return authorization.partition("Credential=")[2].partition("/")[0]
        case _:
            return authorization.removeprefix("Bearer ")
