"""Faults of an answer that came: nothing in it can be used, or only a part of it was sent."""

from __future__ import annotations

from typing import Final

from agent.core.model.answer.body import ReadBody
from agent.core.model.answer.ends import BROKEN, end_of
from agent.core.model.cut_reply import has_answer
from agent.core.model.faults import Fault, FaultKind, classify, printable
from agent.core.text.redact import Redactor

__all__ = ["fault_in"]

TOLD_CHARS: Final = 200


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
