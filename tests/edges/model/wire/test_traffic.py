"""What leaves this machine, and where it goes: redirects and keys, with the real litellm and a server on loopback."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

from agent.core.model.faults import FaultAction, FaultKind
from agent.core.model.messages import Message
from agent.core.model.rules import ModelRules
from agent.edges.model.call import Call, CallFailed
from agent.edges.model.litellm_table import check_model
from agent.edges.model.wire import traffic
from agent.errors import UsageError
from tests.provider.server import Provider, Response, serve

CANARY = "sk-canary-0123456789abcdef"
MESSAGES = [Message("user", "What next?")]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with serve() as provider:
        for name in ("DEEPSEEK", "ANTHROPIC", "OPENAI", "SCALEWAY"):
            monkeypatch.setenv(f"{name}_API_BASE", provider.url)
            monkeypatch.setenv(f"{name}_API_KEY", CANARY)
        yield provider


def ask(model: str, **environment: str) -> str:
    call = Call(lambda: None, environment=environment)
    return call.send(model, MESSAGES, ModelRules(), (), 20.0).text


def redirect(status: int, to: str) -> Response:
    return Response(status, b"", (("Location", to),))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("model", ["deepseek/deepseek-chat", "anthropic/claude-sonnet-4-5"])
def test_no_prompt_and_no_key_follows_a_redirect_to_another_host(provider: Provider, model: str, status: int) -> None:
    """httpx would send Anthropic's key there too."""
    elsewhere = provider.url.replace("127.0.0.1", "localhost") + "/other"
    provider.answers.append(redirect(status, elsewhere))
    with pytest.raises(CallFailed, match=r"127\.0\.0\.1 redirects to http://localhost/other") as caught:
        ask(model)
    assert caught.value.fault.kind is FaultKind.MACHINE and len(provider.received) == 1


def test_a_redirect_on_the_same_host_is_followed(provider: Provider) -> None:
    provider.answers.append(redirect(307, provider.url + "/v1/chat/completions"))
    assert ask("deepseek/deepseek-chat") == "A reply."
    assert [received.path for received in provider.received][1:] == ["/v1/chat/completions"]


def test_a_circle_of_redirects_ends(provider: Provider) -> None:
    provider.answers.extend([redirect(308, provider.url + "/again")] * 30)
    with pytest.raises(CallFailed):
        ask("deepseek/deepseek-chat")
    assert len(provider.received) < 10


def test_the_key_of_openai_is_sent_to_no_other_provider(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a provider whose own key litellm does not find, it takes OpenAI's."""
    monkeypatch.delenv("SCW_SECRET_KEY", raising=False)
    with pytest.raises(CallFailed, match="would send OPENAI_API_KEY to api") as caught:
        ask("scaleway/m", OPENAI_API_KEY=CANARY)
    assert caught.value.fault.kind is FaultKind.MACHINE and provider.received == []


@pytest.mark.parametrize("model", ["xinference/m", "snowflake/m", "stability/m"])
def test_a_provider_that_litellm_cannot_ask_is_no_outage(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL", "SNOWFLAKE_JWT", "XINFERENCE_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with pytest.raises(CallFailed) as caught:
        ask(model, OPENAI_API_KEY=CANARY)
    assert caught.value.fault.kind is FaultKind.MACHINE and "litellm" in caught.value.fault.text


@pytest.mark.parametrize(
    ("status", "page", "told"),
    [
        (403, b"<html><title>Just a moment...</title></html>", "answered with a web page: Just a moment..."),
        (
            404,
            b"404 page not found",
            r"404 page not found \(asked at http://127.*/completions, as OPENAI_API_BASE says",
        ),
        (405, b"", "Error code: 405"),
    ],
)
def test_a_page_of_a_wrong_address_is_told_and_not_waited_for(
    provider: Provider, status: int, page: bytes, told: str
) -> None:
    provider.answers.append(Response(status, page))
    with pytest.raises(CallFailed, match=told) as caught:
        ask("openai/gpt-4o", OPENAI_API_BASE=provider.url)
    assert caught.value.fault.kind.action is not FaultAction.WAIT


def test_a_packed_answer_that_was_cut_may_have_been_billed(provider: Provider) -> None:
    cut = gzip.compress(b'{"choices": []}' * 9)[:30]
    provider.answers.append(Response(200, cut, (("Content-Encoding", "gzip"),)))
    with pytest.raises(CallFailed) as caught:
        ask("openai/gpt-4o")
    assert caught.value.answer and caught.value.answer.paid.uncounted == 1


def test_of_an_answer_without_end_only_so_much_is_read(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MOST_BYTES", 100_000)
    packed = gzip.compress(b" " * 10_000_000)
    provider.answers.append(Response(200, packed, (("Content-Encoding", "gzip"),)))
    with pytest.raises(CallFailed) as caught:
        ask("deepseek/deepseek-chat")
    assert caught.value.fault.kind is FaultKind.OUTAGE


@pytest.mark.parametrize("model", ["xinference/m", "custom_openai/m"])
def test_a_server_is_asked_at_its_own_address_and_with_its_own_key(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """litellm reads neither variable, and would take OpenAI's."""
    own = model.partition("/")[0].upper()
    openai = {"OPENAI_API_BASE": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "sk-of-openai-0123456789"}
    for name, value in openai.items():
        monkeypatch.setenv(name, value)
    named = openai | {f"{own}_API_BASE": provider.url + "/v1"}
    assert ask(model, **named) == ask(model, **named, **{f"{own}_API_KEY": CANARY}) == "A reply."
    assert [r.headers["authorization"] for r in provider.received] == ["Bearer none", f"Bearer {CANARY}"]
    assert {received.path for received in provider.received} == {"/v1/chat/completions"}


def test_a_server_of_ones_own_needs_no_key_of_openai(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    named = {"OPENAI_API_BASE": provider.url + "/v1"}
    check_model("openai/m", named)
    assert ask("openai/m", **named) == "A reply."
    assert provider.received[0].headers["authorization"] == "Bearer none"
    with pytest.raises(UsageError, match="OPENAI_API_KEY not set"):
        check_model("openai/m", {"OPENAI_API_BASE": "https://gateway.example.com/v1"})
