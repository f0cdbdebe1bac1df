"""Reading the output of aider 0.86.2."""

from __future__ import annotations

import pytest

from agent.core.model.faults import FaultAction, FaultKind
from agent.core.text.redact import Redactor
from agent.edges.model.aider_output import read_output

USUAL = """Aider v0.86.2
Model: deepseek/deepseek-chat with diff edit format
Git repo: none

Here is the change.

Tokens: 1.2k sent, 300 received. Cost: $0.0012 message, $0.0012 session.
Applied edit to experiment.py
Applied edit to ../../x.py
"""
KEY_ERROR = """
litellm.AuthenticationError: AuthenticationError: DeepseekException - Authentication Fails, api key: quiet-canary-1
The API provider is not able to authenticate you. Check your API key.
"""
WAITING = """litellm.RateLimitError: RateLimitError: DeepseekException - Rate limit reached
The API provider has rate limited you. Try again later or check your quotas.
Retrying in 64.0 seconds...
"""


def test_tokens_cost_and_files_are_read() -> None:
    heard = read_output(USUAL, Redactor())
    assert (heard.paid.tokens_in, heard.paid.tokens_out, heard.paid.cost_usd) == (1200, 300, 0.0012)
    assert heard.written == ("experiment.py", "../../x.py")
    assert heard.fault is None and heard.trouble == ""


def test_the_last_report_counts_every_request_of_the_call() -> None:
    more = USUAL + "Tokens: 12k sent, 3.4k cache hit, 1.5k received.\n"
    heard = read_output(more, Redactor())
    assert (heard.paid.tokens_in, heard.paid.tokens_out) == (12_000, 1_500)


def test_without_a_report_tokens_and_cost_are_unknown() -> None:
    heard = read_output("Aider v0.86.2\n", Redactor())
    assert (heard.paid.tokens_in, heard.paid.tokens_out, heard.paid.cost_usd) == (0, 0, None)
    assert heard.last == "Aider v0.86.2" and read_output("", Redactor()).last == "it said nothing"


def test_a_refused_key_stops_and_its_text_holds_no_key() -> None:
    fault = read_output(KEY_ERROR, Redactor({"quiet-canary-1": "DEEPSEEK_API_KEY"})).fault
    assert fault and fault.kind is FaultKind.KEY and fault.kind.action is FaultAction.STOP
    assert "quiet-canary-1" not in fault.text and "[redacted: DEEPSEEK_API_KEY]" in fault.text


def test_a_rate_limit_is_waited_for() -> None:
    fault = read_output(WAITING * 3, Redactor()).fault
    assert fault and fault.kind.action is FaultAction.WAIT


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Model deepseek/deepseek-chat has hit a token limit!", "ask for a smaller change"),
        ("# 1 SEARCH/REPLACE block failed to match!", "did not fit the file"),
        ("The LLM did not conform to the edit format.", "did not keep to"),
    ],
)
def test_why_an_answer_led_to_no_edit(line: str, told: str) -> None:
    assert told in read_output(f"Aider v0.86.2\n{line}\n", Redactor()).trouble
