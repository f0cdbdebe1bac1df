"""A provider's reply, read from its own JSON: text, end and counts.

One reader for chat completions, Responses, Anthropic, Gemini, Bedrock and Ollama. It takes every form in which one of
them was seen, and counts what it cannot read as unknown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any, Final

from agent.core.model.answer.ends import is_whole
from agent.core.model.answer.stream import join_chunks, read_chunks
from agent.core.model.answer.usage import Usage, read_usage

__all__ = ["ReadBody", "read_body"]

MOST_BYTES: Final = 50_000_000
MOST_BLOCKS: Final = 10_000
# Thoughts that the provider keeps to itself.
NOT_TOLD: Final = "(not told)"

# "429"
_STATUS: Final = re.compile(r"[1-5]\d\d", re.ASCII)

# Names of the places in which a reply stands.
_PLACES: Final = ("choices", "output", "candidates", "promptFeedback", "content", "stop_reason", "done", "response")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReadBody:
    """A reply as its provider wrote it."""

    # The reply, without thoughts.
    text: str = ""
    # Thoughts that stand apart from it.
    reasoning: str = ""
    # The provider's word for its end, "" if there is none.
    finish: str = ""
    # Names of the tools that the model called.
    tools: tuple[str, ...] = ()
    # The model's words for declining to answer.
    refusal: str = ""
    # JSON of an error that stands in place of a reply, or beside a part of one.
    error: str = ""
    # The status that this error names.
    status: int | None = None
    # Tokens, as far as they are counted.
    usage: Usage = field(default_factory=Usage)
    # The provider's name of the model.
    model: str = ""
    # Whether there is a place for a reply, even if nothing stands in it.
    has_reply: bool = False
    # Form of the content, if it is not a text.
    form: str = ""

    @property
    def came(self) -> str:
        """The value in the place of a text, in words."""
        parts = ["reasoning"] if self.reasoning.strip() else []
        if self.tools:
            named = ", ".join(name for name in self.tools[:3] if name)
            parts.append(f"a tool call ({named})" if named else "a tool call")
        if self.refusal.strip():
            parts.append("a refusal")
        if self.finish.upper() in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"):
            parts.append(f"a tool call that the provider could not read ({self.finish})")
        return " and ".join(parts) + " alone" if parts else "nothing"


def read_body(body: bytes | str) -> ReadBody | None:
    """The reply in the body of an answer, or None if it is no JSON object that a provider writes."""
    try:
        data = _load(body)
        return _read_object(data) if isinstance(data, dict) else None
    except RecursionError:  # its values are nested as deeply as json reads them, and are written further in
        return None


def _read_object(data: dict[str, Any]) -> ReadBody | None:
    if _is_response_event(data):
        data = data["response"]
    heard = _read(data)
    if heard is None:
        return None
    usage = read_usage(data)
    return _with(heard, usage, str(data.get("model") or data.get("modelVersion") or ""))


def _with(heard: ReadBody, usage: Usage, model: str) -> ReadBody:
    return ReadBody(
        heard.text, heard.reasoning, heard.finish, heard.tools, heard.refusal, heard.error, heard.status, usage, model,
        heard.has_reply, heard.form,
    )  # fmt: skip


def _load(body: bytes | str) -> Any:
    text = body[:MOST_BYTES].decode("utf-8", "replace") if isinstance(body, bytes) else body[:MOST_BYTES]
    text = text.removeprefix("\ufeff")
    try:
        data = loads(text)
    except (ValueError, RecursionError):  # a number of 5,000 digits is a ValueError too
        return join_chunks(read_chunks(text))
    return join_chunks([c for c in data if isinstance(c, dict)]) if isinstance(data, list) else data


def _is_response_event(data: Json) -> bool:
    return str(data.get("type", "")).startswith("response.") and isinstance(data.get("response"), dict)


def _read(data: Json) -> ReadBody | None:
    """The reply in the object, without its usage."""
    error = data.get("error") or _other_error(data)
    if isinstance(data.get("choices"), list) and (data["choices"] or not error):
        return _read_choice(data["choices"], error)
    if error:
        return _error_of(error)
    if data.get("choices", ...) is None:
        return ReadBody(has_reply=False)
    if isinstance(data.get("output"), list) or data.get("object") == "response":
        return _read_response(data)
    if isinstance(data.get("output"), dict):
        message = data["output"].get("message")
        return _read_blocks(message.get("content") if isinstance(message, dict) else None, data.get("stopReason"))
    if "candidates" in data or "promptFeedback" in data:
        return _read_gemini(data)
    if data.get("type") == "message" or "stop_reason" in data:
        return _read_blocks(data.get("content"), data.get("stop_reason"))
    if "done" in data:
        return _read_ollama(data)
    if isinstance(data.get("message"), dict):
        return _read_message(data["message"], data.get("finish_reason"))
    return None


def _read_choice(choices: list[Any], error: Any) -> ReadBody:
    """The first choice of a chat completion. `error` stands beside all choices."""
    choice = choices[0] if choices and isinstance(choices[0], dict) else {}
    message = next((choice[name] for name in ("message", "delta") if choice.get(name) is not None), None)
    if message is None and "text" in choice:
        message = {"content": choice["text"]}
    heard = _read_message(message, choice.get("finish_reason"), has_reply=bool(choice))
    error = choice.get("error") or (error if not is_whole(heard.finish) else None)
    if not error:
        return heard
    told = _error_of(error)
    return ReadBody(
        heard.text, heard.reasoning, heard.finish, heard.tools, heard.refusal, told.error, told.status,
        has_reply=True, form=heard.form,
    )  # fmt: skip


def _read_message(message: Any, finish: Any, *, has_reply: bool = True) -> ReadBody:
    """A message of a chat: a content of any form, with thoughts, tools and a refusal beside it."""
    if not isinstance(message, dict):
        message = {"content": message}
    content = message.get("content")
    form = {str: "", type(None): "", list: "a list of blocks", dict: "a block"}.get(type(content), "no text")
    heard = _read_blocks(content, finish)
    thoughts = [message.get(name) for name in ("reasoning_content", "reasoning", "thinking")]
    reasoning = next((_text(thought) for thought in thoughts if _text(thought).strip()), heard.reasoning)
    apart = next((message[name] for name in ("reasoning_details", "thinking_blocks") if message.get(name)), None)
    if not reasoning and isinstance(apart, list):
        reasoning = "\n".join(_thought(block) or NOT_TOLD for block in apart[:MOST_BLOCKS] if isinstance(block, dict))
    calls = message.get("tool_calls") or []
    called = [call for call in (calls if isinstance(calls, list) else [calls]) if isinstance(call, dict)]
    named = [call.get("function") or call.get("custom") or call for call in called]
    named += [message.get("function_call") or None]
    tools = heard.tools + tuple(_name(function) for function in named if function is not None)
    refusal = _text(message.get("refusal")) or heard.refusal
    return ReadBody(heard.text, reasoning, heard.finish, tools, refusal, has_reply=has_reply, form=form)


def _read_blocks(content: Any, finish: Any) -> ReadBody:
    """A content that is a text, a number, or a list of blocks of any provider."""
    texts, thoughts, refusals = list[str](), list[str](), list[str]()
    tools: list[str] = []
    for block in (content if isinstance(content, list) else [content])[:MOST_BLOCKS]:
        if not isinstance(block, dict):
            texts.append(_text(block))
            continue
        kind = str(block.get("type", ""))
        if "reasoningContent" in block or block.get("thought") is True or "thinking" in kind or kind == "reasoning":
            thoughts.append(_thought(block) or NOT_TOLD)
        elif kind == "refusal" or isinstance(block.get("refusal"), str):
            refusals.append(_text(block.get("refusal")))
        elif "tool" in kind or "function" in kind or any(name in block for name in ("toolUse", "functionCall")):
            tools.append(_name(block.get("toolUse") or block.get("functionCall") or block))
        else:
            inner = block.get("text") or block.get("content")
            texts.append(_text(inner.get("value") if isinstance(inner, dict) else inner))
    return ReadBody(
        text="".join(texts),
        reasoning="\n".join(filter(None, thoughts)),
        finish=_text(finish),
        tools=tuple(tools),
        refusal="".join(refusals),
        has_reply=True,
    )


def _read_response(data: Json) -> ReadBody:
    """OpenAI's Responses: items, of which messages hold the text."""
    output = data.get("output")
    items = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    texts, thoughts, refusals, tools = list[str](), list[str](), list[str](), list[str]()
    for item in items[:MOST_BLOCKS]:
        kind = str(item.get("type", ""))
        if kind == "message":
            said = _read_blocks(item.get("content"), None)
            texts.append(said.text)
            refusals.append(said.refusal)
        elif kind == "reasoning":
            thoughts.append(_thought(item) or NOT_TOLD)
        elif kind.endswith("_call"):
            tools.append(_name(item))
    details = data.get("incomplete_details")
    reason = _text(details.get("reason")) if isinstance(details, dict) else ""
    status = _text(data.get("status"))
    finish = reason or {"completed": "stop", "incomplete": "length"}.get(status, status)
    return ReadBody("".join(texts), "\n".join(thoughts), finish, tuple(tools), "".join(refusals), has_reply=True)


