"""Replies that came and were billed, and of which something is wrong: in the words of each protocol."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from tests.provider.wire import Body

__all__ = ["ODD_REPLIES"]

Change = Callable[[Body], Body]


def _message(**fields: object) -> Change:
    """A chat completion with other fields in its message."""

    def change(said: Body) -> Body:
        choice = said["choices"][0]
        return said | {"choices": [choice | {"message": choice["message"] | fields}]}

    return change


def _blocks(*blocks: Body) -> Change:
    return lambda said: said | {"content": list(blocks)}


def _parts(*parts: Body) -> Change:
    return lambda said: said | {"candidates": [said["candidates"][0] | {"content": {"parts": list(parts)}}]}


def _converse(*blocks: Body) -> Change:
    return lambda said: said | {"output": {"message": {"role": "assistant", "content": list(blocks)}}}


def _half(text: str) -> str:
    return text[: max(1, len(text) // 2)]


def _break_chat(said: Body) -> Body:
    choice = said["choices"][0]
    message = choice["message"] | {"content": _half(choice["message"]["content"])}
    return said | {"choices": [choice | {"message": message, "finish_reason": "abort"}]}


def _break_anthropic(said: Body) -> Body:
    block = {"type": "text", "text": _half(said["content"][0]["text"])}
    return said | {"content": [block], "stop_reason": "pause_turn"}


def _break_gemini(said: Body) -> Body:
    candidate = {"content": {"parts": [{"text": _half(said["candidates"][0]["content"]["parts"][0]["text"])}]}}
    return said | {"candidates": [candidate]}


def _break_bedrock(said: Body) -> Body:
    text = said["output"]["message"]["content"][0]["text"]
    return _converse({"text": _half(text)})(said) | {"stopReason": "model_context_window_exceeded"}


def _list_content(said: Body) -> Body:
    text = said["choices"][0]["message"]["content"]
    return _message(content=[{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": text}])(said)


def _without_usage(said: Body) -> Body:
    return {name: value for name, value in said.items() if name not in ("usage", "usageMetadata")}


def _error(said: Body) -> Body:
    return {"error": {"code": 503, "message": "The model is overloaded, try again later.", "status": "UNAVAILABLE"}}


def _same(said: Body) -> Body:
    return said


CALL = {"id": "1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}

# By fault and protocol, the change to a good reply.
ODD_REPLIES = MappingProxyType(
    {
        "reasoning_alone": {
            "openai": _message(content=None, reasoning_content="Hm."),
            "anthropic": _blocks({"type": "thinking", "thinking": "Hm.", "signature": "eA=="}),
            "gemini": _parts({"text": "Hm.", "thought": True}),
            "bedrock": _converse({"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "eA=="}}}),
        },
        "tool_call_alone": {
            "openai": _message(content=None, tool_calls=[CALL]),
            "anthropic": _blocks({"type": "tool_use", "id": "1", "name": "bash", "input": {}}),
            "gemini": _parts({"functionCall": {"name": "bash", "args": {}}}),
            "bedrock": _converse({"toolUse": {"toolUseId": "1", "name": "bash", "input": {}}}),
        },
        "refusal": {
            "openai": _message(content=None, refusal="I cannot help with that."),
            "anthropic": lambda said: said | {"content": [], "stop_reason": "refusal"},
            "gemini": lambda said: said | {"candidates": [{"finishReason": "PROHIBITED_CONTENT", "index": 0}]},
            "bedrock": lambda said: said | {"stopReason": "guardrail_intervened"},
        },
        "broken_off": {
            "openai": _break_chat,
            "anthropic": _break_anthropic,
            "gemini": _break_gemini,
            "bedrock": _break_bedrock,
        },
        "list_content": {"openai": _list_content, "anthropic": _same, "gemini": _same, "bedrock": _same},
        "no_usage": dict.fromkeys(("openai", "anthropic", "gemini", "bedrock"), _without_usage),
        "error_in_200": dict.fromkeys(("openai", "anthropic", "gemini", "bedrock"), _error),
    }
)
