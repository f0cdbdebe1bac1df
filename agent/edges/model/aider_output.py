"""aider's terminal output, read for tokens, cost, files written and a provider's error."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.core.journal.budget import Paid
from agent.core.model.faults import Fault, classify, printable
from agent.core.text.redact import Redactor

__all__ = ["Heard", "read_output"]

LAST_CHARS = 500

_FIGURE = r"(\d{1,12}(?:\.\d{1,12})?)"
# "Tokens: 2.1k sent, 345 received. Cost: $0.0012 message, $0.01 session."
_SENT = re.compile(rf"^Tokens: {_FIGURE}(k?) sent\b(?P<rest>.*)$", re.MULTILINE)
# "345 received."
_RECEIVED = re.compile(rf"(?<![\d.]){_FIGURE}(k?) received\.")
# "Cost: $0.0012 message"
_COST = re.compile(rf"Cost: \${_FIGURE} message")
# "Applied edit to experiment.py"
_WRITTEN = re.compile(r"^(?:Applied edit to|Did not apply edit to) (.+?)(?: \(--dry-run\))?$", re.MULTILINE)
# "litellm.RateLimitError: DeepseekException - Too many requests"
_ERROR = re.compile(r"^(?:litellm\.)?(?:litellm\.)?(\w+Error|Timeout): .*$", re.MULTILINE)
# A piece of the line that aider prints, and the words for the planner.
_TROUBLE = (
    # "Model deepseek-chat has hit a token limit!"
    (re.compile(r"has hit a token limit"), "The model hit its token limit: ask for a smaller change."),
    # "Your estimated chat context of 70,000 tokens exceeds the 65,536 token limit"
    (re.compile(r"exceeds the [\d,]+ token limit"), "The files and the instruction exceed the model's context window."),
    # "# 1 SEARCH/REPLACE block failed to match!"
    (re.compile(r"SEARCH/REPLACE blocks? failed to match"), "The model's blocks did not fit the file."),
    # "The LLM did not conform to the edit format."
    (re.compile(r"did not conform to the edit format"), "The model did not keep to aider's edit format."),
)


@dataclass(frozen=True, slots=True)
class Heard:
    """The facts in aider's output."""

    # Without tokens and with a cost of None if aider did not report them.
    paid: Paid
    # The provider's last error.
    fault: Fault | None
    # The reason why an answer led to no edit.
    trouble: str
    # Files that aider names as edited.
    written: tuple[str, ...]
    # The last line.
    last: str


def read_output(text: str, redact: Redactor) -> Heard:
    """Read the output of one call. `redact` takes keys out of the texts that are kept."""
    reports = [(sent, _RECEIVED.search(sent["rest"])) for sent in _SENT.finditer(text)]
    whole = [(sent, received) for sent, received in reports if received]  # each counts all of the call so far
    sent, received = (_count(found[1], found[2]) for found in whole[-1]) if whole else (0, 0)
    costs = _COST.findall(text)
    errors = list(_ERROR.finditer(text))
    fault = classify(errors[-1][0], None, errors[-1][1], redact) if errors else None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return Heard(
        paid=Paid(sent, received, cost_usd=float(costs[-1]) if costs else None, requests=1),
        fault=fault,
        trouble=next((told for sign, told in _TROUBLE if sign.search(text)), ""),
        written=tuple(dict.fromkeys(_WRITTEN.findall(text))),
        last=printable(redact.in_error(lines[-1])[:LAST_CHARS]) if lines else "it said nothing",
    )


def _count(number: str, thousands: str) -> int:
    return round(float(number) * (1000 if thousands else 1))