def _read_gemini(data: Json) -> ReadBody:
    candidates = data.get("candidates")
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    feedback = data.get("promptFeedback")
    if not isinstance(first, dict):
        blocked = _text(feedback.get("blockReason")) if isinstance(feedback, dict) else ""
        return ReadBody(finish=blocked and "content_filter", refusal=blocked, has_reply=bool(blocked))
    content = first.get("content")
    return _read_blocks(content.get("parts") if isinstance(content, dict) else None, first.get("finishReason"))


def _read_ollama(data: Json) -> ReadBody:
    """Ollama's own protocol. Older servers name no reason for the end."""
    usual = "stop" if data.get("done") is True else ""
    finish = _text(data.get("done_reason")) or usual
    if isinstance(data.get("message"), dict):
        return _read_message(data["message"], finish)
    return _read_message({"content": data.get("response"), "thinking": data.get("thinking")}, finish)


def _other_error(data: Json) -> Any:
    """An error that stands in an object without a place for a reply, or whose name is another one."""
    base = data.get("base_resp")  # MiniMax's
    if isinstance(base, dict) and base.get("status_code"):
        return {"message": base.get("status_msg"), "code": base["status_code"]}
    if any(name in data for name in _PLACES) or data.get("object") == "response":
        return None
    said = next((data[name] for name in ("errors", "detail", "message", "msg", "error_msg") if data.get(name)), None)
    said = said[0] if isinstance(said, list) and said else said
    told = said if isinstance(said, dict) else {"message": said, "code": data.get("code") or data.get("status")}
    named = "errors" in data or told.get("code")  # words alone may be anything
    return told if named and isinstance(told.get("message") or told.get("msg"), str) else None


