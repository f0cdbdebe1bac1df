"""A provider on loopback that speaks OpenAI's chat protocol and refuses what DeepSeek refuses."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Respond = Callable[[Body], "Response"]


@dataclass(frozen=True)
class Response:
    """One answer; `body` is sent as it is."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: Body


@dataclass
class Provider:
    """Gives the answers queued in `answers`, then says `text`; keeps every request."""

    text: str = "A reply."
    answers: deque[Response | Respond] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    url: str = ""

    def answer(self, request: Received) -> Response:
        self.received.append(request)
        refusal = refuse_sequence(request.body)
        if refusal:
            return refusal
        queued = self.answers.popleft() if self.answers else says(self.text)
        return queued if isinstance(queued, Response) else queued(request.body)


def refuse_sequence(body: Body) -> Response | None:
    """As deepseek-reasoner in 2025: user and assistant in turns after one system message, user last."""
    roles = [message["role"] for message in body["messages"]]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if turns != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
        problem = "deepseek-reasoner does not support successive user or assistant messages"
        return fails(400, problem, kind="invalid_request_error")
    return None


def says(text: str | None, **changes: Any) -> Response:
    """A completion."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "deepseek-chat"}
    return Response(200, json.dumps(whole | {"choices": [choice], "usage": usage} | changes).encode())


def fails(status: int, message: str, *, kind: str = "error", code: str | None = None) -> Response:
    """An error in OpenAI's words."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return Response(status, json.dumps({"error": error}).encode())


@contextmanager
def serve() -> Iterator[Provider]:
    """A provider on a free port."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            response = provider.answer(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(response.status)
            for name, value in response.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
