"""Words of providers in their errors: those that tell the kind of a fault, and the figures beside them."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "CONTENT",
    "CURRENT_QUOTA",
    "DAILY",
    "GARBLED",
    "HTML",
    "KEY",
    "LENGTH",
    "LIMIT",
    "MODEL",
    "OUTAGE",
    "PARAMETER",
    "PASSING",
    "PROMPT",
    "QUOTA",
    "RATE",
    "REPLY_MOST",
    "REQUESTED",
    "SEQUENCE",
    "TIMEOUT",
    "TOO_LARGE",
    "USED",
    "WINDOW",
    "number_in",
    "parameter_in",
    "read_seconds",
    "refuses_reply_length",
    "stated_wait_s",
]

# Signs of a kind of fault. Above each: a text that it finds.

# "You exceeded the monthly limit", "insufficient_quota"
QUOTA: Final = re.compile(
    r"insufficient[_ ](quota|balance|credit|funds)|credit balance is too low|billing[_ ]hard[_ ]limit|payment required"
    r"|budget\W+(has been |was )?exceeded|exceeded (your|the) (monthly|spend\w*|budget)|(spend\w*|usage) limit reached"
    r"|not enough credits|requires more credits|credits are depleted|account is not active|billing is not enabled"
    r"|invalid_payment_instrument|payment instrument|balance (is |was )?(insufficient|not enough|too low|exhausted)"
    r"|(reached|exceeded|used) (all|its|your) .{0,40}(credits|(spend\w*|usage) limits?)"
    r"|\bkey limit exceeded|account .{0,40}(good standing|suspended|in arrears)|\barrearage\b|out of credits",
    re.I,
)
# "Requests per day (RPD): Limit 200"
DAILY: Final = re.compile(r"\bper[ _-]?day\b|PerDay|\b[TR]PD\b|\bdaily\b|per[ _-]?month\b|\bmonthly\b", re.I)
# "on tokens per min (TPM)"
PASSING: Final = re.compile(r"per[ _-]?(minute|min|second|sec|hour)\b|Per(Minute|Second)|\b[TR]P[MS]\b", re.I)
# "You exceeded your current quota, please check your plan", "exceeded_current_quota_error"
CURRENT_QUOTA: Final = re.compile(r"exceeded[_ ](your )?current[_ ]quota", re.I)
# "Too many requests", "RESOURCE_EXHAUSTED"
RATE: Final = re.compile(r"rate.?limit|too many (requests|tokens)|too_many_requests|resource.?exhausted|throttl", re.I)
# "roles must alternate between user and assistant", "The first message must be from the user"
SEQUENCE: Final = re.compile(
    r"successive user or assistant|must alternate|should alternate|alternates? between|interleave"
    r"|first message .{0,60}must|last message .{0,60}must|must (start|end) with (a|an) (user|assistant)"
    r"|ends with a user role|expected last role|unexpected role|valid role|roles? (is |are )?not supported"
    r"|roles are supported|role'? does not support|does not support '?(system|developer)|assistant message prefill"
    r"|trailing whitespace|non-?empty content|content blocks must|content field .{0,60}is empty|is blank"
    r"|required oneof field 'data'|must have either content|invalid_request_message_order|invalid_message\b"
    r"|Jinja Exception|TemplateError|contents is not specified|or more assistant messages|must be passed back"
    r"|system (message|prompt|instruction)s? .{0,20}not (supported|enabled|allowed)"
    r"|developer instruction is not enabled|system message must be|conversation must (start|end)|redacted_thinking",
    re.I,
)
# "Unsupported parameter: 'max_tokens'", "`temperature` may only be set to 1"
PARAMETER: Final = re.compile(
    r"(unsupported|unknown|unrecognized|invalid|unexpected) (request )?(parameter|argument|field|keyword|name)"
    r"|unsupported[_ ](parameter|value)|unknown_parameter|UnsupportedParamsError|extra inputs are not permitted"
    r"|does not support parameters|unsupported openai param|extra (fields|parameters) not permitted"
    r"|parameter .{0,40}not (supported|allowed|permitted)|extraneous key|argument not supported"
    r"|\b(temperature|top_[pk]|seed|num_ctx)\b.{0,40}(deprecated|may only be|cannot both|not supported)",
    re.I,
)
# "This model's maximum context length is 65536 tokens", "prompt is too long"
LENGTH: Final = re.compile(
    r"context.?(length|window|size)|maximum.{0,20}context|exceed\w{0,5} context limit|context shift is disabled"
    r"|max_tokens must be at least 1, got [-0]|(input|prompt) token count"
    r"|(prompt|input|request|messages?) (is|are|was|were)? ?too (long|large|big)"
    r"|(input|prompt) tokens? .{0,40}exceed|exceeds? the (model'?s )?max|reduce the length|token count .{0,40}exceeds"
    r"|too many (tokens in|tokens:|input tokens)|max_model_len|max_seq_len|string too long"
    r"|exceeds the limit of \d+ tokens|too (large|long) for (the )?model"
    r"|inputs?\W{1,2} ?tokens \+|must have less than \d+ tokens|expected maxlength"
    r"|range of input length|max message tokens|model token limit|maximum (prompt|input|sequence) length"
    r"|prompt_tokens_exceeded|tokens in request more than|longer than the (maximum )?(model|context)",
    re.I,
)
# "max_tokens is too large: 100000", "`max_tokens` must be less than or equal to `8192`"
_REPLY_LENGTH: Final = re.compile(
    r"\bmax_?(completion_?|output_?|new_?)?tokens\b.{0,80}(too large|greater than|exceed|less than|<=|>|range|maximum)"
    r"|range of max_tokens|maximum tokens you requested exceed",
    re.I,
)
# "exceed context limit: 197000 + 8192 > 200000": the prompt has its part in it
_WITH_PROMPT: Final = re.compile(
    r"context (length|limit|size)|maximum context|\binputs?\W{1,2} ?(tokens?|length)|\bprompt\b|in the messages", re.I
)
# "Incorrect API key provided", "Authentication Fails"
KEY: Final = re.compile(
    r"(invalid|incorrect|wrong|missing|no|expired|bad) (x-)?(api[- _]?key|token|credentials?)|api[- _]?key not valid"
    r"|authentication[_ ](fails|failed|error)|authorization failed|unable to locate credentials|permission[_ ]denied"
    r"|api_key client option must be set|not authorized|unauthorized|AccessDenied|UnrecognizedClient"
    r"|security token .{0,20}(invalid|expired)|country, region, or territory not supported"
    r"|(api[- _]?key|token|signature) (has |is |was )?(been )?(expired|disabled|revoked|deactivated)"
    r"|location is not supported|unsupported (countr|region|territor)|organization (has been|is) disabled"
    r"|organization must be verified|insufficient permissions",
    re.I,
)
# "The model `gpt-x` does not exist", "model_not_found"
MODEL: Final = re.compile(
    r"model[_ ]not[_ ](found|exist|available)|(no such|unknown|invalid) model"
    r"|model .{0,80}((does not|doesn't|do not) exist|not found|is not available|decommissioned|deprecated|retired)"
    r"|model .{0,80}(end of (its )?life|no longer (supported|available))"
    r"|model identifier is invalid|not a valid model|not_found_error|unable to access (non-serverless )?model"
    r"|on-demand throughput|not a chat model|no endpoints found",
    re.I,
)
# "blocked by our content filter", "Content Exists Risk"
CONTENT: Final = re.compile(
    r"content[_ ](policy|filter)|content management policy|safety (system|filter)|responsible ?ai|prohibited_content"
    r"|blocked by|requires moderation|(input|prompt|content) was flagged"
    r"|violat\w+ .{0,40}(policy|policies|guidelines)|content.?exists.?risk|inappropriate content",
    re.I,
)
# "The server had an error while processing your request"
OUTAGE: Final = re.compile(
    r"server had an error|\bserver_error\b|internal[_ ](server[_ ])?(error|exception)|overloaded"
    r"|temporarily unavailable|no healthy upstream|upstream (error|connect)",
    re.I,
)
# "Unable to get json response - Expecting value: line 1"
GARBLED: Final = re.compile(
    r"unable to (get|parse) json|expecting value|jsondecode|invalid response object|not valid json", re.I
)
# "Request timed out"
TIMEOUT: Final = re.compile(r"timed? ?out", re.I)
# "<!DOCTYPE html><html>"
HTML: Final = re.compile(r"<(!doctype html|html|head|body|title)\b", re.I)

# Figures in the text

# "60,000"; no more digits than a float holds exactly.
_FIGURE = r"(\d[\d,]{0,14})(?![\d,]*\d)"
# "Limit 30000, Used 29000, Requested 2500"
LIMIT: Final = re.compile(rf"\blimit(?::| of)? {_FIGURE}", re.I)
USED: Final = re.compile(rf"\bused:? {_FIGURE}", re.I)
REQUESTED: Final = re.compile(rf"\brequested:? {_FIGURE}", re.I)
# "Request too large for gpt-4o on tokens per min (TPM)"
TOO_LARGE: Final = re.compile(r"request too large .{0,200}per min", re.I)
# "maximum context length is 65536 tokens", "212000 tokens > 200000 maximum", "model only supports up to 32768"
WINDOW: Final = re.compile(
    r"(?:maximum (?:context|prompt|model) length (?:is|of)|context (?:window|size|length)(?: (?:is|of)(?: only)?)?"
    r"|> ?|max_model_len\D{0,4}|maximum number of tokens allowed|only supports up to"
    r"|(?:configured|exceeds the) limit of|while limit is|token limit:|context length:"
    r"|limit for this model is|max input tokens:|less than|range \[\d,"
    r"|length should be \[\d,|must be <=|\bn_ctx\W{1,4})"
    r" ?\(?(\d[\d,]{2,14})(?![\d,]*\d)",
    re.I,
)
# "your prompt contains at least 938 input tokens", "(938 in the messages", "197000 + 8192 > 200000"
PROMPT: Final = re.compile(
    r"(\d[\d,]{0,14}) (?:(?:input )?tokens from the input|input tokens|in (?:the messages|your prompt)|\+ \d{1,9} >"
    r"|of text input)",
    re.I,
)
# "max_tokens: 100000 > 64000, which is", "supports at most 16384", "the valid range of max_tokens is [1, 8192]"
REPLY_MOST: Final = re.compile(
    r"(?:> |at most |equal to `?|<= ?|\[1, ?|limit of |\(inclusive\) to )(\d[\d,]{0,14})(?![\d,]*\d)", re.I
)
# "Please try again in 1m2.5s", "retry after 20 seconds"
_WAIT = re.compile(
    r"(?:try again|retry|available again|wait) (?:in|after|for) ((?:[\d.]+ ?(?:ms|[smhd])\w*,? ?)+)", re.I
)
# "retryDelay": "17s"
_DELAY = re.compile(r"retryDelay\W{1,10}([\d.]{1,20}s)", re.I)
# "340ms", "2 minutes"
_SPAN = re.compile(r"([\d.]{1,20}) ?(ms|[smhd])", re.I)
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAMED = (
    # "Unsupported parameter: 'max_tokens'"
    re.compile(r"(?:parameters?|arguments?(?: supplied)?|field|name)[:\s]*[\[{'\"`]+([\w.]+)", re.I),
    # "'temperature' does not support 0.2"
    re.compile(r"['\"`]([\w.]+)['\"`] (?:is not|does not|not)", re.I),
    # "Unrecognized request argument supplied: reasoning_effort"
    re.compile(r"(?:parameters?|arguments? supplied)[:\s]+([a-z]+(?:_[a-z]+)+)\b", re.I),
    # "metadata: Extra inputs are not permitted"
    re.compile(r"\b(\w+): extra inputs are not permitted", re.I),
    # "'param': 'max_tokens'"
    re.compile(r"[\"']?param[\"']?: [\"']([\w.]+)[\"']", re.I),
)


def read_seconds(text: str) -> float | None:
    """Seconds of a span as providers write it ("7.66s", "1m2.5s", "340ms", "2 minutes"), or None."""
    spans = _SPAN.findall(text)
    try:
        return sum(float(number) * _UNIT_S[unit.lower()] for number, unit in spans) if spans else None
    except ValueError:
        return None


def stated_wait_s(words: str) -> float | None:
    """Seconds that the words ask to wait."""
    found = _WAIT.search(words) or _DELAY.search(words)
    return read_seconds(found[1]) if found else None


def number_in(pattern: re.Pattern[str], words: str) -> int | None:
    """The figure that the pattern finds."""
    found = pattern.search(words)
    return int(found[1].replace(",", "")) if found else None


def parameter_in(words: str) -> str:
    """The parameter that the words name, "" if none."""
    return next((found[1] for pattern in _NAMED if (found := pattern.search(words))), "")


def refuses_reply_length(words: str) -> bool:
    """Whether the words say that too many output tokens were asked for, whatever the length of the prompt."""
    return bool(_REPLY_LENGTH.search(words)) and not _WITH_PROMPT.search(words)
