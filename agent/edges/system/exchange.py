"""Answers of HTTP servers as they came over the wire, before a library reads them.

litellm raises what it cannot read away, and renames the reasons for a reply's end. Every provider is asked through
httpx, whose `send` is wrapped once: no argument of litellm.completion reaches all of its clients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from agent.core.model.faults import printable

__all__ = ["Exchange", "record", "wrap_httpx"]

READ_BYTES = 2000
TOLD_CHARS = 200


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answer. `is_whole` is False if the connection ended within it."""

    status: int
    body: bytes = b""
    is_whole: bool = True

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def begins_as_json(self) -> bool:
        return self.body.lstrip()[:1] in (b"{", b"[")

    def describe(self, redact: Callable[[str], str]) -> str:
        """The body in a few words."""
        text = " ".join(self.body[:READ_BYTES].decode("utf-8", "replace").split())
        if not text:
            return "answered with an empty body"
        kind = "JSON that holds no reply" if self.begins_as_json else "what is no JSON"
        return f"answered with {kind}: {printable(redact(text))[:TOLD_CHARS]}"


_SEEN: ContextVar[list[Exchange] | None] = ContextVar("exchanges of this call", default=None)


@contextmanager
def record(seen: list[Exchange]) -> Iterator[None]:
    """Add to `seen` the answers that come in the meantime, in this thread and those that take over its context."""
    token = _SEEN.set(seen)
    try:
        yield
    finally:
        _SEEN.reset(token)


def wrap_httpx() -> None:
    """Have every client of httpx tell its answers to `record`. Doing it twice changes nothing more."""
    import httpx

    send = httpx.Client.send
    if hasattr(send, "is_recorded"):
        return

    @functools.wraps(send)
    def recorded(self: httpx.Client, request: httpx.Request, *, stream: bool = False, **more: Any) -> httpx.Response:
        seen = _SEEN.get()
        if seen is None or stream:
            return send(self, request, stream=stream, **more)
        response = send(self, request, stream=True, **more)
        try:
            response.read()
        except BaseException:
            seen.append(Exchange(response.status_code, is_whole=False))
            response.close()
            raise
        seen.append(Exchange(response.status_code, response.content))
        return response

    recorded.is_recorded = True  # type: ignore[attr-defined]
    httpx.Client.send = recorded  # type: ignore[method-assign]
