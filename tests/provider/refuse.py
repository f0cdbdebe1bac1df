"""A refusal in a provider's envelope, with its placeholders filled and its headers set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.provider.limit import Standing
from tests.provider.modes import Mode
from tests.provider.wire import JSON, Body, Headers, Refusal, Response, Turn, dump

__all__ = ["Facts", "put", "refuse_fields", "refuse_text", "retry_after"]


@dataclass(frozen=True)
class Facts:
    """Facts that a provider's words name, one for each placeholder."""

    model: str
    # Size of the context window in tokens.
    window: int
    # Tokens of the request.
    tokens: int = 0
    # Tokens a minute that are allowed, used, and asked for.
    limit: int = 40_000
    used: int = 39_000
    requested: int = 2_000
    # Wait that the text names.
    wait_s: float = 2.0
    # Wait in the header or in RetryInfo.
    retry_after_s: float | None = None
    # The key of the request.
    key: str = ""
    # The field at fault.
    param: str = ""

    def fill(self, value: Any) -> Any:
        """The placeholders of every text in a value, and no other brace."""
        if isinstance(value, dict):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.fill(item) for item in value)
        if not isinstance(value, str) or "{" not in value:
            return value
        shown = {
            "model": self.model,
            "window": self.window,
            "tokens": self.tokens,
            "limit": self.limit,
            "limit,": f"{self.limit:,}",
            "used": self.used,
            "requested": self.requested,
            "wait": f"{self.wait_s:.3f}".rstrip("0").rstrip("."),
            "key": f"****{self.key[-4:]}",
            "param": self.param,
        }
        for name, text in shown.items():
            value = value.replace(f"{{{name}}}", str(text))
        return value


def put(mode: Mode, refusal: Refusal, facts: Facts, standing: Standing | None = None) -> Response:
    """The answer that this provider would send."""
    filled = replace(
        refusal,
        message=facts.fill(refusal.message),
        param=facts.fill(refusal.param),
        details=facts.fill(refusal.details),
        bare=facts.fill(refusal.bare),
    )
    headers: Headers = JSON
    if isinstance(filled.bare, str):
        headers = (("Content-Type", "text/html"),)
        body = filled.bare.encode()
    else:
        body = dump(filled.bare if filled.bare is not None else mode.envelope(filled))
    if mode.protocol.name == "bedrock":
        headers += (("x-amzn-ErrorType", filled.kind), ("x-amzn-RequestId", "0000"))
    if standing is not None:
        headers += mode.rate_headers(standing)
    if facts.retry_after_s is not None and mode.name != "gemini":
        headers += (("retry-after", f"{facts.retry_after_s:g}"),)
    return Response(filled.status, body, headers + filled.headers)


def retry_after(wait_s: float, scale: float) -> float:
    """Whole seconds, as the header has them, of a clock that runs 1 / `scale` times as fast."""
    return max(1, math.ceil(wait_s / scale)) * scale


def refuse_fields(mode: Mode, turns: Sequence[Turn], body: Body) -> tuple[Refusal, str] | None:
    """The refusal of a field that the provider does not know, and the field's name."""
    refusal = mode.words.get("unknown_parameter")
    if refusal is None:
        return None
    if mode.fields is not None:
        for name in body:
            if name not in mode.fields:
                return refusal, name
    if mode.message_fields is not None:
        for turn in turns:
            for name in sorted(turn.keys - mode.message_fields):
                dotted = f"messages.{turn.at}.{name}"
                return refusal, dotted if mode.protocol.name == "anthropic" else f"messages[{turn.at}].{name}"
    return None


def refuse_text(turns: Sequence[Turn], body: Body) -> Refusal | None:
    """Half a surrogate pair is no JSON text, whatever Python's parser says."""
    try:
        "".join(turn.text for turn in turns).encode()
    except UnicodeEncodeError:
        message = "The request body is not valid JSON: no low surrogate in string"
        return Refusal(400, message)
    return None
