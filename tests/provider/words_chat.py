"""Errors in the words of providers of OpenAI's chat protocol.

Placeholders: {model} {limit} {used} {requested} {wait} {tokens} {window} {key} {param}.
If a provider has no such error of its own, a gateway's in OpenAI's words is used.
"""

from __future__ import annotations

from tests.provider.wire import Refusal

__all__ = ["DEEPSEEK_WORDS", "LLAMACPP_WORDS", "MISTRAL_WORDS", "OPENAI_WORDS", "PERPLEXITY_WORDS", "VLLM_WORDS"]

_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. "
    "For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_TPM = "Rate limit reached for {model} in organization org-0000 on {per}: Limit {limit}, Used {used}, "
_TPM_WAIT = "Requested {requested}. Please try again in {wait}s. "
_TPM_SEE = "Visit https://platform.openai.com/account/rate-limits to learn more."
_OPENAI_CONTEXT = (
    "This model's maximum context length is {window} tokens. However, your messages resulted in {tokens} tokens. "
    "Please reduce the length of the messages."
)
_VLLM_CONTEXT = (
    "This model's maximum context length is {window} tokens. However, you requested {tokens} tokens in the messages, "
    "Please reduce the length of the messages."
)


def _per(what: str, code: str) -> Refusal:
    message = _TPM.replace("{per}", f"{what} per {code}") + _TPM_WAIT + _TPM_SEE
    return Refusal(429, message, what, "rate_limit_exceeded")


