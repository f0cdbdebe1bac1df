"""Faults of an answer that came: nothing in it can be used, or only a part of it was sent."""

from __future__ import annotations

from typing import Final

from agent.core.model.body import ReadBody
from agent.core.model.cut_reply import has_answer
from agent.core.model.faults import Fault, FaultKind, classify, printable
from agent.core.text.redact import Redactor

__all__ = ["BROKEN", "end_of", "fault_in"]

TOLD_CHARS: Final = 200
WORD_CHARS: Final = 60
# Words of providers for a reply that reached its limit of length, in small letters.
_LENGTH: Final = frozenset(
    {
        "length",
        "max_tokens",
        "max_output_tokens",
        "max_length",
        "model_length",
        "model_context_window_exceeded",
        "context_length",
        "incomplete",
    }
)
# For one that was broken off.
_BROKEN: Final = frozenset(
    {
        "abort",
        "aborted",
        "cancel",
        "cancelled",
        "canceled",
        "error",
        "failed",
        "in_progress",
        "insufficient_system_resource",
        "interrupted",
        "network_error",
        "pause_turn",
        "queued",
        "timeout",
    }
)
# For one that was withheld.
_WITHHELD: Final = frozenset(
    {
        "blocklist",
        "content_filter",
        "content_filtered",
        "error_toxic",
        "guardrail_intervened",
        "image_safety",
        "language",
        "other",
        "prohibited_content",
        "recitation",
        "refusal",
        "safety",
        "sensitive",
        "spii",
    }
)
# For one that is whole.
_WHOLE: Final = frozenset(
    {"stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed", "finished"}
)
BROKEN: Final = "broken"


def end_of(finish: str) -> str:
    """The end: "stop", "length" if the reply was cut, BROKEN, "content_filter", "" if nobody says, or the word."""
    word = finish.strip().lower()
    if word in _LENGTH:
        return "length"
    if word in _BROKEN:
        return BROKEN
    if word in _WHOLE:
        return "stop"
    return "content_filter" if word in _WITHHELD else word[:WORD_CHARS]


def fault_in(heard: ReadBody, redact: Redactor | None = None) -> Fault | None:
    """The reason why the reply cannot be used, None if it can. A cut reply is of use."""
    if heard.error:
        return classify(heard.error, heard.status, "", redact)
    end, told = end_of(heard.finish), _words(heard.refusal, redact)
    if end == "content_filter":
        beside = f": {told}" if told else ""
        return Fault(FaultKind.CONTENT, f"the answer was withheld by the provider's content filter{beside}")
    if has_answer(heard.text) or end == "length":
        return None
    if told:
        return Fault(FaultKind.CONTENT, f"the model refused: {told}")
    if end == BROKEN:
        return Fault(FaultKind.OUTAGE, f"the provider broke the reply off before any text ({_words(heard.finish)})")
    if not heard.has_reply and not heard.usage.is_counted:
        return Fault(FaultKind.GARBLED, "answered nothing")
    came = "reasoning alone" if heard.text.strip() else heard.came
    return Fault(FaultKind.NO_TEXT, f"a reply without text: {_words(came)}")


def _words(text: str, redact: Redactor | None = None) -> str:
    return printable((redact or Redactor()).in_error(" ".join(text[:4000].split())))[:TOLD_CHARS]
