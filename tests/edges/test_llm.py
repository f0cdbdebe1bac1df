"""The real litellm against a provider on loopback. It takes seconds to import: all that needs it is tested here."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from agent.core.events import Asked, AskFailed, Finished, PauseKind, Purpose
from agent.core.idea import Idea
from agent.core.limits import Limits
from agent.core.messages import Message, Rules, normalise, to_dicts
from agent.core.view import TurnView
from agent.edges.llm import LiteLLMModel, Request, check_model
from agent.errors import ProviderRefused, ProviderUnavailable, UsageError
from tests.fakes import block
from tests.loop.conftest import Study, make_study
from tests.provider.server import Provider, Response, fails, says, serve

__all__ = ["make_study"]

CANARY = "sk-canary-0123456789abcdef"
MODEL = "deepseek/deepseek-chat"
VIEW = TurnView(
    purpose=Purpose.PLAN,
    workspace="w",
    run=1,
    max_runs=3,
    attempt=1,
    max_attempts=4,
    idea=Idea(Title="T", Experiment="E"),
    brief="",
    command="python experiment.py",
    run_files=("experiment.py",),
    editable=("experiment.py",),
    metrics=(),
    primary=None,
    baselines=(),
    plan=(),
    done_items=(),
    rows=(),
    files={},
)
MESSAGES = (Message("system", "Rules: é \U0001f600."), Message("user", "What next?\r\n\n"))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with serve() as provider:
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # as the command line does
        monkeypatch.setenv("DEEPSEEK_API_BASE", provider.url)
        monkeypatch.setenv("DEEPSEEK_API_KEY", CANARY)
        yield provider


@pytest.fixture
def slept() -> list[float]:
    return []


def model_with(slept: list[float], *, patience_s: float = 3600.0) -> LiteLLMModel:
    return LiteLLMModel(MODEL, patience_s=patience_s, sleep=slept.append)


def ask(model: LiteLLMModel, messages: tuple[Message, ...] = MESSAGES) -> str:
    return model.ask(Request(messages, VIEW)).text


# Success


def test_a_reply_comes_with_tokens_and_cost(provider: Provider, slept: list[float]) -> None:
    provider.text = "  PLAN:\n1. é \U0001f600\r\n"
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert reply.text == provider.text
    assert (reply.tokens_in, reply.tokens_out) == (1000, 50)
    assert reply.model == "deepseek-chat"
    assert reply.cost_usd is not None and 1e-5 < reply.cost_usd < 1e-2
    assert len(provider.received) == 1 and slept == []


def test_what_is_sent_is_what_was_normalised_and_nothing_else(provider: Provider, slept: list[float]) -> None:
    ask(model_with(slept))
    (received,) = provider.received
    assert received.path.endswith("/chat/completions")
    assert received.body == {"model": "deepseek-chat", "messages": to_dicts(MESSAGES)}
    assert received.headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in json.dumps(received.body)


def test_the_price_of_an_unknown_model_is_unknown_and_not_zero(provider: Provider, slept: list[float]) -> None:
    model = LiteLLMModel("deepseek/deepseek-of-tomorrow", patience_s=0, sleep=slept.append)
    provider.answers.append(says("Yes.", model="deepseek-of-tomorrow"))
    reply = model.ask(Request(MESSAGES, VIEW))
    assert reply.text == "Yes." and reply.cost_usd is None and reply.tokens_in == 1000


def test_a_reply_without_usage_costs_nothing_known(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(says("Yes.", usage=None))
    assert ask(model_with(slept)) == "Yes."


# Worth another try


UNAVAILABLE = {
    "429": fails(429, "Rate limit reached for tokens per min", code="rate_limit_exceeded"),
    "500": fails(500, "Internal error"),
    "502": Response(502, b"<html>Bad gateway</html>", (("Content-Type", "text/html"),)),
    "503": fails(503, "Server overloaded"),
    "529": fails(529, "Overloaded"),
    "empty body": Response(200, b""),
    "not JSON": Response(200, b"<html>maintenance</html>"),
    "JSON of another kind": Response(200, b"[]"),
    "no choices": says("", choices=[]),
    "choices null": says("", choices=None),
    "blank reply": says(" \n"),
    "null reply": says(None),
}


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_a_passing_fault_is_asked_again_after_a_sleep(provider: Provider, slept: list[float], name: str) -> None:
    provider.answers.extend([UNAVAILABLE[name]] * 3)
    assert ask(model_with(slept)) == "A reply."
    assert len(provider.received) == 4, "one request a try: litellm and its client retry nothing themselves"
    assert len(slept) == 3 and all(0 <= seconds <= 120 for seconds in slept)
    assert all(r.body == provider.received[0].body for r in provider.received)


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_a_fault_that_outlasts_the_patience_is_raised(provider: Provider, slept: list[float], name: str) -> None:
    provider.answers.append(UNAVAILABLE[name])
    with pytest.raises(ProviderUnavailable) as caught:
        ask(model_with(slept, patience_s=0))
    assert len(provider.received) == 1 and slept == []
    assert caught.value.model == MODEL and "\n" not in str(caught.value)


def test_a_connection_refused_is_a_passing_fault(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DEEPSEEK_API_BASE", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("DEEPSEEK_API_KEY", CANARY)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    with pytest.raises(ProviderUnavailable):
        ask(model_with(slept, patience_s=0))


def test_an_interrupt_of_the_sleep_ends_the_wait(provider: Provider) -> None:
    class Stopped(Exception):
        pass

    def stop(seconds: float) -> None:
        raise Stopped

    provider.answers.append(UNAVAILABLE["429"])
    with pytest.raises(Stopped):
        ask(LiteLLMModel(MODEL, patience_s=3600, sleep=stop))
    assert len(provider.received) == 1


# Needs a person


REFUSED = {
    "401": fails(401, "Authentication Fails", kind="authentication_error", code="invalid_request_error"),
    "402": fails(402, "Insufficient Balance", kind="unknown_error", code="invalid_request_error"),
    "403": fails(403, "Country not supported"),
    "404": fails(404, "Model Not Exist", code="invalid_request_error"),
    "quota as 429": fails(429, "You exceeded your current quota, please check your plan", code="insufficient_quota"),
    "quota by code": fails(429, "No more today", kind="insufficient_quota", code="insufficient_quota"),
    "422": fails(422, "Unprocessable"),
    "413": Response(413, b"too large", (("Content-Type", "text/plain"),)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_raised_at_once(provider: Provider, slept: list[float], name: str) -> None:
    provider.answers.append(REFUSED[name])
    with pytest.raises(ProviderRefused) as caught:
        ask(model_with(slept))
    assert len(provider.received) == 1 and slept == []
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


def test_a_refusal_after_a_passing_fault_is_raised_too(provider: Provider, slept: list[float]) -> None:
    provider.answers.extend([UNAVAILABLE["503"], REFUSED["402"]])
    with pytest.raises(ProviderRefused, match="Insufficient Balance"):
        ask(model_with(slept))
    assert len(provider.received) == 2 and len(slept) == 1


def test_an_error_that_echoes_the_key_does_not_carry_it_on(provider: Provider, slept: list[float]) -> None:
    """The text goes to terminal, journal and status."""
    provider.answers.append(fails(401, f"Incorrect API key provided: {CANARY}. Find yours at the console."))
    with pytest.raises(ProviderRefused, match="Incorrect API key provided") as caught:
        ask(model_with(slept))
    assert CANARY not in str(caught.value) + caught.value.problem


def test_a_long_error_is_cut(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(fails(404, "no such model " + "x" * 100_000))
    with pytest.raises(ProviderRefused) as caught:
        ask(model_with(slept))
    assert len(str(caught.value)) < 1000


# Order of messages


def test_the_server_refuses_what_deepseek_refuses(provider: Provider, slept: list[float]) -> None:
    """Else the next test would prove nothing."""
    user, assistant = Message("user", "a"), Message("assistant", "b")
    for messages in ([user, user], [user, assistant], [assistant, user], [user, assistant, assistant, user]):
        with pytest.raises(ProviderRefused, match="does not support successive user or assistant messages"):
            ask(model_with(slept), tuple(messages))
        assert ask(model_with(slept), tuple(normalise(messages, Rules()))) == "A reply."


def test_no_conversation_of_the_loop_is_refused_for_its_order(
    provider: Provider, slept: list[float], make_study: Callable[..., Study]
) -> None:
    """Repairs of edits that do not apply, of a reply without an edit, of a lone surrogate and of an empty line."""
    study = make_study(limits=Limits(max_runs=1, attempts=2))
    bad = block("experiment.py", "no such line\n", "x = 1\n")
    ends = fails(402, "Insufficient Balance")
    odd = bad + "half a pair: \ud83d \0 \x07"
    provider.answers.extend(says(text) for text in ("PLAN:\n1. \ud83d\n", bad, odd, ".", bad, "x", "y"))
    provider.answers.append(ends)
    state = study.loop(model_with(slept)).run()
    assert state.pause and state.pause.kind is PauseKind.PROVIDER and "Insufficient Balance" in state.pause.reason
    assert [len(r.body["messages"]) for r in provider.received] == [2, 4, 6, 8, 2, 4, 6, 8]
    results = [e.result for e in study.workspace.journal().events if isinstance(e, Finished)]
    assert sum(isinstance(r, Asked) for r in results) == 7 and sum(isinstance(r, AskFailed) for r in results) == 1
    assert slept == []
    assert CANARY not in json.dumps([r.body for r in provider.received])
    left = [p for p in study.workspace.path.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]
    assert left == []


# Before a launch


def test_a_model_is_checked_for_its_provider_and_its_key(provider: Provider) -> None:
    check_model(MODEL, {"DEEPSEEK_API_KEY": CANARY})
    with pytest.raises(UsageError, match="knows no such provider"):
        check_model("no-such-provider/model", {})
    assert provider.received == []


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    with pytest.raises(UsageError, match="DEEPSEEK_API_KEY not set"):
        check_model(MODEL, {})