def _error_of(error: Any) -> ReadBody:
    """An error in place of a reply."""
    named = [error.get(name) for name in ("code", "status", "status_code")] if isinstance(error, dict) else []
    status = next((int(text) for text in map(str, named) if _STATUS.fullmatch(text)), None)
    try:
        told = dumps({"error": error}, ensure_ascii=False)
    except (ValueError, RecursionError):
        told = str(error)[:1000]
    return ReadBody(error=told, status=status)


# Values


def _text(value: Any) -> str:
    """A text, or a number as one. Anything else is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(value) if isinstance(value, int) and abs(value) < 10**300 else f"{value:g}" if _is_finite(value) else ""


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _thought(block: Json) -> str:
    """Thoughts, in whatever form a block holds them."""
    inner = block.get("reasoningContent")
    block = inner if isinstance(inner, dict) else block
    parts = [block.get(name) for name in ("thinking", "text", "summary", "content", "reasoning", "reasoningText")]
    return "\n".join(filter(None, (_flat(part) for part in parts)))


def _flat(part: Any) -> str:
    pieces: Iterable[Any] = part if isinstance(part, list) else [part]
    return "".join(_text(piece.get("text")) if isinstance(piece, dict) else _text(piece) for piece in pieces)


def _name(function: Any) -> str:
    return _text(function.get("name"))[:60] if isinstance(function, dict) else ""
