"""The real litellm against a provider on loopback. It takes seconds to import: all that needs it is tested here."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest

from agent.core.journal.action_results import Asked, AskFailed
from agent.core.journal.budget import Limits, Paid
from agent.core.journal.events import Finished
from agent.core.journal.kinds import PauseKind
from agent.core.model.faults import Fault, FaultKind
from agent.core.model.messages import Message, Rules, normalise, to_dicts
from agent.core.model.rules import ModelRules, RuleTable
from agent.core.text.redact import Redactor
from agent.edges.model import litellm_table
from agent.edges.model.call import Call, CallFailed
from agent.edges.model.client import LiteLLMModel
from agent.edges.model.litellm_table import WITHOUT_REQUESTS, check_model, known_window, load_litellm, price_of
from agent.edges.model.patience import ProviderPatience
from agent.edges.model.protocol import Request
from agent.edges.model.throttle import Throttle
from agent.errors import BudgetSpent, ContextTooLong, ProviderRefused, ProviderUnavailable, StopRequested
from tests.fakes import FakeClock, block
from tests.loop.conftest import Study, make_study
from tests.provider.cells import VIEW
from tests.provider.listener import Listener
from tests.provider.server import Provider, Response, StrictServer, fails, says, serve

__all__ = ["make_study"]

CANARY = "sk-canary-0123456789abcdef"
MODEL = "deepseek/deepseek-chat"
MESSAGES = (Message("system", "Rules: é \U0001f600."), Message("user", "What next?\r\n\n"))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with serve() as provider:
        monkeypatch.setenv("DEEPSEEK_API_BASE", provider.url)
        monkeypatch.setenv("DEEPSEEK_API_KEY", CANARY)
        yield provider


@pytest.fixture
def slept() -> list[float]:
    return []


def model_with(slept: list[float], *, patience_s: float = 3600.0) -> LiteLLMModel:
    return LiteLLMModel(MODEL, ProviderPatience(patience_s, sleep=slept.append, clock=lambda: sum(slept)))


CALL = {"id": "1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
STREAM = (
    b'data: {"choices": [{"index": 0, "delta": {"content": "Ye"}, "finish_reason": null}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {"content": "s."}, "finish_reason": "stop"}]}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 50}}\n\ndata: [DONE]\n\n'
)


def spoken(message: dict[str, Any]) -> Response:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": "stop"}
    return says("", choices=[choice])


def ask(model: LiteLLMModel, messages: tuple[Message, ...] = MESSAGES) -> str:
    return model.ask(Request(messages, VIEW)).text


# Success


@pytest.mark.filterwarnings("error")
def test_a_warning_of_a_library_is_no_fault_of_the_provider(provider: Provider, slept: list[float]) -> None:
    """Even if every warning is an error, as under PYTHONWARNINGS=error, because litellm itself warns during calls."""
    find = load_litellm().main.get_llm_provider
    with mock.patch("litellm.main.get_llm_provider", side_effect=warn_and_find(find)):
        provider.answers.append(says("Fine."))
        assert ask(model_with(slept)) == "Fine." and slept == []


def warn_and_find(find: Callable[..., Any]) -> Callable[..., Any]:
    def warn(*args: Any, **named: Any) -> Any:
        warnings.warn_explicit("a change in the next release", UserWarning, "litellm/main.py", 1, module="litellm.main")
        return find(*args, **named)

    return warn


def test_litellm_is_told_to_fetch_nothing_before_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    litellm, told = load_litellm(), dict[str, str]()
    for name in WITHOUT_REQUESTS:
        monkeypatch.delenv(name)

    def imported(name: str) -> object:
        told.update(os.environ)
        return litellm

    monkeypatch.setattr(litellm_table, "import_large", imported)
    load_litellm()
    assert WITHOUT_REQUESTS.items() <= told.items()


def test_litellm_as_it_was_imported_here_and_its_tables_reached_nobody(only_loopback: list[str]) -> None:
    """It was told the same before, by tests/conftest.py. It would have swallowed that a connection failed."""
    assert known_window("deepseek/deepseek-chat") and price_of("deepseek/deepseek-chat", RuleTable())
    check_model("anthropic/claude-sonnet-4-5", {"ANTHROPIC_API_KEY": "k"})
    assert only_loopback == []


@pytest.mark.slow  # quick: the two tests before it
def test_importing_litellm_and_asking_its_tables_reaches_nobody() -> None:
    """Whatever variables are set at the start: prices, windows and header names come from its own files."""
    code = """