OPENAI_WORDS: dict[str, Refusal] = {
    "rate_limit": _per("requests", "min (RPM)"),
    "tpm_limit": _per("tokens", "min (TPM)"),
    "daily_limit": _per("requests", "day (RPD)"),
    "too_large": Refusal(
        429,
        "Request too large for {model} in organization org-0000 on tokens per min (TPM): Limit {limit}, "
        "Requested {requested}. The input or output tokens must be reduced in order to run successfully. " + _TPM_SEE,
        "tokens",
        "rate_limit_exceeded",
    ),
    "server_500": Refusal(
        500, "The server had an error while processing your request. Sorry about that!", "server_error"
    ),
    "overloaded_529": Refusal(529, "That model is currently overloaded with other requests.", "server_error"),
    "context_length": Refusal(400, _OPENAI_CONTEXT, code="context_length_exceeded", param="messages"),
    "content_policy": Refusal(
        400,
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. "
        "Please try again with a different prompt.",
        code="invalid_prompt",
    ),
    "insufficient_quota": Refusal(429, _QUOTA, "insufficient_quota", "insufficient_quota"),
    "key_401": Refusal(
        401,
        "Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    ),
    "balance_402": Refusal(402, "Payment required: the account has no credit left.", "billing_error"),
    "forbidden_403": Refusal(
        403, "Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory"
    ),
    "unknown_404": Refusal(
        404, "The model `{model}` does not exist or you do not have access to it.", code="model_not_found"
    ),
    "unknown_parameter": Refusal(400, "Unknown parameter: '{param}'.", code="unknown_parameter", param="{param}"),
}


def _deepseek(status: int, message: str, kind: str = "invalid_request_error") -> Refusal:
    return Refusal(status, message, kind, "invalid_request_error")


DEEPSEEK_WORDS = OPENAI_WORDS | {
    "rate_limit": _deepseek(429, "Rate Limit Reached: you are sending requests too quickly.", "rate_limit_error"),
    "tpm_limit": _deepseek(429, "Rate Limit Reached: too many tokens per min, pace your requests.", "rate_limit_error"),
    "daily_limit": _deepseek(429, "Rate Limit Reached: no more requests per day.", "rate_limit_error"),
    "server_500": _deepseek(500, "Internal Server Error", "internal_error"),
    "overloaded_529": _deepseek(503, "Service is too busy. Try again later.", "service_unavailable_error"),
    "context_length": _deepseek(
        400,
        "This model's maximum context length is {window} tokens. However, you requested {tokens} tokens "
        "({tokens} in the messages, 0 in the completion). Please reduce the length of the messages or completion.",
    ),
    "content_policy": _deepseek(400, "Content Exists Risk"),
    "key_401": _deepseek(401, "Authentication Fails, Your api key: {key} is invalid", "authentication_error"),
    "balance_402": _deepseek(402, "Insufficient Balance", "unknown_error"),
    "forbidden_403": _deepseek(403, "Access to this resource is forbidden", "permission_error"),
    "unknown_404": _deepseek(404, "Model Not Exist"),
    "unknown_parameter": _deepseek(
        400,
        "Failed to deserialize the JSON body into the target type: unknown field `{param}` at line 1 column 40",
    ),
}

PERPLEXITY_WORDS = OPENAI_WORDS | {
    "rate_limit": Refusal(429, "Request rate limit exceeded, please try again later.", "rate_limit", 429),
    "tpm_limit": Refusal(429, "Request rate limit exceeded, please try again later.", "rate_limit", 429),
    "key_401": Refusal(
        401,
        "",
        bare="<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n"
        "<center><h1>401 Authorization Required</h1></center>\r\n<hr><center>openresty/1.25.3.1</center>\r\n"
        "</body>\r\n</html>\r\n",
    ),
    "unknown_404": Refusal(404, "Invalid model '{model}'. Permitted models can be found in the docs.", "invalid_model"),
    "insufficient_quota": Refusal(
        401, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", 401
    ),
}

_MISTRAL_RATE = Refusal(429, "Rate limit exceeded", "rate_limited", "1300")

MISTRAL_WORDS = OPENAI_WORDS | {
    "rate_limit": Refusal(429, "", bare={"message": "Requests rate limit exceeded"}),
    "rate_limit_retry_after": _MISTRAL_RATE,
    "tpm_limit": _MISTRAL_RATE,
    "daily_limit": Refusal(429, "Monthly quota of requests exceeded", "rate_limited", "1300"),
    "server_500": Refusal(500, "Internal server error", "internal_server_error", "3000"),
    "overloaded_529": Refusal(529, "Service unavailable.", "internal_server_proxy_error", "3000"),
    "context_length": Refusal(
        400,
        "Prompt contains {tokens} tokens and 0 draft tokens, too large for model with {window} maximum context length",
        "invalid_request_invalid_args",
        "3051",
    ),
    "key_401": Refusal(401, "", bare={"detail": "Unauthorized"}),
    "unknown_404": Refusal(404, "Invalid model: {model}", "invalid_model", "1500"),
    "unknown_parameter": Refusal(
        422,
        "",
        bare={
            "object": "error",
            "message": {
                "detail": [
                    {"type": "extra_forbidden", "loc": ["body", "{param}"], "msg": "Extra inputs are not permitted"}
                ]
            },
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        },
    ),
}


def _vllm(status: int, message: str, kind: str) -> Refusal:
    return Refusal(status, message, kind, status)


VLLM_WORDS = OPENAI_WORDS | {
    "server_500": _vllm(
        500, "EngineCore encountered an issue. See stack trace (above) for the root cause.", "InternalServerError"
    ),
    "context_length": _vllm(400, _VLLM_CONTEXT, "BadRequestError"),
    "key_401": Refusal(401, "", bare={"error": "Unauthorized"}),
    "unknown_404": _vllm(404, "The model `{model}` does not exist.", "NotFoundError"),
    "unknown_parameter": _vllm(400, "[{'type': 'extra_forbidden', 'loc': ('body', '{param}')}]", "BadRequestError"),
}

LLAMACPP_WORDS = OPENAI_WORDS | {
    "server_500": Refusal(500, "Compute error.", "server_error", 500),
    "overloaded_529": Refusal(503, "Loading model", "unavailable_error", 503),
    "context_length": Refusal(
        400,
        "request ({tokens} tokens) exceeds the available context size ({window} tokens), try increasing it",
        "exceed_context_size_error",
        400,
    ),
    "key_401": Refusal(401, "Invalid API Key", "authentication_error", 401),
    "unknown_404": Refusal(404, "File Not Found", "not_found_error", 404),
}
