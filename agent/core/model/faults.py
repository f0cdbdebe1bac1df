"""Errors of providers, read for the action that they ask for: wait, change the request once, or stop.

The text decides first, then the status, then the class. The classes of litellm alone mislead: a spent quota comes as a
rate limit, a refused key as a bad request, a template that refuses the order of roles as an internal error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from json import JSONDecodeError, loads
from typing import Final

from agent.core.text.redact import Redactor

__all__ = ["Fault", "FaultAction", "FaultKind", "advice", "classify", "printable", "read_seconds"]

TEXT_CHARS: Final = 500
READ_CHARS: Final = 4000


class FaultAction(StrEnum):
    """The caller's answer to a fault."""

    WAIT = "wait"
    CHANGE = "change"
    STOP = "stop"


class FaultKind(StrEnum):
    """The reason why one request failed."""

    RATE_LIMIT = "rate limit"
    OUTAGE = "outage"
    TIMEOUT = "timeout"
    GARBLED = "no usable answer"
    SEQUENCE = "message sequence refused"
    PARAMETER = "parameter refused"
    LENGTH = "prompt too long"
    KEY = "key refused"
    QUOTA = "quota spent"
    MODEL = "unknown model"
    CONTENT = "content refused"
    CUT = "answer cut"
    NO_TEXT = "no text"
    DROPPED = "prompt cut by the server"
    MACHINE = "this machine"

    @property
    def action(self) -> FaultAction:
        if self in (FaultKind.RATE_LIMIT, FaultKind.OUTAGE, FaultKind.TIMEOUT, FaultKind.GARBLED):
            return FaultAction.WAIT
        if self in (FaultKind.SEQUENCE, FaultKind.PARAMETER, FaultKind.LENGTH):
            return FaultAction.CHANGE
        return FaultAction.STOP


@dataclass(frozen=True, slots=True)
class Fault:
    """Fault of one request, with limits and counts taken from the error text."""

    # The kind decides whether to wait, to change the request or to stop.
    kind: FaultKind
    # The provider's words without keys, line breaks and characters that a terminal would obey.
    text: str
    # How long the provider asks to wait.
    wait_s: float | None = None
    # The rate limit that was passed.
    tokens_per_minute: int | None = None
    # How much of that limit was used already.
    tokens_used: int | None = None
    # The model's window, if a prompt was too long.
    window_tokens: int | None = None
    # Tokens of that prompt as the provider counted them, without those of the reply.
    prompt_tokens: int | None = None
    # Name of the parameter that was refused.
    parameter: str = ""


def advice(kind: FaultKind) -> str:
    """The remedy for the user in a few words, or "" if only time helps."""
    return {
        FaultKind.KEY: "check the provider's API key and its rights: export it or put it into .env",
        FaultKind.QUOTA: "top up or wait for the quota to renew, or name another model with --fallback-model",
        FaultKind.MODEL: "check the model's name and that this key may use it",
        FaultKind.CONTENT: "the provider declines this text: name another model with --fallback-model",
        FaultKind.SEQUENCE: "the provider refuses the request's form: name another model with --fallback-model",
        FaultKind.PARAMETER: 'list the parameter in drop_params of [models."PREFIX"] in scientist.toml',
        FaultKind.CUT: 'raise max_output_tokens of [models."PREFIX"] in scientist.toml',
        FaultKind.DROPPED: "raise the server's window (OLLAMA_CONTEXT_LENGTH), or give window_tokens in scientist.toml",
        FaultKind.MACHINE: "a setting of this machine is wrong, and nothing was sent",
        FaultKind.NO_TEXT: "the model does not answer in text: name another one with --model or --fallback-model",
        FaultKind.LENGTH: "shorten the idea or its references, or name a model with a larger window",
    }.get(kind, "")


# Signs of a kind of fault, in the order in which the text is searched for them. Above each: a text that it finds.

