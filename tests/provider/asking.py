"""How the tests of the strict server ask it: through litellm, or with a body of their own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any

from tests.provider.server import MODES, Response, StrictServer
from tests.provider.wire import Body

Message = dict[str, Any]
Complete = Callable[..., Any]

ROLES = {"s": "system", "u": "user", "a": "assistant", "d": "developer", "t": "tool"}


def talk(*turns: str) -> list[Message]:
    """Messages from letters: "u" a user, "a: \\n" an assistant with the text after the colon."""
    return [
        {"role": ROLES[turn[0]], "content": turn[2:] if turn[1:2] == ":" else f"Words of {turn}."} for turn in turns
    ]


def good(mode: str) -> list[Message]:
    return talk("u", "a", "u") if mode == "vllm-gemma2" else talk("s", "u", "a", "u")


def outcome(complete: Complete, server: StrictServer, messages: list[Message], **more: Any) -> str:
    """The class and status of the error, or the reply."""
    import openai  # a second that collecting the tests need not take

    try:
        response = complete(server, messages, **more)
    except openai.OpenAIError as error:
        return f"{type(error).__name__} {getattr(error, 'status_code', None)}"
    if response is None:
        return "None"
    if not response.choices:
        return "no choices"
    return f"{response.choices[0].finish_reason}: {response.choices[0].message.content}"


def native(mode: str, messages: list[Message]) -> tuple[str, Body]:
    """Path and body in the mode's own protocol, with nothing repaired."""
    spoken = [m for m in messages if m["role"] != "system"]
    system = [{"text": m["content"]} for m in messages if m["role"] == "system"]
    match MODES[mode].protocol.name:
        case "anthropic":
            turns = [{"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in spoken]
            return "/v1/messages", {"model": "claude", "max_tokens": 100, "messages": turns}
        case "bedrock":
            turns = [{"role": m["role"], "content": [{"text": m["content"]}]} for m in spoken]
            return "/model/claude/converse", {"messages": turns, "system": system}
        case "gemini":
            role = {"assistant": "model"}
            turns = [{"role": role.get(m["role"], m["role"]), "parts": [{"text": m["content"]}]} for m in spoken]
            return "/models/gemini:generateContent", {"contents": turns}
        case _:
            return "/v1/chat/completions", {"model": "m", "messages": messages}


def post(server: StrictServer, path: str, body: Body, connection: http.client.HTTPConnection | None = None) -> Response:
    """A request without litellm."""
    key = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}.get(server.mode.protocol.name, "Authorization")
    secret = {"bedrock": f"AWS4-HMAC-SHA256 Credential={server.api_key}/20260101/us-east-1/bedrock/aws4_request"}
    value = secret.get(server.mode.name, server.api_key if key != "Authorization" else f"Bearer {server.api_key}")
    port = int(server.base_url.rpartition(":")[2])
    used = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    used.request("POST", path, json.dumps(body), {key: value})
    answer = used.getresponse()
    response = Response(answer.status, answer.read(), tuple((n.lower(), v) for n, v in answer.getheaders()))
    if connection is None:
        used.close()
    return response
