"""How Anthropic, Bedrock and Gemini word their errors. Placeholders: as in words_chat, and {limit,} with commas."""

from __future__ import annotations

from tests.provider.wire import Body, Refusal

__all__ = ["ANTHROPIC_WORDS", "BEDROCK_WORDS", "GEMINI_WORDS"]

_ANTHROPIC_RATE = (
    "This request would exceed your organization's rate limit of {limit,} {what} per minute "
    "(org: 0000, model: {model}). For details, refer to: https://docs.claude.com/en/api/rate-limits. "
    "You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens "
    "requested, or try again later."
)
_CREDIT = (
    "Your credit balance is too low to access the Anthropic API. "
    "Please go to Plans & Billing to upgrade or purchase credits."
)

ANTHROPIC_WORDS: dict[str, Refusal] = {
    "rate_limit": Refusal(429, _ANTHROPIC_RATE.replace("{what}", "requests"), "rate_limit_error"),
    "tpm_limit": Refusal(429, _ANTHROPIC_RATE.replace("{what}", "input tokens"), "rate_limit_error"),
    "daily_limit": Refusal(429, _ANTHROPIC_RATE.replace("{what} per minute", "tokens per day"), "rate_limit_error"),
    "server_500": Refusal(500, "Internal server error", "api_error"),
    "overloaded_529": Refusal(529, "Overloaded", "overloaded_error"),
    "context_length": Refusal(400, "prompt is too long: {tokens} tokens > {window} maximum"),
    "content_policy": Refusal(400, "Output blocked by content filtering policy"),
    "insufficient_quota": Refusal(400, _CREDIT),
    "key_401": Refusal(401, "invalid x-api-key", "authentication_error"),
    "balance_402": Refusal(402, _CREDIT, "billing_error"),
    "forbidden_403": Refusal(
        403, "Your API key does not have permission to use the specified resource.", "permission_error"
    ),
    "unknown_404": Refusal(404, "model: {model}", "not_found_error"),
    "unknown_parameter": Refusal(400, "{param}: Extra inputs are not permitted"),
}


BEDROCK_WORDS: dict[str, Refusal] = {
    "rate_limit": Refusal(429, "Too many requests, please wait before trying again.", "ThrottlingException"),
    "tpm_limit": Refusal(429, "Too many tokens, please wait before trying again.", "ThrottlingException"),
    "daily_limit": Refusal(429, "Too many tokens per day, please wait before trying again.", "ThrottlingException"),
    "server_500": Refusal(
        500,
        "The system encountered an unexpected error during processing. Try your request again.",
        "InternalServerException",
    ),
    "overloaded_529": Refusal(503, "Bedrock is unable to process your request.", "ServiceUnavailableException"),
    "context_length": Refusal(400, "Input is too long for requested model.", "ValidationException"),
    "content_policy": Refusal(
        400,
        "The model returned the following errors: Output blocked by content filtering policy",
        "ValidationException",
    ),
    "insufficient_quota": Refusal(
        400, "Your account is not authorized to invoke this API operation.", "ValidationException"
    ),
    "key_401": Refusal(403, "The security token included in the request is invalid.", "UnrecognizedClientException"),
    "balance_402": Refusal(
        403,
        "INVALID_PAYMENT_INSTRUMENT:A valid payment instrument must be provided.",
        "AccessDeniedException",
    ),
    "forbidden_403": Refusal(
        403, "You don't have access to the model with the specified model ID.", "AccessDeniedException"
    ),
    "unknown_404": Refusal(404, "The provided model identifier was not found: {model}", "ResourceNotFoundException"),
    "unknown_parameter": Refusal(
        400, "The model returned the following errors: {param}: Extra inputs are not permitted", "ValidationException"
    ),
}

_GEMINI_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "head to: https://ai.google.dev/gemini-api/docs/rate-limits.\n* Quota exceeded for metric: "
    "generativelanguage.googleapis.com/{metric}, limit: {limit}, model: {model}\nPlease retry in {wait}s."
)
_RPC = "type.googleapis.com/google.rpc."


def _gemini_quota(metric: str, quota: str) -> Refusal:
    """A limit a minute says "exceeded your current quota" too: only the quota's id tells it from one a day."""
    violation = {
        "quotaMetric": f"generativelanguage.googleapis.com/{metric}",
        "quotaId": quota,
        "quotaValue": "{limit}",
    }
    failure: Body = {"@type": f"{_RPC}QuotaFailure", "violations": [violation]}
    retry: Body = {"@type": f"{_RPC}RetryInfo", "retryDelay": "{wait}s"}
    message = _GEMINI_QUOTA.replace("{metric}", metric)
    return Refusal(429, message, "RESOURCE_EXHAUSTED", details=(failure, retry))


GEMINI_WORDS: dict[str, Refusal] = {
    "rate_limit": Refusal(429, "Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED"),
    "rate_limit_retry_after": _gemini_quota("generate_content_requests", "GenerateRequestsPerMinutePerProjectPerModel"),
    "tpm_limit": _gemini_quota(
        "generate_content_paid_tier_input_token_count", "GenerateContentPaidTierInputTokensPerModelPerMinute"
    ),
    "daily_limit": _gemini_quota("generate_requests_per_model_per_day", "GenerateRequestsPerDayPerProjectPerModel"),
    "server_500": Refusal(
        500,
        "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting",
        "INTERNAL",
    ),
    "overloaded_529": Refusal(503, "The model is overloaded. Please try again later.", "UNAVAILABLE"),
    "context_length": Refusal(
        400,
        "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window}).",
        "INVALID_ARGUMENT",
    ),
    "content_policy": Refusal(
        200,
        "",
        bare={
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 10, "totalTokenCount": 10},
            "modelVersion": "{model}",
        },
    ),
    "insufficient_quota": Refusal(
        429,
        "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects "
        "to manage your project and billing.",
        "RESOURCE_EXHAUSTED",
    ),
    "key_401": Refusal(
        400,
        "API key not valid. Please pass a valid API key.",
        "INVALID_ARGUMENT",
        details=({"@type": f"{_RPC}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"},),
    ),
    "balance_402": Refusal(402, "Billing is not enabled for this project.", "FAILED_PRECONDITION"),
    "forbidden_403": Refusal(403, "The caller does not have permission", "PERMISSION_DENIED"),
    "unknown_404": Refusal(
        404,
        "models/{model} is not found for API version v1beta, or is not supported for generateContent.",
        "NOT_FOUND",
    ),
    "unknown_parameter": Refusal(
        400, 'Invalid JSON payload received. Unknown name "{param}": Cannot find field.', "INVALID_ARGUMENT"
    ),
}