# "You exceeded the monthly limit", "insufficient_quota"
_QUOTA = re.compile(
    r"insufficient[_ ](quota|balance|credit|funds)|credit balance is too low|billing_hard_limit|payment required"
    r"|budget\W+(has been |was )?exceeded|exceeded (your|the) (monthly|spend\w*|budget)|(spend\w*|usage) limit reached"
    r"|not enough credits|requires more credits|credits are depleted|account is not active|billing is not enabled"
    r"|invalid_payment_instrument|payment instrument",
    re.I,
)
# "Requests per day (RPD): Limit 200"
_DAILY = re.compile(r"\bper[ _-]?day\b|PerDay|\b[TR]PD\b|\bdaily\b|per[ _-]?month\b|\bmonthly\b", re.I)
# "on tokens per min (TPM)"
_PASSING = re.compile(r"per[ _-]?(minute|min|second|sec|hour)\b|Per(Minute|Second)|\b[TR]P[MS]\b", re.I)
# "You exceeded your current quota, please check your plan"
_CURRENT_QUOTA = re.compile(r"exceeded your current quota", re.I)
# "Too many requests", "RESOURCE_EXHAUSTED"
_RATE = re.compile(r"rate.?limit|too many (requests|tokens)|too_many_requests|resource.?exhausted|throttl", re.I)
# "roles must alternate between user and assistant", "The first message must be from the user"
_SEQUENCE = re.compile(
    r"successive user or assistant|must alternate|should alternate|alternates? between|interleave"
    r"|first message .{0,60}must|last message .{0,60}must|must (start|end) with (a|an) (user|assistant)"
    r"|ends with a user role|expected last role|unexpected role|valid role|roles? (is |are )?not supported"
    r"|roles are supported|role'? does not support|does not support '?(system|developer)|assistant message prefill"
    r"|trailing whitespace|non-?empty content|content blocks must|content field .{0,60}is empty|is blank"
    r"|required oneof field 'data'|must have either content|invalid_request_message_order|invalid_message\b"
    r"|Jinja Exception|TemplateError|contents is not specified",
    re.I,
)
# "Unsupported parameter: 'max_tokens'"
_PARAMETER = re.compile(
    r"(unsupported|unknown|unrecognized|invalid|unexpected) (request )?(parameter|argument|field|keyword|name)"
    r"|unsupported[_ ](parameter|value)|unknown_parameter|UnsupportedParamsError|extra inputs are not permitted"
    r"|does not support parameters|unsupported openai param|extra (fields|parameters) not permitted"
    r"|parameter .{0,40}not (supported|allowed|permitted)|extraneous key",
    re.I,
)
# "This model's maximum context length is 65536 tokens", "prompt is too long"
_LENGTH = re.compile(
    r"context.?(length|window|size)|maximum.{0,20}context|exceed\w* context limit"
    r"|max_tokens must be at least 1, got [-0]"
    r"|(prompt|input|request|messages?) (is|are|was|were)? ?too (long|large)"
    r"|(input|prompt) tokens? .{0,40}exceed|exceeds? the (model'?s )?max|reduce the length|token count .{0,40}exceeds"
    r"|too many tokens in|max_model_len|string too long|exceeds the limit of \d+ tokens",
    re.I,
)
# "Incorrect API key provided", "Authentication Fails"
_KEY = re.compile(
    r"(invalid|incorrect|wrong|missing|no|expired|bad) (x-)?(api[- _]?key|token|credentials?)|api[- _]?key not valid"
    r"|authentication[_ ](fails|failed|error)|authorization failed|unable to locate credentials|permission[_ ]denied"
    r"|api_key client option must be set|not authorized|unauthorized|AccessDenied|UnrecognizedClient"
    r"|security token .{0,20}(invalid|expired)|country, region, or territory not supported",
    re.I,
)
# "The model `gpt-x` does not exist", "model_not_found"
_MODEL = re.compile(
    r"model[_ ]not[_ ](found|exist)|(no such|unknown|invalid) model|model .{0,80}(does not|doesn't|do not) exist"
    r"|model .{0,80}(not found|is not available)|model identifier is invalid|not a valid model|not_found_error",
    re.I,
)
# "blocked by our content filter", "Content Exists Risk"
_CONTENT = re.compile(
    r"content[_ ](policy|filter)|content management policy|safety (system|filter)|responsible ?ai|prohibited_content"
    r"|blocked by|requires moderation|(input|prompt|content) was flagged"
    r"|violat\w+ .{0,40}(policy|policies|guidelines)|content.?exists.?risk|inappropriate content",
    re.I,
)
# "Unable to get json response - Expecting value: line 1"
_GARBLED = re.compile(
    r"unable to (get|parse) json|expecting value|jsondecode|invalid response object|not valid json", re.I
)
# "Request timed out"
_TIMEOUT = re.compile(r"timed? ?out", re.I)
# "<!DOCTYPE html><html>"
_HTML = re.compile(r"<(!doctype html|html|head|body|title)\b", re.I)

