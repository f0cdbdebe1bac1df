"""The HTTP side: a threading server on a free port of loopback that answers at once and can misbehave."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import responses as REASONS
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.provider.faults import Act
from tests.provider.wire import Response

__all__ = ["Answer", "Listener"]

_RESET = struct.pack("ii", 1, 0)  # linger on, for no time: closing sends RST


@dataclass(frozen=True)
class Answer:
    """An answer and its way out: SEND, CUT (half of the body, then closed), RESET or HANG for `hang_s`."""

    response: Response | None = None
    act: Act = Act.SEND
    hang_s: float = 0.0


Respond = Callable[[str, dict[str, str], bytes], Answer]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.respond(self.path, headers, body)
        if answer.act is Act.HANG:
            self.server.closing.wait(answer.hang_s)
            self.close_connection = True
        elif answer.act is Act.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close_connection = True
        elif answer.response is not None:
            self._send(answer.response, cut=answer.act is Act.CUT)

    do_GET = do_POST

    def _send(self, response: Response, *, cut: bool) -> None:
        """One write, so that the answer leaves in as few packets as it fits."""
        lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += [f"Content-Length: {len(response.body)}", "", ""]
        body = response.body[: len(response.body) // 2] if cut else response.body
        try:
            self.connection.sendall("\r\n".join(lines).encode("latin-1") + body)
        except OSError:  # the client gave up waiting
            self.close_connection = True
        if cut:
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.closing = threading.Event()
        self.connections: set[socket.socket] = set()
        self.errors: list[Exception] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self.connections.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Closed without the polite half-close, which would keep a reset from being one."""
        self.connections.discard(request)
        request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over clients that go away in the middle, as some tests make them. Any other error is a mistake here."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.errors.append(error)

    def close_all(self) -> None:
        self.closing.set()
        for connection in tuple(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed meanwhile by its own thread
                continue


class Listener:
    """Serves `respond(path, headers, body)` while it is open. Nothing listens on `port` before and after."""

    def __init__(self, respond: Respond) -> None:
        self._server = _Server(respond)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="provider", daemon=True
        )
        self._thread.start()

    @property
    def errors(self) -> list[Exception]:
        """Exceptions of `respond`, for which the client saw a connection closed without an answer."""
        return self._server.errors

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.close_all()
        self._server.server_close()
