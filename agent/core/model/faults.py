"""Errors of providers, read for the action that they ask for: wait, change the request once, or stop.

The text decides first, then the status, then the class. The classes of litellm alone mislead: a spent quota comes as a
rate limit, a refused key as a bad request, a template that refuses the order of roles as an internal error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from json import loads
from typing import Final

from agent.core.model import fault_words as words
from agent.core.text.redact import Redactor

__all__ = ["Fault", "FaultAction", "FaultKind", "advice", "classify", "printable"]

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
    REFUSED = "request refused"
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
        if self in (FaultKind.SEQUENCE, FaultKind.REFUSED, FaultKind.PARAMETER, FaultKind.LENGTH):
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
    # Most tokens of a reply that may be asked for, if more were.
    reply_tokens: int | None = None
    # Name of the parameter that was refused.
    parameter: str = ""


def advice(kind: FaultKind, model: str = "PREFIX") -> str:
    """The remedy for the user in a few words, or "" if only time helps."""
    rules = f'[models."{model}"] in scientist.toml'
    return {
        FaultKind.KEY: "check the provider's API key and its rights: export it or put it into .env",
        FaultKind.QUOTA: "top up or wait for the quota to renew, or name another model with --fallback-model",
        FaultKind.MODEL: "check the model's name and that this key may use it",
        FaultKind.CONTENT: "the provider declines this text: name another model with --fallback-model",
        FaultKind.SEQUENCE: "the provider refuses the request's form: name another model with --fallback-model",
        FaultKind.REFUSED: "the provider does not take this request: name another model with --fallback-model",
        FaultKind.PARAMETER: f"list the parameter in drop_params of {rules}",
        FaultKind.CUT: f"raise max_output_tokens of {rules}",
        FaultKind.DROPPED: "raise the server's window (OLLAMA_CONTEXT_LENGTH), or give window_tokens in scientist.toml",
        FaultKind.MACHINE: "a setting of this machine is wrong, and the prompt went nowhere",
        FaultKind.NO_TEXT: "the model does not answer in text: name another one with --model or --fallback-model",
        FaultKind.TIMEOUT: f"ask for shorter replies (max_output_tokens), or wait longer (timeout_s), in {rules}",
        FaultKind.LENGTH: "shorten the idea or its references, or name a model with a larger window",
    }.get(kind, "")


# The classes in front of "litellm.BadRequestError: OpenAIException - Invalid request"
_CLASSES = re.compile(r"^(litellm\.\w+: ?|\w+(Error|Exception)( \w+)?(: | - ))+")
# "<title>502 Bad Gateway</title>"
_TITLE = re.compile(r"<title>([^<]{1,200})</title>", re.I)

_STOPPED = frozenset({401, 402, 403, 404})
_FORM = frozenset({None, 200, 400, 405, 406, 413, 415, 422, 500})
# A wrong address answers so too, whatever is sent.
_REFUSED: Final = frozenset({400, 405, 406, 411, 414, 415, 422, 426, 431, 451, 501, 505})
_OF_FORM: Final = (
    (words.SEQUENCE, FaultKind.SEQUENCE),
    (words.PARAMETER, FaultKind.PARAMETER),
    (words.LENGTH, FaultKind.LENGTH),
)
_OF_CALLER: Final = ((words.CONTENT, FaultKind.CONTENT), (words.KEY, FaultKind.KEY), (words.MODEL, FaultKind.MODEL))
_BY_STATUS: Final = {
    401: FaultKind.KEY,
    402: FaultKind.QUOTA,
    403: FaultKind.KEY,
    404: FaultKind.MODEL,
    407: FaultKind.MACHINE,
    408: FaultKind.TIMEOUT,
    410: FaultKind.MODEL,
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
    said = whole[:READ_CHARS]
    limit, used, requested = (words.number_in(pattern, said) for pattern in (words.LIMIT, words.USED, words.REQUESTED))
    kind = _kind_of(said, status, name)
    if kind is FaultKind.RATE_LIMIT and limit and requested and requested > limit:
        kind = FaultKind.LENGTH  # no wait makes room for it
    is_reply = kind is FaultKind.PARAMETER and words.refuses_reply_length(said)
    named = "max_tokens" if is_reply else words.parameter_in(said)
    return Fault(
        kind,
        printable((redact or Redactor()).in_error(_message_in(whole))[:TEXT_CHARS]) or f"only status {status}",
        wait_s=words.stated_wait_s(said),
        tokens_per_minute=limit if words.PASSING.search(said) and re.search(r"token", said, re.I) else None,
        tokens_used=used,
        window_tokens=words.number_in(words.WINDOW, said) if kind is FaultKind.LENGTH else None,
        prompt_tokens=words.number_in(words.PROMPT, said) if kind is FaultKind.LENGTH else None,
        reply_tokens=words.number_in(words.REPLY_MOST, said) if is_reply else None,
        parameter=named if kind is FaultKind.PARAMETER else "",
    )


def _kind_of(said: str, status: int | None, name: str) -> FaultKind:
    is_page = words.HTML.search(said) is not None
    by_text = None if is_page else _kind_by_text(said, status, name)
    if by_text:
        return by_text
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if name in _BY_CLASS:
        return _BY_CLASS[name]
    if status in _REFUSED and not (status in (400, 422) and (is_page or words.OUTAGE.search(said))):
        return FaultKind.REFUSED
    return FaultKind.TIMEOUT if words.TIMEOUT.search(said) else FaultKind.OUTAGE


def _kind_by_text(said: str, status: int | None, name: str) -> FaultKind | None:
    limited = status == 429 or name == "RateLimitError" or bool(words.RATE.search(said))
    if words.QUOTA.search(said):
        return FaultKind.QUOTA
    if limited and words.DAILY.search(said):
        return FaultKind.QUOTA
    if words.CURRENT_QUOTA.search(said) and words.stated_wait_s(said) is None and not words.PASSING.search(said):
        return FaultKind.QUOTA
    if status == 429:
        return FaultKind.RATE_LIMIT
    if words.GARBLED.search(said):
        return FaultKind.GARBLED
    if limited and words.TOO_LARGE.search(said):
        return FaultKind.RATE_LIMIT
    if status in _FORM and words.refuses_reply_length(said):
        return FaultKind.PARAMETER
    signs: tuple[tuple[re.Pattern[str], FaultKind], ...] = _OF_FORM if status in _FORM else ()
    signs += _OF_CALLER if status in _FORM | _STOPPED else ()
    found = next((kind for pattern, kind in signs if pattern.search(said)), None)
    return found or (FaultKind.RATE_LIMIT if limited and words.RATE.search(said) else None)


def _message_in(whole: str) -> str:
    """The provider's own words, taken out of the JSON or the web page around them."""
    page = _TITLE.search(whole)
    if page:
        return f"answered with a web page: {page[1]}"
    start, end = whole.find("{"), whole.rfind("}")
    try:
        said = loads(whole[start : end + 1]) if 0 <= start < end else None
    except (ValueError, RecursionError):  # a number of 5,000 digits is a ValueError too
        said = None
    for key in ("error", "message", "detail"):
        if isinstance(said, dict):
            said = said.get(key, said)
    return " ".join(said.split()) if isinstance(said, str) and said.strip() else whole


def _without_traceback(text: str) -> str:
    """The text without a Python traceback, of which only the last line tells the error."""
    said, mark, trace = text.partition("Traceback (most recent call last)")
    return said if said.strip(" -:") or not mark else trace.strip().rpartition("\n")[2]


def printable(text: str) -> str:
    """The text with U+FFFD for every character that is neither visible nor a blank, since it may reach a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