# The classes in front of "litellm.BadRequestError: OpenAIException - Invalid request"
_CLASSES = re.compile(r"^(litellm\.\w+: ?|\w+(Error|Exception)( \w+)?(: | - ))+")
# "<title>502 Bad Gateway</title>"
_TITLE = re.compile(r"<title>([^<]{1,200})</title>", re.I)

_STOPPED = frozenset({401, 402, 403, 404})
_FORM = frozenset({None, 200, 400, 405, 406, 413, 415, 422, 500})
_BY_STATUS: Final = {
    401: FaultKind.KEY,
    402: FaultKind.QUOTA,
    403: FaultKind.KEY,
    404: FaultKind.MODEL,
    408: FaultKind.TIMEOUT,
    413: FaultKind.LENGTH,
    429: FaultKind.RATE_LIMIT,
    504: FaultKind.TIMEOUT,
}
_BY_CLASS: Final = {
    "ContextWindowExceededError": FaultKind.LENGTH,
    "ContentPolicyViolationError": FaultKind.CONTENT,
    "UnsupportedParamsError": FaultKind.PARAMETER,
    "Timeout": FaultKind.TIMEOUT,
    "RateLimitError": FaultKind.RATE_LIMIT,
    "AuthenticationError": FaultKind.KEY,
    "PermissionDeniedError": FaultKind.KEY,
    "NotFoundError": FaultKind.MODEL,
    "BudgetExceededError": FaultKind.QUOTA,
}


def classify(text: str, status: int | None, name: str, redact: Redactor | None = None) -> Fault:
    """The fault that one error of a provider stands for. `name` is the class of the exception."""
    whole = " ".join(_CLASSES.sub("", _without_traceback(text)).split())
    words = whole[:READ_CHARS]
    limit, used, requested = (_number(pattern, words) for pattern in (_LIMIT, _USED, _REQUESTED))
    kind = _kind_of(words, status, name)
    if kind is FaultKind.RATE_LIMIT and limit and requested and requested > limit:
        kind = FaultKind.LENGTH  # no wait makes room for it
    return Fault(
        kind,
        printable((redact or Redactor()).in_error(_message_in(whole))[:TEXT_CHARS]) or f"only status {status}",
        wait_s=_stated_wait(words),
        tokens_per_minute=limit if _PASSING.search(words) and re.search(r"token", words, re.I) else None,
        tokens_used=used,
        window_tokens=_number(_WINDOW, words) if kind is FaultKind.LENGTH else None,
        prompt_tokens=_number(_PROMPT, words) if kind is FaultKind.LENGTH else None,
        parameter=_parameter_in(words) if kind is FaultKind.PARAMETER else "",
    )


def _kind_of(words: str, status: int | None, name: str) -> FaultKind:
    by_text = None if _HTML.search(words) else _kind_by_text(words, status, name)
    if by_text:
        return by_text
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if name in _BY_CLASS:
        return _BY_CLASS[name]
    if status in (400, 422) and not _HTML.search(words):
        return FaultKind.SEQUENCE
    return FaultKind.TIMEOUT if _TIMEOUT.search(words) else FaultKind.OUTAGE


