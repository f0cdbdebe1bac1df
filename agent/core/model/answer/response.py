"""litellm's response, read as the body of a provider is."""

from __future__ import annotations

from typing import Any

from agent.core.model.answer.body import ReadBody
from agent.core.model.answer.usage import Usage, read_count

__all__ = ["complete", "see_response"]


def see_response(response: Any) -> ReadBody:
    """The reply as litellm read it, by the names of its response."""
    choices = getattr(response, "choices", None) or []
    message = getattr(choices[0], "message", None) if choices else None
    text = getattr(message, "content", None)
    usage = getattr(response, "usage", None)
    details = getattr(usage, "prompt_tokens_details", None)
    cached = read_count(getattr(details, "cached_tokens", None)) or 0
    cached = cached or read_count(getattr(usage, "cache_read_input_tokens", None)) or 0
    counts = [read_count(getattr(usage, name, None)) for name in ("prompt_tokens", "completion_tokens")]
    return ReadBody(
        text=text if isinstance(text, str) else "",
        reasoning=str(getattr(message, "reasoning_content", None) or ""),
        finish=str(getattr(choices[0], "finish_reason", None) or "") if choices else "",
        usage=Usage(counts[0], counts[1], cached),
        model=str(getattr(response, "model", "") or ""),
        has_reply=bool(choices),
    )


def complete(heard: ReadBody, seen: ReadBody) -> ReadBody:
    """The reply as litellm read it, with all that it leaves out."""
    return ReadBody(
        seen.text, seen.reasoning or heard.reasoning, heard.finish, heard.tools, heard.refusal, heard.error,
        heard.status, heard.usage, seen.model or heard.model, has_reply=True,
    )  # fmt: skip
