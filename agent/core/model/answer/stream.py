"""Bodies of several JSON values, which some servers send though nobody asked for a stream: joined to one answer.

Server-sent events of chat completions, Responses, Anthropic and Gemini, lines of JSON as Ollama writes them, and
Gemini's list of chunks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from json import loads
from typing import Any, Final

__all__ = ["join_chunks", "read_chunks"]

MOST_CHUNKS: Final = 200_000
# "\r\n"; a text within an event may hold what Python takes for other ends of lines
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
# Events of Responses that hold the whole answer.
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")

Chunk = dict[str, Any]


def read_chunks(text: str) -> list[Chunk]:
    """The JSON objects of a stream, without the last one if it was cut. Empty if the text is none."""
    begun = text.lstrip()[:6]
    is_events = begun.startswith(("data:", "event:", ":"))
    if not is_events and not begun.startswith("{"):
        return []
    chunks: list[Chunk] = []
    for line in _LINE_END.split(text)[:MOST_CHUNKS]:
        name, _, value = line.partition(":")
        told = value if is_events and name == "data" else line if line.startswith("{") else ""
        if told.strip():
            try:
                chunk = loads(told)
            except (ValueError, RecursionError):
                continue  # the end of the stream, or a line of a JSON text that stands on several
            chunks += [chunk] if isinstance(chunk, dict) else []
    return chunks


def join_chunks(chunks: Sequence[Chunk]) -> Chunk | None:
    """One answer in the words of its provider, None if there is none."""
    if chunks and ("message" in _first(chunks[0].get("choices")) or (len(chunks) == 1 and not _is_part(chunks[0]))):
        return chunks[0]
    ended = next(
        (c["response"] for c in chunks if c.get("type") in _ENDS and isinstance(c.get("response"), dict)), None
    )
    if ended or not chunks:
        return ended
    kinds = {str(chunk.get("type", "")).partition(".")[0].partition("_")[0] for chunk in chunks}
    if "response" in kinds:
        return _join_response(chunks)
    if kinds & {"message", "content"}:
        return _join_anthropic(chunks)
    if any("candidates" in chunk for chunk in chunks):
        return _join_gemini(chunks)
    return _join_ollama(chunks) if any("done" in chunk for chunk in chunks) else _join_chat(chunks)


def _is_part(chunk: Chunk) -> bool:
    """Whether it is an event, and no answer by itself."""
    first = _first(chunk.get("choices"))
    return "delta" in first or "_" in str(chunk.get("type", "")) or "." in str(chunk.get("type", ""))


def _join_response(chunks: Sequence[Chunk]) -> Chunk:
    texts = [_text(c.get("delta")) for c in chunks if c.get("type") == "response.output_text.delta"]
    message = {"type": "message", "content": [{"type": "output_text", "text": "".join(texts)}]}
    return {"object": "response", "status": "interrupted", "output": [message]}


def _join_anthropic(chunks: Sequence[Chunk]) -> Chunk:
    whole: Chunk = {"type": "message", "usage": {}, "stop_reason": None}
    blocks: list[tuple[Chunk, list[Chunk]]] = []
    for chunk in chunks:
        begun, delta = _dict(chunk.get("message")), _dict(chunk.get("delta"))
        for usage in (begun.get("usage"), chunk.get("usage")):
            whole["usage"] |= _dict(usage)
        whole |= {"model": begun["model"]} if "model" in begun else {}
        whole |= {name: part[name] for part in (chunk, delta) for name in ("error", "stop_reason") if part.get(name)}
        if chunk.get("type") == "content_block_start":
            blocks.append((_dict(chunk.get("content_block")), []))
        elif delta:
            blocks = blocks or [({"type": "text"}, [])]
            blocks[-1][1].append(delta)
    return whole | {"content": [_grow(block, parts) for block, parts in blocks]}


def _grow(block: Chunk, parts: Sequence[Chunk]) -> Chunk:
    """The block with the text and the thoughts that came after its beginning."""
    names = ("text", "thinking")
    return block | {n: _text(block.get(n)) + "".join(_text(part.get(n)) for part in parts) for n in names}


def _join_gemini(chunks: Sequence[Chunk]) -> Chunk:
    parts: list[Any] = []
    finish, usage = None, dict[str, Any]()
    for chunk in chunks:
        first = _first(chunk.get("candidates"))
        said = _dict(first.get("content")).get("parts")
        parts += said if isinstance(said, list) else []
        finish = first.get("finishReason") or finish
        usage = chunk.get("usageMetadata") or usage
    return {"candidates": [{"content": {"parts": parts}, "finishReason": finish}], "usageMetadata": usage}


def _join_ollama(chunks: Sequence[Chunk]) -> Chunk:
    said: dict[str, list[str]] = {"content": [], "thinking": []}
    for chunk in chunks:
        message = _dict(chunk.get("message")) or {"content": chunk.get("response"), "thinking": chunk.get("thinking")}
        for name, texts in said.items():
            texts.append(_text(message.get(name)))
    return chunks[-1] | {"message": {name: "".join(texts) for name, texts in said.items()}}


def _join_chat(chunks: Sequence[Chunk]) -> Chunk:
    whole: Chunk = {}
    said: dict[str, list[Any]] = {"content": [], "reasoning_content": [], "reasoning": [], "refusal": []}
    finish, calls = None, list[Any]()
    for chunk in chunks:
        whole |= {name: chunk[name] for name in ("model", "usage", "error") if chunk.get(name)}
        choice = _first(chunk.get("choices"))
        delta = _dict(choice.get("delta") or choice.get("message"))
        for name, parts in said.items():
            parts += delta[name] if isinstance(delta.get(name), list) else [_text(delta.get(name))]
        called = delta.get("tool_calls")
        calls += [c for c in called if _dict(_dict(c).get("function")).get("name")] if isinstance(called, list) else []
        finish = choice.get("finish_reason") or finish
    is_text = all(isinstance(part, str) for part in said["content"])
    message: Chunk = {name: "".join(map(_text, parts)) for name, parts in said.items()}
    message |= ({} if is_text else {"content": said["content"]}) | ({"tool_calls": calls} if calls else {})
    choice = {"message": message, "finish_reason": finish}
    error = {"error": whole.pop("error")} if "error" in whole and any(said["content"]) else {}
    return whole | {"choices": [choice | error]} if "error" not in whole else whole


def _first(items: Any) -> Chunk:
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}


def _dict(value: Any) -> Chunk:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
