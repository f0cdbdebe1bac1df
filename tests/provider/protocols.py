"""The four protocols that litellm speaks to these providers: how a request is read and a reply is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.provider.wire import Body, Headers, Reply, Response, Turn, dump, texts_of

__all__ = ["ANTHROPIC", "BEDROCK", "GEMINI", "OPENAI", "Protocol", "Spent"]

EVENTS: Headers = (("Content-Type", "text/event-stream"),)


@dataclass(frozen=True)
class Spent:
    """Tokens of one call. Those read from a cache are among `tokens_in`."""

    tokens_in: int
    tokens_out: int
    tokens_cached: int = 0


@dataclass(frozen=True)
class Protocol:
    """Reads the turns of a body, the system's among them, and writes a reply. `blank` is an answer without a reply."""

    name: str
    paths: tuple[str, ...]
    read: Callable[[Body], list[Turn]]
    say: Callable[[Reply, Spent, str], Body]
    blank: Callable[[Body], Body]
    stream: Callable[[Body], Response] | None = None


# OpenAI's chat completions


def read_openai(body: Body) -> list[Turn]:
    return [
        Turn(
            role=str(message.get("role")),
            texts=texts_of(message.get("content")),
            at=at,
            keys=frozenset(message) - {"role", "content"},
            prefix=message.get("prefix") is True,
        )
        for at, message in enumerate(body.get("messages") or [])
    ]


def say_openai(reply: Reply, spent: Spent, model: str) -> Body:
    usage: Body = {
        "prompt_tokens": spent.tokens_in,
        "completion_tokens": spent.tokens_out,
        "total_tokens": spent.tokens_in + spent.tokens_out,
        "prompt_tokens_details": {"cached_tokens": spent.tokens_cached},
    }
    if "deepseek" in model:
        hit = spent.tokens_cached
        usage |= {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": spent.tokens_in - hit}
    message: Body = {"role": "assistant", "content": reply.text}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
        "usage": usage,
    }


def stream_openai(said: Body) -> Response:
    head = {key: said[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    chunks: list[Body] = []
    for choice in said["choices"]:
        delta = choice["message"]
        chunks.append(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        chunks.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    chunks.append(head | {"choices": [], "usage": said["usage"]})
    return Response(200, b"".join(b"data: " + dump(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n", EVENTS)


# Anthropic's messages


def read_anthropic(body: Body) -> list[Turn]:
    return _system(body.get("system")) + [
        Turn(str(message.get("role")), texts_of(message.get("content")), at, frozenset(message) - {"role", "content"})
        for at, message in enumerate(body.get("messages") or [])
    ]


def say_anthropic(reply: Reply, spent: Spent, model: str) -> Body:
    content: list[Body] = [{"type": "text", "text": reply.text}]
    if reply.reasoning:
        content.insert(0, {"type": "thinking", "thinking": reply.reasoning, "signature": "c2lnbmF0dXJl"})
    stops = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stops[reply.finish],
        "stop_sequence": None,
        "usage": {
            "input_tokens": spent.tokens_in - spent.tokens_cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": spent.tokens_cached,
            "output_tokens": spent.tokens_out,
        },
    }


def stream_anthropic(said: Body) -> Response:
    events: list[Body] = [{"type": "message_start", "message": said | {"content": [], "stop_reason": None}}]
    for index, block in enumerate(block for block in said["content"] if block["type"] == "text"):
        empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": said["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": said["usage"]})
    events.append({"type": "message_stop"})
    lines = (f"event: {event['type']}\ndata: ".encode() + dump(event) + b"\n\n" for event in events)
    return Response(200, b"".join(lines), EVENTS)


# Gemini's generateContent


def read_gemini(body: Body) -> list[Turn]:
    """A part that holds no text, such as `{}`, counts as an empty text: the API refuses it the same way."""
    instruction = body.get("system_instruction") or body.get("systemInstruction") or {}
    return _system(instruction.get("parts")) + [
        Turn(
            role=str(content.get("role", "user")),
            texts=tuple(str(part.get("text", "")) for part in content.get("parts") or []),
            at=at,
            keys=frozenset(key for part in content.get("parts") or [] for key in part) - {"text"},
        )
        for at, content in enumerate(body.get("contents") or [])
    ]


def say_gemini(reply: Reply, spent: Spent, model: str) -> Body:
    parts: list[Body] = [{"text": reply.text}]
    if reply.reasoning:
        parts.insert(0, {"text": reply.reasoning, "thought": True})
    stops = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
    usage = {
        "promptTokenCount": spent.tokens_in,
        "candidatesTokenCount": spent.tokens_out,
        "totalTokenCount": spent.tokens_in + spent.tokens_out,
    }
    if spent.tokens_cached:
        usage["cachedContentTokenCount"] = spent.tokens_cached
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": stops[reply.finish], "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}


# Bedrock's Converse


def read_bedrock(body: Body) -> list[Turn]:
    return _system(body.get("system")) + [
        Turn(str(message.get("role")), texts_of(message.get("content")), at)
        for at, message in enumerate(body.get("messages") or [])
    ]


def say_bedrock(reply: Reply, spent: Spent, model: str) -> Body:
    stops = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered"}
    return {
        "metrics": {"latencyMs": 1},
        "output": {"message": {"role": "assistant", "content": [{"text": reply.text}]}},
        "stopReason": stops[reply.finish],
        "usage": {
            "inputTokens": spent.tokens_in - spent.tokens_cached,
            "cacheReadInputTokens": spent.tokens_cached,
            "cacheWriteInputTokens": 0,
            "outputTokens": spent.tokens_out,
            "totalTokens": spent.tokens_in + spent.tokens_out,
        },
    }


def _system(content: Any) -> list[Turn]:
    texts = texts_of(content)
    return [Turn("system", texts)] if texts else []


OPENAI = Protocol(
    name="openai",
    paths=("/chat/completions",),
    read=read_openai,
    say=say_openai,
    blank=lambda said: said | {"choices": []},
    stream=stream_openai,
)
ANTHROPIC = Protocol(
    name="anthropic",
    paths=("/v1/messages",),
    read=read_anthropic,
    say=say_anthropic,
    blank=lambda said: said | {"content": []},
    stream=stream_anthropic,
)
GEMINI = Protocol(
    name="gemini",
    paths=(":generateContent",),
    read=read_gemini,
    say=say_gemini,
    blank=lambda said: said | {"candidates": []},
)
BEDROCK = Protocol(
    name="bedrock",
    paths=("/converse",),
    read=read_bedrock,
    say=say_bedrock,
    blank=lambda said: said | {"output": {"message": {"role": "assistant", "content": []}}},
)
