"""A provider that gives whole answers from a queue, for tests that write the answers themselves."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.provider.listener import Answer, Listener
from tests.provider.modes import MODES
from tests.provider.wire import Body, Response, dump

__all__ = ["Provider", "Received", "fails", "says", "serve"]

Respond = Callable[[Body], Response]


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire, and the status that it was answered with (0: none was sent)."""

    time: float
    path: str
    headers: dict[str, str]
    body: Body
    status: int = 0


@dataclass
class Provider:
    """Gives the answers queued in `answers`, then replies with `text`. Keeps requests, checks order as DeepSeek."""

    text: str = "A reply."
    answers: deque[Response | Respond] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    url: str = ""

    def respond(self, path: str, headers: dict[str, str], raw: bytes) -> Answer:
        request = Received(time.monotonic(), path, headers, json.loads(raw))
        self.received.append(request)
        refusal = _refuse_order(request.body)
        if refusal:
            return Answer(refusal)
        queued = self.answers.popleft() if self.answers else says(self.text)
        return Answer(queued if isinstance(queued, Response) else queued(request.body))


def _refuse_order(body: Body) -> Response | None:
    mode = MODES["deepseek"]
    turns = mode.protocol.read(body)
    for rule in mode.rules:
        refusal = rule(turns, body)
        if refusal:
            return Response(refusal.status, dump(mode.envelope(refusal)))
    return None


def says(text: str | None, **changes: Any) -> Response:
    """A completion."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "deepseek-chat"}
    return Response(200, dump(whole | {"choices": [choice], "usage": usage} | changes))


def fails(status: int, message: str, *, kind: str = "error", code: str | None = None) -> Response:
    """An error in OpenAI's words."""
    return Response(status, dump({"error": {"message": message, "type": kind, "param": None, "code": code}}))


@contextmanager
def serve() -> Iterator[Provider]:
    """A provider on a free port."""
    provider = Provider()
    listener = Listener(provider.respond)
    provider.url = f"http://127.0.0.1:{listener.port}"
    try:
        yield provider
    finally:
        listener.close()