def _kind_by_text(words: str, status: int | None, name: str) -> FaultKind | None:
    limited = status == 429 or name == "RateLimitError" or bool(_RATE.search(words))
    if _QUOTA.search(words):
        return FaultKind.QUOTA
    if limited and _DAILY.search(words):
        return FaultKind.QUOTA
    if _CURRENT_QUOTA.search(words) and _stated_wait(words) is None and not _PASSING.search(words):
        return FaultKind.QUOTA
    if status == 429:
        return FaultKind.RATE_LIMIT
    if _GARBLED.search(words):
        return FaultKind.GARBLED
    signs: tuple[tuple[re.Pattern[str], FaultKind], ...] = ()
    if status in _FORM:
        signs += ((_SEQUENCE, FaultKind.SEQUENCE), (_PARAMETER, FaultKind.PARAMETER), (_LENGTH, FaultKind.LENGTH))
    if status in _FORM | _STOPPED:
        signs += ((_CONTENT, FaultKind.CONTENT), (_KEY, FaultKind.KEY), (_MODEL, FaultKind.MODEL))
    if limited:
        signs = ((_TOO_LARGE, FaultKind.RATE_LIMIT), *signs, (_RATE, FaultKind.RATE_LIMIT))
    return next((kind for pattern, kind in signs if pattern.search(words)), None)


# Figures in the text

# "60,000"; no more digits than a float holds exactly.
_FIGURE = r"(\d[\d,]{0,14})(?![\d,]*\d)"
# "Limit 30000, Used 29000, Requested 2500"
_LIMIT = re.compile(rf"\blimit(?::| of)? {_FIGURE}", re.I)
_USED = re.compile(rf"\bused:? {_FIGURE}", re.I)
_REQUESTED = re.compile(rf"\brequested:? {_FIGURE}", re.I)
# "Request too large for gpt-4o on tokens per min (TPM)"
_TOO_LARGE = re.compile(r"request too large .{0,200}per min", re.I)
# "maximum context length is 65536 tokens", "212000 tokens > 200000 maximum"
_WINDOW = re.compile(
    r"(?:maximum context length (?:is|of)|context (?:window|size|length)(?: (?:is|of))?|> ?|max_model_len\D{0,4})"
    r" ?\(?(\d[\d,]{2,14})(?![\d,]*\d)",
    re.I,
)
# "your prompt contains at least 938 input tokens", "(938 in the messages", "197000 + 8192 > 200000"
_PROMPT = re.compile(
    r"(\d[\d,]{0,14}) (?:(?:input )?tokens from the input|input tokens|in (?:the messages|your prompt)|\+ \d{1,9} >)",
    re.I,
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


def _stated_wait(words: str) -> float | None:
    found = _WAIT.search(words) or _DELAY.search(words)
    return read_seconds(found[1]) if found else None


def _number(pattern: re.Pattern[str], words: str) -> int | None:
    found = pattern.search(words)
    return int(found[1].replace(",", "")) if found else None


def _message_in(words: str) -> str:
    """The provider's own words, taken out of the JSON or the web page around them."""
    page = _TITLE.search(words)
    if page:
        return f"answered with a web page: {page[1]}"
    start, end = words.find("{"), words.rfind("}")
    try:
        said = loads(words[start : end + 1]) if 0 <= start < end else None
    except (JSONDecodeError, RecursionError):
        said = None
    for key in ("error", "message", "detail"):
        if isinstance(said, dict):
            said = said.get(key, said)
    return " ".join(said.split()) if isinstance(said, str) and said.strip() else words


def _parameter_in(words: str) -> str:
    return next((found[1] for pattern in _NAMED if (found := pattern.search(words))), "")


def _without_traceback(text: str) -> str:
    """The text without a Python traceback, of which only the last line tells the error."""
    said, mark, trace = text.partition("Traceback (most recent call last)")
    return said if said.strip(" -:") or not mark else trace.strip().rpartition("\n")[2]


def printable(text: str) -> str:
    """The text with U+FFFD for every character that is neither visible nor a blank, since it may reach a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
