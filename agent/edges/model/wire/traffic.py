"""Requests and answers of one call through httpx: looked at before they leave, and kept as they came.

litellm raises what it cannot read away, renames the reasons for a reply's end, and takes OpenAI's key and address for
providers whose own it does not find. Every provider is asked through httpx, whose `send` is wrapped once: no argument
of litellm.completion reaches all of its clients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.core.model.faults import printable

if TYPE_CHECKING:
    import httpx  # it takes a while

__all__ = ["Exchange", "Traffic", "record", "wrap_httpx"]

READ_BYTES = 2000
TOLD_CHARS = 200
MOST_REDIRECTS = 5
MOST_BYTES = 50_000_000  # of an answer: a reply has less than one of them


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


def _nothing(host: str, authorization: str) -> str:
    """No request is refused."""
    return ""


@dataclass(slots=True)
class Traffic:
    """Requests and answers of one call."""

    # Why a request to this host with this key must not be sent, "" if it may be.
    refuse: Callable[[str, str], str] = _nothing
    # Where the last request went, or would have gone.
    address: str = ""
    # Requests that were begun.
    begun: int = 0
    # Answers that came, in order.
    answers: list[Exchange] = field(default_factory=list)
    # Why the last request was not sent, or not sent on.
    refused: str = ""

    @property
    def last(self) -> Exchange | None:
        return self.answers[-1] if self.answers else None


_SEEN: ContextVar[Traffic | None] = ContextVar("traffic of this call", default=None)


@contextmanager
def record(seen: Traffic) -> Iterator[None]:
    """Add to `seen` all that is sent and comes in the meantime, in this thread and those that take over its context."""
    token = _SEEN.set(seen)
    try:
        yield
    finally:
        _SEEN.reset(token)


def wrap_httpx() -> None:
    """Have every client of httpx tell its requests and answers to `record`. Doing it twice changes nothing more."""
    import httpx

    send = httpx.Client.send
    if hasattr(send, "is_recorded"):
        return

    @functools.wraps(send)
    def recorded(self: httpx.Client, request: httpx.Request, *, stream: bool = False, **more: Any) -> httpx.Response:
        seen = _SEEN.get()
        if seen is None or stream:
            return send(self, request, stream=stream, **more)
        more |= {"follow_redirects": False} if request.method == "POST" else {}
        ask = functools.partial(send, self, stream=True, **more)
        response = _exchange(ask, request, seen)
        for _ in range(MOST_REDIRECTS):
            if response.next_request is None:
                break
            _check_redirect(request, response.next_request, seen)
            response = _exchange(ask, response.next_request, seen)
        return response

    recorded.is_recorded = True  # type: ignore[attr-defined]
    httpx.Client.send = recorded  # type: ignore[method-assign]


def _exchange(ask: Callable[..., httpx.Response], request: httpx.Request, seen: Traffic) -> httpx.Response:
    """The answer to one request.

    Raises: httpx.RequestError if it must not be sent, and the errors of httpx.
    """
    seen.address = f"{request.url.scheme}://{request.url.netloc.decode('ascii', 'replace')}{request.url.path}"
    is_prompt = request.method == "POST"
    seen.refused = seen.refuse(request.url.host, request.headers.get("authorization", "")) if is_prompt else ""
    if seen.refused:
        raise _not_sent(request, seen)
    seen.begun += 1
    response = ask(request)
    try:
        _read(response)
    except BaseException:
        seen.answers.append(Exchange(response.status_code, is_whole=False))
        response.close()
        raise
    is_whole = bool(response.content) or not response.num_bytes_downloaded  # what was packed may have been cut
    seen.answers.append(Exchange(response.status_code, response.content, is_whole=is_whole))
    return response


def _read(response: httpx.Response) -> None:
    """Read the whole answer, as `response.read` does, but no more than MOST_BYTES: a few packed ones can become many.

    Raises: httpx.RemoteProtocolError if there are more.
    """
    import httpx

    parts, size = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise httpx.RemoteProtocolError(f"the answer has more than {MOST_BYTES:,} bytes", request=response.request)
    response._content = b"".join(parts)


def _check_redirect(request: httpx.Request, following: httpx.Request, seen: Traffic) -> None:
    """Raises: httpx.RequestError if the prompt would leave for another host, without encryption, or not at all."""
    is_same = following.url.host == request.url.host and following.method == request.method
    if is_same and not (request.url.scheme == "https" and following.url.scheme == "http"):
        return
    where = f"{following.url.scheme}://{following.url.host}"
    seen.refused = f"{request.url.host} redirects to {where}{following.url.path}, where nothing is sent"
    raise _not_sent(request, seen)


def _not_sent(request: httpx.Request, seen: Traffic) -> Exception:
    import httpx

    return httpx.RequestError(seen.refused, request=request)
