"""A server of one's own is looked at with real requests, and no prompt is among them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from agent.core.model.own_servers import Place
from agent.edges.model.wire.own_server import check_server, look_at
from agent.errors import UsageError
from tests.provider.listener import Answer, Listener
from tests.provider.wire import Response

VARIABLE = "HOSTED_VLLM_API_BASE"


class Servers(dict[str, object]):
    """Bodies by path: every other path is unknown."""

    asked: list[tuple[str, str, bytes]]
    url: str

    def respond(self, path: str, headers: dict[str, str], raw: bytes) -> Answer:
        self.asked.append((path, headers.get("authorization", ""), raw))
        if path not in self:
            return Answer(Response(404, b'{"error": "not found"}'))
        return Answer(Response(200, json.dumps(self[path]).encode()))


@pytest.fixture
def server() -> Iterator[Servers]:
    bodies = Servers()
    bodies.asked = []
    listener = Listener(bodies.respond)
    bodies.url = f"http://127.0.0.1:{listener.port}"
    try:
        yield bodies
    finally:
        listener.close()


def test_llama_server_is_asked_for_the_window_of_one_request(server: Servers) -> None:
    server["/v1/models"] = {"data": [{"id": "/models/q.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 32768}}]}
    server["/props"] = {"default_generation_settings": {"n_ctx": 8192}}
    sight = look_at(Place(VARIABLE, server.url + "/v1/"), "hosted_vllm/q", {"HOSTED_VLLM_API_KEY": "sk-1234567890"})
    assert sight.is_there and not sight.problem
    assert (sight.facts.window_tokens, sight.facts.models) == (8192, ("/models/q.gguf",))
    assert server.asked == [(path, "Bearer sk-1234567890", b"") for path in ("/v1/models", "/props")]


def test_ollama_is_asked_in_its_own_words_under_either_name(server: Servers) -> None:
    server["/api/tags"] = {"models": [{"name": "q:latest"}]}
    server["/v1/models"] = {"data": [{"id": "q:latest", "owned_by": "library"}]}
    server["/api/show"] = {"parameters": "num_ctx 16384", "model_info": {"qwen2.context_length": 32768}}
    for name, base in (("ollama_chat/q", ""), ("hosted_vllm/q", "/v1")):
        facts = look_at(Place("OLLAMA_API_BASE", server.url + base), name, {}).facts
        assert (facts.window_tokens, facts.trained_tokens) == (16384, 32768)
    assert [raw for path, _, raw in server.asked if path == "/api/show"] == [b'{"model":"q"}'] * 2


def test_lm_studio_says_what_it_loaded(server: Servers) -> None:
    server["/v1/models"] = {"data": [{"id": "q", "owned_by": "organization_owner"}]}
    server["/api/v0/models"] = {"data": [{"id": "q", "loaded_context_length": 4096, "max_context_length": 32768}]}
    assert look_at(Place("LM_STUDIO_API_BASE", server.url + "/v1"), "lm_studio/q", {}).facts.window_tokens == 4096


@pytest.mark.parametrize("named", ["", "/", "/v1/v1", "/openai"])
def test_another_path_is_named_where_the_server_knows_nothing_at_this_one(server: Servers, named: str) -> None:
    server["/v1/models"] = {"data": [{"id": "q", "max_model_len": 8192}]}
    with pytest.raises(UsageError) as caught:
        check_server("hosted_vllm/q", {VARIABLE: server.url + named}, "--model")
    shown = f"{VARIABLE}={server.url}{named}: the server answers at another path; export {VARIABLE}={server.url}/v1"
    assert str(caught.value) == shown


def test_a_server_that_lists_no_models_may_answer_all_the_same(server: Servers) -> None:
    check_server("hosted_vllm/q", {VARIABLE: server.url}, "--model")
    sight = look_at(Place(VARIABLE, server.url), "hosted_vllm/q", {})
    assert sight.is_there and sight.facts.window_tokens is None


def test_nobody_at_the_address_is_named_with_the_variable(server: Servers) -> None:
    listener = Listener(server.respond)
    listener.close()
    port = listener.port
    named = {VARIABLE: f"http://me:secret@127.0.0.1:{port}/v1"}
    with pytest.raises(UsageError) as caught:
        check_server("hosted_vllm/q", named, "--model")
    assert str(caught.value) == (
        f"{VARIABLE}=http://...@127.0.0.1:{port}/v1: nothing listens at 127.0.0.1:{port}; "
        f"start the server, or correct {VARIABLE}"
    )
    usual = look_at(Place("OLLAMA_API_BASE", f"http://127.0.0.1:{port}", is_named=False), "ollama/q", {})
    assert usual.remedy == "start the server, or export OLLAMA_API_BASE" and not usual.is_there
    away = named | {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    assert not look_at(Place(VARIABLE, f"http://127.0.0.1:{port}/v1"), "hosted_vllm/q", away).problem
    check_server("deepseek/deepseek-chat", {"DEEPSEEK_API_BASE": f"http://127.0.0.1:{port}"}, "--model")


def test_a_model_that_the_server_does_not_have_is_told_with_those_that_it_has(server: Servers) -> None:
    server["/v1/models"] = {"data": [{"id": "a", "owned_by": "vllm"}, {"id": "b", "owned_by": "vllm"}]}
    with pytest.raises(UsageError, match=r": it has no model q; name one that it has: a, b$"):
        check_server("hosted_vllm/q", {VARIABLE: server.url + "/v1"}, "--model")
    check_server("hosted_vllm/b", {VARIABLE: server.url + "/v1"}, "--model")
    server["/api/tags"] = {"models": [{"name": "a:7b"}, {"name": "b:latest"}]}
    with pytest.raises(UsageError, match=r": it has no model q; ollama pull q, or name one that it has: a:7b, b:late"):
        check_server("ollama_chat/q", {"OLLAMA_API_BASE": server.url}, "--model")


def test_a_server_that_does_not_speak_https_is_told_so(server: Servers) -> None:
    named = {VARIABLE: server.url.replace("http:", "https:") + "/v1"}
    with pytest.raises(UsageError, match=f"/v1: the server does not speak https; export {VARIABLE}={server.url}/v1$"):
        check_server("hosted_vllm/q", named | {"HOSTED_VLLM_API_KEY": "sk-1234567890"}, "--model")
    assert [key for _, key, _ in server.asked] == [""], "no key goes over an open line"


def test_a_model_list_that_is_too_long_is_not_read(server: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.edges.model.wire.own_server.MOST_BYTES", 10_000)
    server["/v1/models"] = {"data": [{"id": "q" * 20_000, "max_model_len": 8192}]}
    assert look_at(Place(VARIABLE, server.url + "/v1"), "hosted_vllm/q", {}).facts.models == ()