import sys
calls = []
sys.addaudithook(lambda event, args: calls.append((event, args)) if event.startswith("socket.") else None)
from agent.edges.model.litellm_table import check_model, known_window
from agent.edges.model.litellm_table import price_of
from agent.core.model.rules import RuleTable
assert known_window("deepseek/deepseek-chat") and price_of("deepseek/deepseek-chat", RuleTable())
check_model("anthropic/claude-sonnet-4-5", {"ANTHROPIC_API_KEY": "k"})
reached = [call for call in calls if call[0] in ("socket.getaddrinfo", "socket.connect", "socket.gethostbyname")]
assert not reached, reached
"""
    variables = {n: v for n, v in os.environ.items() if not n.startswith("LITELLM_")}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_reply_comes_with_tokens_and_cost(provider: Provider, slept: list[float]) -> None:
    provider.text = "  PLAN:\n1. é \U0001f600\r\n"
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert reply.text == provider.text
    assert (reply.paid.tokens_in, reply.paid.tokens_out) == (1000, 50)
    assert (reply.model, reply.asked) == ("deepseek-chat", "deepseek/deepseek-chat")
    assert reply.paid.cost_usd is not None and 1e-5 < reply.paid.cost_usd < 1e-2
    assert len(provider.received) == 1 and slept == []


def test_what_is_sent_is_what_was_normalised_and_nothing_else(provider: Provider, slept: list[float]) -> None:
    ask(model_with(slept))
    (received,) = provider.received
    assert received.path.endswith("/chat/completions")
    assert received.body == {"model": "deepseek-chat", "messages": to_dicts(MESSAGES)}
    assert received.headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in json.dumps(received.body)


def test_the_price_of_an_unknown_model_is_unknown_and_not_zero(provider: Provider, slept: list[float]) -> None:
    model = LiteLLMModel("deepseek/deepseek-of-tomorrow", ProviderPatience(0, sleep=slept.append))
    provider.answers.append(says("Yes.", model="deepseek-of-tomorrow"))
    reply = model.ask(Request(MESSAGES, VIEW))
    assert reply.text == "Yes." and reply.paid.cost_usd is None and reply.paid.tokens_in == 1000


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
    "no choices and no tokens": says("", choices=[], usage=None),
}


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_a_passing_fault_is_asked_again_after_a_sleep(provider: Provider, slept: list[float], name: str) -> None:
    provider.answers.extend([UNAVAILABLE[name]] * 3)
    assert ask(model_with(slept)) == "A reply."
    assert len(provider.received) == 4, "one request a try: litellm and its client retry nothing themselves"
    assert len(slept) >= 3 and sum(slept) <= 2 + 4 + 8 + 3, "full jitter under a doubling bound"
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
    with pytest.raises(ProviderUnavailable):
        ask(model_with(slept, patience_s=0))


def test_an_interrupt_of_the_sleep_ends_the_wait(provider: Provider) -> None:
    class Stopped(Exception):
        pass

    def stop(seconds: float) -> None:
        raise Stopped

    provider.answers.append(UNAVAILABLE["429"])
    with pytest.raises(Stopped):
        ask(LiteLLMModel(MODEL, ProviderPatience(3600, sleep=stop)))
    assert len(provider.received) == 1


# Needs a person


REFUSED = {
    "401": fails(401, "Authentication Fails", kind="authentication_error", code="invalid_request_error"),
    "402": fails(402, "Insufficient Balance", kind="unknown_error", code="invalid_request_error"),
    "403": fails(403, "Country not supported"),
    "404": fails(404, "Model Not Exist", code="invalid_request_error"),
    "quota as 429": fails(429, "You exceeded your current quota, please check your plan", code="insufficient_quota"),
    "quota by code": fails(429, "No more today", kind="insufficient_quota", code="insufficient_quota"),
    "413": Response(413, b"too large", (("Content-Type", "text/plain"),)),
    "policy": fails(400, "Content Exists Risk", kind="invalid_request_error"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_raised_at_once(provider: Provider, slept: list[float], name: str) -> None:
    provider.answers.append(REFUSED[name])
    with pytest.raises(ProviderRefused) as caught:
        ask(model_with(slept))
    assert len(provider.received) == 1 and slept == []
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    assert str(caught.value).endswith(")"), "it says what to do"


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


def test_what_is_sent_is_normalised_for_the_model(provider: Provider, slept: list[float]) -> None:
    user, assistant = Message("user", "a"), Message("assistant", "b")
    for messages in ([user, user], [user, assistant], [assistant, user], [user, assistant, assistant, user]):
        assert ask(model_with(slept), tuple(messages)) == "A reply."
        assert provider.received[-1].body["messages"] == to_dicts(normalise(messages, Rules()))


def test_a_refused_order_is_changed_once_and_the_change_is_kept(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(fails(400, "Conversation roles must alternate user/assistant/user/assistant/..."))
    model = model_with(slept)
    for _ in range(2):
        assert ask(model) == "A reply."
    shapes = [[m["role"] for m in r.body["messages"]] for r in provider.received]
    assert shapes == [["system", "user"], ["user"], ["user"]] and slept == []


def test_a_second_refusal_of_the_order_is_raised(provider: Provider, slept: list[float]) -> None:
    provider.answers.extend([fails(500, "Jinja Exception: roles must alternate")] * 3)
    provider.answers.pop()
    model = model_with(slept)
    with pytest.raises(ProviderRefused, match="roles must alternate"):
        ask(model)
    assert len(provider.received) == 2 and slept == []
    ask(model)
    assert len(provider.received[-1].body["messages"]) == 2, "the change did not help, and is taken back"


def test_no_conversation_of_the_loop_is_refused_for_its_order(
    provider: Provider, slept: list[float], make_study: Callable[..., Study]
) -> None:
    """Repairs of edits that do not apply, of a reply without an edit, of a lone surrogate and of an empty line."""
    study = make_study(limits=Limits(max_runs=1, attempts=2))
    bad = block("experiment.py", "no such line\n", "x = 1\n")
    ends = fails(402, "Insufficient Balance")
    odd = bad.replace("such", "other") + "half a pair: \ud83d \0 \x07"
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


# Waits


def test_a_long_wait_is_told_now_and_then(provider: Provider, slept: list[float]) -> None:
    limited = fails(429, "Rate limit reached")
    provider.answers.extend([Response(429, limited.body, (*limited.headers, ("Retry-After", "250")))] * 4)
    clock, told = FakeClock(), list[str]()
    model = LiteLLMModel(
        MODEL, ProviderPatience(3600, sleep=clock.sleep, clock=clock, jitter=lambda: 0.0, on_wait=told.append)
    )
    assert ask(model) == "A reply."
    assert told[0] == f"waiting for {MODEL}: rate limit: Rate limit reached; asked 1 times, again in 250 s"
    assert len(told) == 2, "one line in ten minutes"


def test_retry_after_is_waited_for_with_a_little_more(provider: Provider, slept: list[float]) -> None:
    limited = fails(429, "Rate limit reached")
    provider.answers.append(Response(429, limited.body, (*limited.headers, ("Retry-After", "20"))))
    clock = FakeClock()
    model = LiteLLMModel(MODEL, ProviderPatience(3600, sleep=clock.sleep, clock=clock, jitter=lambda: 0.5))
    began = clock()
    assert ask(model) == "A reply." and clock() - began == pytest.approx(21.0)


def test_a_wait_beyond_patience_is_not_begun(provider: Provider) -> None:
    clock = FakeClock()
    limited = fails(429, "Rate limit reached. Please try again in 2h.")
    provider.answers.append(limited)
    with pytest.raises(ProviderUnavailable, match=r"rate limit: .*asked once in \d+ s, told to wait 120 min\)"):
        ask(LiteLLMModel(MODEL, ProviderPatience(600, sleep=clock.sleep, clock=clock)))
    assert len(provider.received) == 1 and clock() == FakeClock().now


def test_spent_patience_says_what_was_seen_last_and_for_how_long(provider: Provider) -> None:
    clock = FakeClock()
    provider.answers.extend([UNAVAILABLE["503"]] * 200)
    with pytest.raises(ProviderUnavailable, match=r"outage: Server overloaded \(asked \d+ times in 10 min\)"):
        ask(LiteLLMModel(MODEL, ProviderPatience(600, sleep=clock.sleep, clock=clock)))


def test_bytes_that_trickle_in_do_not_outlast_the_deadline(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ended = threading.Event()

        def trickle() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
                while not ended.wait(0.02):
                    connection.sendall(b" ")

        thread = threading.Thread(target=trickle)
        thread.start()
        monkeypatch.setenv("DEEPSEEK_API_BASE", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("DEEPSEEK_API_KEY", CANARY)
        table = RuleTable((("deepseek/", ModelRules(timeout_s=0.3)),))
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable, match=r"timeout: no complete answer within 0\.3 s"):
            ask(LiteLLMModel(MODEL, ProviderPatience(0, sleep=slept.append), table=table))
        assert 0.25 < time.monotonic() - began < 2
        ended.set()
        thread.join()


def test_a_stop_ends_a_request_that_hangs(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    def check_stop() -> None:
        raise StopRequested("stopped")

    with StrictServer("deepseek", faults=["hang"]) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        began = time.monotonic()
        with pytest.raises(StopRequested):
            ask(LiteLLMModel(MODEL, ProviderPatience(3600, sleep=slept.append, check_stop=check_stop)))
        assert time.monotonic() - began < 2


# Other models


def with_fallback(clock: FakeClock, *, patience_s: float = 3600.0) -> LiteLLMModel:
    return LiteLLMModel(
        MODEL, ProviderPatience(patience_s, sleep=clock.sleep, clock=clock), fallbacks=["deepseek/deepseek-other"]
    )


def names(provider: Provider) -> list[str]:
    return [str(r.body["model"]).removeprefix("deepseek-") for r in provider.received]


def test_a_refused_model_gives_way_at_once_and_rests(provider: Provider) -> None:
    clock = FakeClock()
    model = with_fallback(clock)
    provider.answers.append(REFUSED["402"])
    assert ask(model) == "A reply." and ask(model) == "A reply."
    assert names(provider) == ["chat", "other", "other"] and clock() == FakeClock().now
    clock.sleep(1000)
    ask(model)
    assert names(provider)[-1] == "chat"


def test_an_outage_gives_way_once_patience_for_it_is_over(provider: Provider) -> None:
    clock = FakeClock()
    provider.answers.extend(
        [lambda body: UNAVAILABLE["503"] if body["model"] == "deepseek-chat" else says("Other.")] * 99
    )
    assert ask(with_fallback(clock)) == "Other."
    assert names(provider)[-1] == "other" and set(names(provider)[:-1]) == {"chat"}
    assert 100 < clock() - FakeClock().now <= 400


def test_where_all_refuse_each_reason_is_told(provider: Provider) -> None:
    provider.answers.extend([REFUSED["402"], REFUSED["404"]])
    with pytest.raises(ProviderRefused, match=r"Insufficient Balance.*; deepseek/deepseek-other: Model Not Exist"):
        ask(with_fallback(FakeClock()))


def test_where_all_are_down_patience_ends_it(provider: Provider) -> None:
    clock = FakeClock()
    provider.answers.extend([UNAVAILABLE["503"]] * 500)
    with pytest.raises(ProviderUnavailable):
        ask(with_fallback(clock, patience_s=900))
    assert 900 <= clock() - FakeClock().now < 1000 and {"chat", "other"} == set(names(provider))
    assert len(provider.received) < 200


def test_a_fallback_gets_the_messages_in_its_own_form(provider: Provider) -> None:
    provider.answers.append(REFUSED["402"])
    table = RuleTable((("deepseek/deepseek-other", ModelRules(system=False)),))
    clock = FakeClock()
    model = LiteLLMModel(
        MODEL, ProviderPatience(60, sleep=clock.sleep, clock=clock), fallbacks=["deepseek/deepseek-other"], table=table
    )
    ask(model)
    assert [[m["role"] for m in r.body["messages"]] for r in provider.received] == [["system", "user"], ["user"]]


def test_each_model_has_its_own_changed_request(provider: Provider) -> None:
    provider.answers.extend([fails(400, "Conversation roles must alternate user/assistant")] * 3)
    assert ask(with_fallback(FakeClock())) == "A reply."
    assert names(provider) == ["chat", "chat", "other", "other"]


def test_a_model_that_is_held_for_long_gives_way_though_another_idea_was_refused(provider: Provider) -> None:
    """Retry-After holds a model for all ideas, and none of them waits an hour for it if another model would answer."""
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    limited = fails(429, "Rate limit reached. Please try again in 3600s.")
    provider.answers.extend([limited])
    for _ in range(2):
        model = LiteLLMModel(
            MODEL,
            ProviderPatience(7200, sleep=clock.sleep, clock=clock),
            fallbacks=["deepseek/other"],
            throttle=throttle,
        )
        assert ask(model) == "A reply." and clock() == FakeClock().now
    assert [r.body["model"] for r in provider.received] == ["deepseek-chat", "other", "other"]


# What is sent and counted


def test_an_answer_of_no_use_counts_where_the_provider_counted_it(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(says(" "))
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.paid.requests, reply.paid.tokens_in, reply.paid.tokens_out) == (2, 2000, 100)


def test_a_question_that_fails_tells_what_was_paid_for_it(provider: Provider, slept: list[float]) -> None:
    provider.answers.extend([cut("one\n"), REFUSED["402"]])
    with pytest.raises(ProviderRefused) as caught:
        ask(model_with(slept))
    paid = caught.value.paid
    assert paid and (paid.tokens_in, paid.tokens_out, paid.requests) == (1000, 50, 2) and paid.cost_usd


def test_before_a_question_costs_more_its_asker_is_asked(provider: Provider, slept: list[float]) -> None:
    def check_room(paid: Paid) -> None:
        assert paid.tokens_in == 1000
        raise BudgetSpent("no room", "--max-tokens 9000")

    provider.answers.append(cut("one\n"))
    with pytest.raises(BudgetSpent) as caught:
        model_with(slept).ask(Request(MESSAGES, VIEW, check_room=check_room))
    assert len(provider.received) == 1 and caught.value.paid and caught.value.paid.tokens_out == 50


def test_tokens_below_zero_are_unknown(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(says("Yes.", usage={"prompt_tokens": -5, "completion_tokens": -1, "total_tokens": 0}))
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.paid.tokens_in, reply.paid.tokens_out, reply.paid.cost_usd) == (0, 0, None)


def test_the_name_that_an_answer_gives_its_model_is_fit_for_a_terminal(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(says("Yes.", model="m\ud83d\x1b[2J" + "x" * 100_000))
    name = model_with(slept).ask(Request(MESSAGES, VIEW)).model
    assert name.isprintable() and len(name) <= 200


def test_a_prompt_too_long_is_told_with_the_window(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(fails(400, "This model's maximum context length is 65536 tokens. However, you requested 7"))
    with pytest.raises(ContextTooLong) as caught:
        ask(model_with(slept))
    assert caught.value.window_tokens == 65536 and len(provider.received) == 1


def test_a_shorter_prompt_goes_to_the_same_model(provider: Provider) -> None:
    model = with_fallback(FakeClock())
    provider.answers.append(fails(400, "This model's maximum context length is 65536 tokens."))
    with pytest.raises(ContextTooLong):
        ask(model)
    ask(model)
    assert names(provider) == ["chat", "chat"]


def test_a_refused_parameter_is_dropped_and_stays_dropped(provider: Provider, slept: list[float]) -> None:
    table = RuleTable((("deepseek/", ModelRules(max_output_tokens=99)),))
    model = LiteLLMModel(MODEL, ProviderPatience(60, sleep=slept.append), table=table)
    provider.answers.append(fails(400, "Unsupported parameter: 'max_tokens' is not supported with this model."))
    assert ask(model) == "A reply." and ask(model) == "A reply."
    assert [r.body.get("max_tokens") for r in provider.received] == [99, None, None]


def cut(text: str) -> Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "length"}
    return says("", choices=[choice])


def test_a_cut_reply_is_gone_on_with_and_joined(provider: Provider, slept: list[float]) -> None:
    provider.answers.extend([cut("one\ntwo\nthr"), says("three\nfour\n")])
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.text, reply.finish_reason) == ("one\ntwo\nthree\nfour\n", "stop")
    assert (reply.paid.requests, reply.paid.tokens_in, reply.paid.tokens_out) == (2, 2000, 100)
    assert [m["role"] for m in provider.received[1].body["messages"]] == ["system", "user", "assistant", "user"]
    assert provider.received[1].body["messages"][2]["content"] == "one\ntwo\n"


def test_a_reply_cut_twice_is_asked_for_again_shorter(provider: Provider, slept: list[float]) -> None:
    provider.answers.extend([cut("one\n"), cut("two\n"), says("short")])
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.text, reply.finish_reason, reply.paid.requests) == ("short", "stop", 3)


def test_a_cut_reply_whose_rest_is_empty_is_soon_asked_for_again_shorter(
    provider: Provider, slept: list[float]
) -> None:
    provider.answers.append(cut("one\n"))
    provider.answers.extend([lambda body: says("" if len(body["messages"]) == 4 else "short")] * 500)
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert reply.text == "short" and sum(slept) < 200


def test_a_reply_that_was_cut_in_a_loop_is_not_gone_on_with(provider: Provider, slept: list[float]) -> None:
    provider.answers.extend([cut("A plan.\n" + "The loss is too high, so that LR is raised. " * 20), says("short")])
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.text, reply.paid.requests) == ("short", 2)


def test_a_reply_that_stays_cut_says_so(provider: Provider, slept: list[float]) -> None:
    provider.answers.extend([cut("one\n"), cut("two\n"), cut("three\n")])
    assert model_with(slept).ask(Request(MESSAGES, VIEW)).finish_reason == "length"


def test_a_model_that_only_thinks_is_refused_with_the_setting_to_raise(provider: Provider, slept: list[float]) -> None:
    provider.answers.extend([cut(""), cut("")])
    with pytest.raises(ProviderRefused, match="max_output_tokens"):
        ask(model_with(slept))
    assert len(provider.received) == 2


def test_a_withheld_answer_is_refused(provider: Provider, slept: list[float]) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "half"}, "finish_reason": "content_filter"}
    provider.answers.append(says("", choices=[choice]))
    with pytest.raises(ProviderRefused, match="content filter"):
        ask(model_with(slept))


def test_cached_tokens_and_a_registered_price(provider: Provider, slept: list[float]) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    provider.answers.append(says("Yes.", usage=usage))
    rules = ModelRules(input_usd_per_mtok=2.0, cached_usd_per_mtok=0.5, output_usd_per_mtok=10.0)
    model = LiteLLMModel(MODEL, ProviderPatience(0, sleep=slept.append), table=RuleTable((("deepseek/", rules),)))
    reply = model.ask(Request(MESSAGES, VIEW))
    assert reply.paid.tokens_cached == 400
    assert reply.paid.cost_usd == pytest.approx((600 * 2 + 400 * 0.5 + 100 * 10) / 1e6)


def test_reasoning_is_kept_apart_and_sent_back_only_where_the_rules_say_so(
    provider: Provider, slept: list[float]
) -> None:
    message = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    provider.answers.extend([says("", choices=choices)] * 2)
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.text, reply.reasoning) == ("Yes.", "Hm.")
    table = RuleTable((("deepseek/", ModelRules(send_reasoning=True)),))
    kept = LiteLLMModel(MODEL, ProviderPatience(0, sleep=slept.append), table=table).ask(Request(MESSAGES, VIEW))
    assert kept.text == "<think>\nHm.\n</think>\n\nYes."


def test_a_key_of_any_look_is_blotted_out_of_errors(provider: Provider, slept: list[float]) -> None:
    secret = "plainlettersonly"
    model = LiteLLMModel(MODEL, ProviderPatience(0, sleep=slept.append), redact=Redactor({secret: "K"}))
    provider.answers.append(fails(401, f"No such key: {secret}"))
    with pytest.raises(ProviderRefused) as caught:
        ask(model)
    assert secret not in str(caught.value)


# Replies without text, and those that litellm cannot read


TEXTLESS = {
    "empty": ({"content": ""}, "nothing"),
    "null": ({"content": None}, "nothing"),
    "blank": ({"content": " \n\t"}, "nothing"),
    "reasoning alone": ({"content": None, "reasoning_content": "Hm."}, "reasoning alone"),
    "reasoning in the text": ({"content": "<think>\nHm.\n</think>\n"}, "reasoning alone"),
    "a channel in the text": ({"content": "<|channel|>analysis<|message|>Hm."}, "reasoning alone"),
    "a tool call": ({"content": None, "tool_calls": [CALL]}, r"a tool call \(bash\) alone"),
    "a function call": ({"content": None, "function_call": CALL["function"]}, r"a tool call \(bash\) alone"),
}


@pytest.mark.parametrize("name", TEXTLESS)
def test_a_reply_without_text_is_asked_for_in_other_words_and_at_most_three_times(
    provider: Provider, slept: list[float], name: str
) -> None:
    message, came = TEXTLESS[name]
    provider.answers.extend([spoken(message)] * 9)
    with pytest.raises(ProviderRefused, match=f"answered 3 times, at last with a reply without text: {came}") as caught:
        ask(model_with(slept))
    bodies = [request.body["messages"][-1]["content"] for request in provider.received]
    assert len(bodies) == 3 and slept == []
    assert bodies[1] == bodies[2] and bodies[1].startswith(bodies[0])
    assert bodies[1].endswith("\n\nYour last reply held no text. Answer in text, as asked above, and call no tool.")
    assert caught.value.paid and (caught.value.paid.tokens_in, caught.value.paid.tokens_out) == (3000, 150)


def test_a_text_after_none_is_the_reply_and_both_are_paid_for(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(spoken({"content": None, "tool_calls": [CALL]}))
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.text, reply.paid.tokens_in, reply.paid.requests) == ("A reply.", 2000, 2) and slept == []


def test_a_model_that_refuses_is_not_asked_again(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(spoken({"content": None, "refusal": "I cannot help with that."}))
    with pytest.raises(ProviderRefused, match=r"the model refused: I cannot help with that\..*--fallback-model"):
        ask(model_with(slept))
    assert len(provider.received) == 1


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
READ = {
    "a list of blocks": (spoken({"content": [THOUGHT, {"type": "text", "text": "Yes."}]}), "Yes.", "Hm."),
    "a list of texts": (spoken({"content": ["Ye", "s."]}), "Yes.", ""),
    "a number": (spoken({"content": 42}), "42", ""),
    "a block": (spoken({"content": {"type": "text", "text": "Yes."}}), "Yes.", ""),
    "text in place of a message": (says("", choices=[{"text": "Yes.", "finish_reason": "stop"}]), "Yes.", ""),
    "a stream": (Response(200, STREAM, (("Content-Type", "text/event-stream"),)), "Yes.", ""),
}


@pytest.mark.parametrize("name", READ)
def test_a_reply_that_litellm_cannot_read_is_read_and_counted(
    provider: Provider, slept: list[float], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    response, text, reasoning = READ[name]
    provider.answers.append(response)
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.text, reply.reasoning) == (text, reasoning)
    assert (reply.paid.tokens_in, reply.paid.tokens_out, reply.paid.requests) == (1000, 50, 1)
    assert reply.paid.cost_usd and slept == []
    assert capfd.readouterr() == ("", ""), "nothing of libraries reaches the terminal"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": "many", "completion_tokens": None, "total_tokens": 1.5},
        {"prompt_tokens": 10**15, "completion_tokens": 10**15, "total_tokens": 10**15},
        {"prompt_tokens": -1, "completion_tokens": float("nan"), "total_tokens": float("inf")},
        [1, 2],
    ],
    ids=["missing", "words", "absurd", "no numbers", "a list"],
)
def test_a_usage_that_is_none_makes_the_answer_uncounted(provider: Provider, slept: list[float], usage: object) -> None:
    provider.answers.append(says("Yes.", usage=usage))
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.text, reply.paid.tokens_in, reply.paid.cost_usd, reply.paid.uncounted) == ("Yes.", 0, None, 1)
    assert slept == []


@pytest.mark.parametrize("body", [b'{"detail": "Hm."}', b"[]", b'{"choices": [{"mess'])
def test_json_without_a_reply_is_uncounted_and_told_in_a_sentence(
    provider: Provider, slept: list[float], body: bytes
) -> None:
    provider.answers.append(Response(200, body))
    with pytest.raises(ProviderUnavailable, match="answer: answered with JSON that holds no reply: ") as caught:
        ask(model_with(slept, patience_s=0))
    assert caught.value.paid == Paid(cost_usd=None, requests=1, uncounted=1)
    assert "Traceback" not in str(caught.value) and "Error" not in str(caught.value)


def test_an_uncounted_answer_needs_room_for_the_next_request(provider: Provider, slept: list[float]) -> None:
    def check_room(paid: Paid) -> None:
        assert paid.uncounted == 1 and not paid.tokens_in
        raise BudgetSpent("no room", "--max-tokens 9000")

    provider.answers.append(Response(200, b'{"detail": "Hm."}'))
    with pytest.raises(BudgetSpent):
        model_with(slept).ask(Request(MESSAGES, VIEW, check_room=check_room))
    assert len(provider.received) == 1


# Replies that were broken off


def test_a_reply_that_its_provider_broke_off_is_asked_for_again(provider: Provider, slept: list[float]) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "one\n"}, "finish_reason": "error"}
    provider.answers.append(says("", choices=[choice | {"error": {"code": 502, "message": "Provider disconnected"}}]))
    reply = model_with(slept).ask(Request(MESSAGES, VIEW))
    assert (reply.text, reply.paid.tokens_in) == ("A reply.", 2000) and len(slept) == 1
    assert provider.received[0].body == provider.received[1].body


def test_answers_that_are_spoilt_and_billed_are_not_paid_for_all_night(provider: Provider, slept: list[float]) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "error"}
    provider.answers.extend([says("", choices=[choice])] * 99)
    with pytest.raises(ProviderUnavailable, match=r"broke the reply off .*asked 20 times .*20 answers were billed"):
        ask(model_with(slept, patience_s=6 * 3600.0))
    assert len(provider.received) == 20 and sum(slept) < 3600


@pytest.mark.parametrize("finish", ["abort", "error", "cancelled", "max_tokens", "MAX_TOKENS", "model_length", None])
def test_a_reply_that_ends_too_soon_is_gone_on_with(provider: Provider, slept: list[float], finish: str | None) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "one\ntw"}, "finish_reason": finish}
    provider.answers.extend([says("", choices=[choice]), says("two\n")])
    assert ask(model_with(slept)) == "one\ntwo\n" and slept == []


def test_a_provider_that_never_names_an_end_is_believed(provider: Provider, slept: list[float]) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "one\n"}}
    provider.answers.extend([says("", choices=[choice])] * 9)
    model = model_with(slept)
    assert [ask(model), ask(model)] == ["one\n", "one\n"] and len(provider.received) == 3


def test_a_reply_cut_in_its_thoughts_is_asked_for_again_whole(provider: Provider, slept: list[float]) -> None:
    provider.answers.append(cut("<think>\nThe rate is too small.\n"))
    provider.answers.append(says("<think>\nAgain.\n</think>\nPLAN:\n1. x\n"))
    reply = ask(model_with(slept))
    assert reply.split("</think>")[-1].strip() == "PLAN:\n1. x"
    assert "shorter" in provider.received[1].body["messages"][-1]["content"]


# Order of changed requests, and windows


def test_where_every_turn_of_the_model_is_refused_one_message_quotes_them(
    provider: Provider, slept: list[float]
) -> None:
    words = "The `reasoning_content` in the thinking mode must be passed back to the API."
    refusal = fails(400, words, kind="invalid_request_error", code="invalid_request_error")
    provider.answers.extend([lambda body: refusal if len(body["messages"]) > 1 else says("Yes.")] * 9)
    talk = (*MESSAGES, Message("assistant", "A plan."), Message("user", "It crashed."))
    model = model_with(slept)
    assert [ask(model, talk), ask(model, talk)] == ["Yes.", "Yes."]
    shapes = [[m["role"] for m in r.body["messages"]] for r in provider.received]
    assert shapes == [["system", "user", "assistant", "user"], ["user"], ["user"]]
    assert "A plan." in provider.received[-1].body["messages"][0]["content"]


def test_parameter_order_and_length_may_be_refused_in_one_question(provider: Provider, slept: list[float]) -> None:
    def answer(body: dict[str, Any]) -> Response:
        if any(m["role"] == "system" for m in body["messages"]):
            return fails(400, "System role not supported")
        if body.get("max_tokens", 0) > 980:
            return fails(
                400,
                "This model's maximum context length is 1000 tokens. However, you requested 4096 output tokens and "
                "your prompt contains at least 30 input tokens, for a total of at least 4126 tokens.",
            )
        return fails(400, "Unsupported parameter: 'max_tokens'") if "max_tokens" in body else says("Yes.")

    provider.answers.extend([answer] * 9)
    table = RuleTable((("deepseek/", ModelRules(max_output_tokens=4096)),))
    model = LiteLLMModel(MODEL, ProviderPatience(60, sleep=slept.append), table=table)
    assert ask(model) == "Yes." and slept == []
    assert [r.body.get("max_tokens", 0) for r in provider.received][:2] == [4096, 4096]
    assert [r.body.get("max_tokens", 0) for r in provider.received][-1] == 0 and len(provider.received) == 4


def test_a_reply_is_no_longer_than_the_window_leaves_room_for(provider: Provider, slept: list[float]) -> None:
    table = RuleTable((("deepseek/", ModelRules(window_tokens=5000, max_output_tokens=4096)),))
    model = LiteLLMModel(MODEL, ProviderPatience(60, sleep=slept.append), table=table)
    ask(model)
    ask(model, (Message("user", "word " * 1000),))
    first, second = (r.body["max_tokens"] for r in provider.received)
    assert first == 4096 and 3200 < second < 3500 and model.output_tokens == 4096


def test_a_server_that_reads_a_part_of_the_prompt_is_noticed(provider: Provider, slept: list[float]) -> None:
    usage = {"prompt_tokens": 2050, "completion_tokens": 12, "total_tokens": 2062}
    provider.answers.extend([says("I see no program.", usage=usage)] * 4)
    model = model_with(slept)
    assert ask(model, (Message("user", "word " * 1600),)) == "I see no program."
    for length in (2200, 4200):  # the count of another prompt, and one far too low
        with pytest.raises(ProviderRefused, match=r"read 2,050 of about [\d,]+ .*CONTEXT_LENGTH") as caught:
            ask(model, (Message("user", "word " * length),))
        assert caught.value.paid and caught.value.paid.tokens_in == 2050


# Faults of one's own machine


LOCAL = {
    "a scheme is missing": ({"DEEPSEEK_API_BASE": "127.0.0.1:9/v1"}, r"no http:// .*DEEPSEEK_API_BASE"),
    "a scheme is wrong": ({"DEEPSEEK_API_BASE": "htp://127.0.0.1:9"}, r"no http:// .*DEEPSEEK_API_BASE"),
    "a key of words": ({"DEEPSEEK_API_KEY": "sk-0123\u2026"}, r"a character that no key has.*DEEPSEEK_API_KEY"),
}


@pytest.mark.parametrize("name", LOCAL)
def test_a_fault_of_this_machine_is_not_waited_for(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    variables, told = LOCAL[name]
    usual = {"DEEPSEEK_API_BASE": "http://127.0.0.1:9", "DEEPSEEK_API_KEY": CANARY}
    for variable, value in (usual | variables).items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ProviderRefused, match=told) as caught:
        ask(model_with(slept))
    assert slept == [] and "sk-0" not in str(caught.value)


# Servers of one's own


def own_model(slept: list[float], url: str, **rules: Any) -> LiteLLMModel:
    name = "hosted_vllm/m"
    patience = ProviderPatience(
        60, sleep=slept.append, clock=lambda: sum(slept), environment={"HOSTED_VLLM_API_BASE": url}
    )
    return LiteLLMModel(name, patience, table=RuleTable(((name, ModelRules(**rules)),)))


@pytest.mark.parametrize(("rules", "lengths"), [({}, [8192, 4096, 2048]), ({"max_output_tokens": 3000}, [3000] * 3)])
def test_a_reply_that_never_ends_is_asked_for_thrice_and_not_all_night(
    provider: Provider, slept: list[float], monkeypatch: pytest.MonkeyPatch, rules: dict[str, int], lengths: list[int]
) -> None:
    asked = []

    def send(call: Call, model: str, messages: object, rules: ModelRules, dropped: object, deadline_s: float) -> None:
        asked.append(rules.max_output_tokens)
        raise CallFailed(Fault(FaultKind.TIMEOUT, f"no complete answer within {deadline_s:g} s"))

    monkeypatch.setattr(Call, "send", send)
    told = r'no complete answer within 40 s .*max_output_tokens.*\(timeout_s\), in \[models\."hosted_vllm/m"\]'
    with pytest.raises(ProviderRefused, match=told):
        ask(own_model(slept, provider.url, timeout_s=40.0, **rules))
    assert asked == lengths and sum(slept) < 60


def test_nobody_at_the_address_of_a_server_is_waited_for_only_if_it_answered_before(
    provider: Provider, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Listener(provider.respond)
    url = f"http://127.0.0.1:{other.port}/v1"
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", url)
    lost, known = own_model(slept, url), own_model(slept, url)
    assert ask(known) == "A reply."
    other.close()
    with pytest.raises(
        ProviderRefused, match=f"HOSTED_VLLM_API_BASE={url}: nothing listens at .*; start the|correct H"
    ):
        ask(lost)
    assert slept == []
    with pytest.raises(ProviderUnavailable, match=r"outage: 127\.0\.0\.1: connection refused"):
        ask(known)
    assert 10 < sum(slept) <= 60


# Ollama


def ollama(body: dict[str, Any]) -> Response:
    """Keeps the end of a prompt that is longer than its window, answers all the same, and counts what it kept."""
    if "messages" not in body:
        known = {"model_info": {"qwen3.context_length": 40960}, "template": "", "details": {}}
        return Response(200, json.dumps(known | {"capabilities": ["completion"]}).encode())
    tokens = sum(len(m["content"]) for m in body["messages"]) // 4
    window = body.get("options", {}).get("num_ctx", 4096)
    counts = {"prompt_eval_count": tokens if tokens < window else window // 2 + 2, "eval_count": 12}
    message = {"role": "assistant", "content": "Hm."}
    said = {"model": "qwen3", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": True}
    return Response(200, json.dumps(said | {"done_reason": "stop"} | counts).encode())


def test_ollama_is_asked_for_the_window_that_is_known_and_noticed_where_none_is(
    provider: Provider, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_BASE", provider.url)
    provider.answers.extend([ollama] * 20)
    name, prompt = "ollama_chat/qwen3:14b", (Message("user", "word " * 4600),)
    table = RuleTable(((name, ModelRules(window_tokens=16384)),))
    model = LiteLLMModel(name, ProviderPatience(60, sleep=slept.append), table=table)
    assert ask(model, prompt) == "Hm."
    with pytest.raises(ProviderRefused, match=r"read 2,050 of about 5,750 tokens of the prompt.*window_tokens"):
        ask(LiteLLMModel(name, ProviderPatience(60, sleep=slept.append)), prompt)
    asked = [r.body["options"] for r in provider.received if "messages" in r.body]
    assert [options.get("num_ctx") for options in asked] == [16384, None]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "answered with an empty body"),
        (b"upstream connect error", "answered with what is no JSON: upstream connect error"),
        (b"<html><title>Sign in</title></html>", "answered with a web page: Sign in"),
    ],
)
def test_a_body_that_is_no_reply_is_told_without_a_class_of_a_library(
    provider: Provider, slept: list[float], body: bytes, told: str
) -> None:
    provider.answers.append(Response(200, body))
    with pytest.raises(ProviderUnavailable) as caught:
        ask(model_with(slept, patience_s=0))
    assert f": {told} (asked" in str(caught.value) and "Error" not in str(caught.value)
    assert caught.value.paid and caught.value.paid.uncounted == 0
