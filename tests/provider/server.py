"""A provider on loopback that speaks the real protocols and refuses what the real providers refuse."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self

from tests.provider.faults import ALL_FAULTS, FAULTS, Act, Fault
from tests.provider.limit import Bucket, Standing, Window
from tests.provider.listener import Answer, Listener
from tests.provider.modes import MODES, Mode, secret_of
from tests.provider.odd_replies import ODD_REPLIES
from tests.provider.protocols import Spent
from tests.provider.queued import Provider, Received, fails, says, serve
from tests.provider.refuse import Facts, put, refuse_fields, refuse_text, retry_after
from tests.provider.wire import (
    CHARACTERS_PER_TOKEN,
    JSON,
    Body,
    Refusal,
    Reply,
    Response,
    Turn,
    count_reply_tokens,
    count_tokens,
)

__all__ = [
    "ALL_FAULTS",
    "FAULTS",
    "MODES",
    "Bucket",
    "Fault",
    "Mode",
    "Provider",
    "Received",
    "Reply",
    "Response",
    "StrictServer",
    "Window",
    "fails",
    "says",
    "serve",
]

KEY = "sk-strict-0123456789abcdef"
CACHED_BLOCK_TOKENS = 64

Say = Callable[[list[dict[str, str]]], str | Reply]


@dataclass(frozen=True)
class _Call:
    """One request, read."""

    body: Body
    turns: list[Turn]
    model: str
    tokens: int


class StrictServer:
    """One provider, open for the length of a `with`.

    mode          a name of MODES
    replies       the model's replies, in order, the last one again and again, or a function of the messages
                  (dicts of role and content, system first), called by one request at a time
    faults        consumed one a request, in order, by name or as a Fault, or None for an ordinary request
    tokens_per_minute, window_s, scale
                  a real limit, of that many tokens in `window_s * scale` seconds. `kind` is "bucket" (refilled
                  evenly, full at first) or "window" (any stretch of that length). A prompt is taken if it fits,
                  its reply always
    context_tokens  prompts longer than this are refused in the provider's words
    models        other models than these (without the prefix) are unknown, but () knows all
    latency_s     time of the model before a reply

    After the `with` nothing listens any more, and `environment()` points at a port that refuses connections.
    """

    def __init__(
        self,
        mode: str = "openai",
        replies: Sequence[str | Reply] | Say = ("A reply.",),
        faults: Iterable[Fault | str | None] = (),
        *,
        api_key: str = KEY,
        tokens_per_minute: int | None = None,
        window_s: float = 60.0,
        scale: float = 1.0,
        kind: Literal["bucket", "window"] = "bucket",
        context_tokens: int | None = None,
        models: Sequence[str] = (),
        latency_s: float = 0.0,
    ) -> None:
        self.mode = MODES[mode]
        self.api_key = api_key
        self.requests: list[Received] = []
        self.busiest = 0
        self.limit: Bucket | Window | None = None
        if tokens_per_minute is not None:
            self.limit = (Bucket if kind == "bucket" else Window)(tokens_per_minute, window_s * scale)
        self._replies = replies if callable(replies) else deque(replies)
        self._faults = deque(ALL_FAULTS[f] if isinstance(f, str) else f for f in faults)
        self._scale = scale
        self._context_tokens = context_tokens
        self._models = tuple(models)
        self._latency_s = latency_s
        self._lock = threading.Lock()
        self._speaking = threading.Lock()
        self._prefixes: set[int] = set()
        self._open = 0
        self._port = 0

    def __enter__(self) -> Self:
        self._listener = Listener(self._respond)
        self._port = self._listener.port
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Raises: any exception of a rule or of `replies`, which the client saw as a lost connection."""
        self._listener.close()
        if kind is None and self._listener.errors:
            raise self._listener.errors[0]

    @property
    def model(self) -> str:
        return self.mode.model

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def anthropic_url(self) -> str:
        return self.base_url

    def environment(self) -> dict[str, str]:
        """Variables that point the real litellm at this server for the mode's prefix, as every mode allows."""
        named = self.mode.environment.items()
        return {name: value.replace("{url}", self.base_url).replace("{key}", self.api_key) for name, value in named}

    def options(self) -> dict[str, Any]:
        """The same as arguments of litellm.completion, for two servers that share a prefix."""
        environment = self.environment()
        if self.mode.name == "bedrock":
            return {
                "aws_bedrock_runtime_endpoint": self.base_url,
                "aws_access_key_id": self.api_key,
                "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
                "aws_region_name": environment["AWS_REGION_NAME"],
            }
        base = next(value for name, value in environment.items() if name.endswith("_API_BASE"))
        return {"api_base": base, "api_key": self.api_key}

    def statuses(self) -> list[int]:
        """The status of every answer, in the order of the requests. 0 if none was sent."""
        return [request.status for request in self.requests]

    def add_faults(self, *faults: Fault | str | None) -> None:
        """More faults for the requests to come."""
        with self._lock:
            self._faults.extend(ALL_FAULTS[f] if isinstance(f, str) else f for f in faults)

    # One request

    def _respond(self, path: str, headers: dict[str, str], raw: bytes) -> Answer:
        began = time.monotonic()
        if not raw:  # a look at the server, which asks no model
            return Answer(Response(404, b'{"detail":"Not Found"}'))
        with self._lock:
            self._open += 1
            self.busiest = max(self.busiest, self._open)
            fault = self._faults.popleft() if self._faults else None
        try:
            body = json.loads(raw)
            answer = self._answer(path, headers, body, fault)
        finally:
            with self._lock:
                self._open -= 1
        status = answer.response.status if answer.response else 0
        with self._lock:
            self.requests.append(Received(began, path, headers, body, status))
        return answer

    def _answer(self, path: str, headers: dict[str, str], body: Body, fault: Fault | None) -> Answer:
        if not path.partition("?")[0].endswith(self.mode.protocol.paths):
            return Answer(Response(404, b'{"detail":"Not Found"}'))
        turns = self.mode.protocol.read(body)
        call = _Call(body, turns, _model_of(path, body), count_tokens(turns))
        if fault is not None and fault.act in (Act.RESET, Act.HANG):
            return Answer(None, fault.act, fault.hang_s)
        if fault is not None and fault.act is Act.SEND:
            return Answer(fault.response)
        if fault is not None and fault.act is Act.REFUSE:
            return Answer(self._refuse(call, fault.name, fault=fault))
        secret = secret_of(self.mode, headers)
        if secret != self.api_key:
            return Answer(self._refuse(call, "key_401", key=secret))
        return self._judge(call, fault)

    def _judge(self, call: _Call, fault: Fault | None) -> Answer:
        """Check the model, then fields and order, then length, then the limit, and reply only if all are right."""
        if self._models and call.model not in self._models:
            return Answer(self._refuse(call, "unknown_404"))
        field = refuse_fields(self.mode, call.turns, call.body)
        if field:
            return Answer(self._put(call, field[0], param=field[1]))
        for rule in (refuse_text, *self.mode.rules):
            refusal = rule(call.turns, call.body)
            if refusal:
                return Answer(self._put(call, refusal))
        if self._context_tokens is not None and call.tokens > self._context_tokens:
            return Answer(self._refuse(call, "context_length"))
        standing = self.limit.admit(call.tokens) if self.limit else None
        if standing and not standing.admitted:
            return Answer(self._over_limit(call, standing))
        return self._reply(call, fault)

    def _reply(self, call: _Call, fault: Fault | None) -> Answer:
        act = fault.act if fault else Act.SEND
        reply = self._next_reply(call.turns)
        if act is Act.LENGTH:
            reply = replace(reply, text=reply.text[: max(1, len(reply.text) // 2)], finish="length")
        if self._latency_s:
            time.sleep(self._latency_s)
        spent = self._spend(call, reply)
        standing = self.limit.charge(spent.tokens_out) if self.limit else None
        protocol = self.mode.protocol
        said = protocol.say(reply, spent, call.model)
        if act is Act.BLANK:
            said = protocol.blank(said)
        if fault and act is Act.ODD:
            said = ODD_REPLIES[fault.name][protocol.name](said)
        response = Response(200, json.dumps(said).encode(), JSON)
        if call.body.get("stream") and protocol.stream:
            response = protocol.stream(said)
        if standing:
            response = replace(response, headers=response.headers + self.mode.rate_headers(standing))
        return Answer(response, Act.CUT if act is Act.CUT else Act.SEND)

    def _next_reply(self, turns: Sequence[Turn]) -> Reply:
        with self._speaking:
            if callable(self._replies):
                said = self._replies([{"role": turn.role, "content": turn.text} for turn in turns])
            else:
                said = self._replies.popleft() if len(self._replies) > 1 else self._replies[0]
        return said if isinstance(said, Reply) else Reply(said)

    def _spend(self, call: _Call, reply: Reply) -> Spent:
        tokens_in = call.tokens if reply.tokens_in is None else reply.tokens_in
        tokens_out = count_reply_tokens(reply) if reply.tokens_out is None else reply.tokens_out
        if reply.tokens_cached is not None:
            return Spent(tokens_in, tokens_out, reply.tokens_cached)
        cached = self._cached_tokens(call.turns) if self.mode.caches else 0
        return Spent(tokens_in, tokens_out, min(cached, tokens_in))

    def _cached_tokens(self, turns: Sequence[Turn]) -> int:
        """The longest beginning that an earlier prompt had too, in whole blocks, as prefix caches count."""
        prompt, chain, cached = "\0".join(turn.text for turn in turns), 0, 0
        step = CACHED_BLOCK_TOKENS * CHARACTERS_PER_TOKEN
        with self._lock:
            for start in range(0, len(prompt) - step + 1, step):
                chain = hash((chain, prompt[start : start + step]))
                cached += CACHED_BLOCK_TOKENS if chain in self._prefixes else 0
                self._prefixes.add(chain)
        return cached

    # Refusals

    def _over_limit(self, call: _Call, standing: Standing) -> Response:
        if standing.requested > standing.limit and "too_large" in self.mode.words:
            refusal = self.mode.words["too_large"]
        else:
            refusal = self.mode.words["tpm_limit"]
        after = retry_after(standing.wait_s, self._scale) if self.mode.retry_after else None
        facts = Facts(
            call.model,
            self._window(),
            call.tokens,
            limit=standing.limit,
            used=standing.limit - standing.remaining,
            requested=standing.requested,
            wait_s=standing.wait_s,
            retry_after_s=after,
        )
        return put(self.mode, refusal, facts, standing)

    def _refuse(self, call: _Call, name: str, *, fault: Fault | None = None, key: str = "") -> Response:
        words = self.mode.words
        refusal = words.get(name) or words["rate_limit" if name == "rate_limit_retry_after" else name]
        after = fault.retry_after_s if fault else None
        window = self._window()
        return put(
            self.mode,
            refusal,
            Facts(
                call.model,
                window,
                tokens=call.tokens if call.tokens > window else window + 1000,
                wait_s=2.0 if after is None else after,
                retry_after_s=after,
                key=key or self.api_key,
                param="reasoning",
            ),
        )

    def _put(self, call: _Call, refusal: Refusal, param: str = "") -> Response:
        return put(self.mode, refusal, Facts(call.model, self._window(), call.tokens, param=param))

    def _window(self) -> int:
        return self._context_tokens or self.mode.window_tokens


def _model_of(path: str, body: Body) -> str:
    """The body's model, or the one that Gemini and Bedrock have in the path."""
    if "model" in body:
        return str(body["model"])
    last = urllib.parse.unquote(path.partition("?")[0])
    return last.rpartition("/models/")[2].partition(":generateContent")[0] if "/models/" in last else last.split("/")[2]
