"""Every mode of the strict server through the real litellm, with the prefix and the variables of real life."""

from __future__ import annotations

import http.client
import re
import time

import pytest

from agent.edges.model.call import load_litellm
from tests.provider.asking import Complete, good, native, outcome, post, talk
from tests.provider.server import MODES, Reply, StrictServer

# Replies


@pytest.mark.parametrize("mode", MODES)
def test_a_good_sequence_is_answered_with_text_and_usage(complete: Complete, mode: str) -> None:
    with StrictServer(mode, [Reply("Ünïcode \U0001f600\n", tokens_in=900, tokens_out=30, tokens_cached=0)]) as server:
        response = complete(server, good(mode))
    assert response.choices[0].message.content == "Ünïcode \U0001f600\n"
    assert response.choices[0].finish_reason == "stop"
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (900, 30)
    assert server.statuses() == [200]
    assert server.requests[0].path.partition("?")[0].endswith(MODES[mode].protocol.paths)


@pytest.mark.parametrize("mode", MODES)
def test_replies_come_in_order_and_the_last_stays(complete: Complete, mode: str) -> None:
    with StrictServer(mode, ["one", "two"]) as server:
        said = [complete(server, good(mode)).choices[0].message.content for _ in range(3)]
    assert said == ["one", "two", "two"]


@pytest.mark.parametrize("mode", MODES)
def test_a_function_of_the_messages_sees_them_in_one_form(complete: Complete, mode: str) -> None:
    seen: list[list[dict[str, str]]] = []

    def say(messages: list[dict[str, str]]) -> str:
        seen.append(messages)
        return "Yes."

    with StrictServer(mode, say) as server:
        complete(server, good(mode))
    assert [m["content"] for m in seen[0]] == [m["content"] for m in good(mode)]


@pytest.mark.parametrize("mode", ["openai", "deepseek", "anthropic"])
def test_a_reply_is_streamed_to_who_asks_for_it(complete: Complete, mode: str) -> None:
    with StrictServer(mode, ["A longer reply."]) as server:
        chunks = list(complete(server, good(mode), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "A longer reply."


@pytest.mark.parametrize("mode", ["openai", "deepseek", "anthropic"])
def test_a_stream_can_be_cut_short(complete: Complete, mode: str) -> None:
    with (
        StrictServer(mode, ["word " * 2000], ["cut_stream"]) as server,
        pytest.raises(Exception, match=r"\w") as caught,
    ):
        list(complete(server, good(mode), stream=True))
    import openai

    assert isinstance(caught.value, openai.OpenAIError)


@pytest.mark.parametrize("mode", ["deepseek", "openai"])
def test_a_prefix_seen_before_is_counted_as_cached(complete: Complete, mode: str) -> None:
    long = [{"role": "system", "content": "word " * 2000}, *talk("u")]
    with StrictServer(mode) as server:
        first = complete(server, long)
        second = complete(server, [*long, *talk("a", "u")])
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert 2400 <= second.usage.prompt_tokens_details.cached_tokens <= 2510
    assert second._hidden_params["response_cost"] < first._hidden_params["response_cost"]


def test_reasoning_arrives_beside_the_text(complete: Complete) -> None:
    with StrictServer("deepseek", [Reply("Yes.", reasoning="Hm.")]) as server:
        message = complete(server, good("deepseek")).choices[0].message
    assert (message.content, message.reasoning_content) == ("Yes.", "Hm.")


# Keys, fields, length


@pytest.mark.parametrize("mode", MODES)
def test_another_key_is_refused(complete: Complete, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    with StrictServer(mode) as server:
        complete(server, good(mode))
        real, server.api_key = server.api_key, "sk-of-someone-else"
        named = server.environment()
        server.api_key = real
        monkeypatch.setattr(server, "environment", lambda: named)
        arrives = outcome(complete, server, good(mode))
    assert server.statuses() == [200, {"gemini": 400, "bedrock": 403}.get(mode, 401)]
    assert arrives == {"bedrock": "AuthenticationError 403"}.get(mode, "AuthenticationError 401")


@pytest.mark.parametrize(
    ("mode", "status", "words"),
    [
        ("deepseek", 400, "unknown field `num_ctx`"),
        ("openai", 400, "Unknown parameter: 'num_ctx'."),
        ("mistral", 422, "Extra inputs are not permitted"),
        ("anthropic", 400, "num_ctx: Extra inputs are not permitted"),
        ("gemini", 400, "num_ctx"),
        ("bedrock", 400, "num_ctx: Extra inputs are not permitted"),
    ],
)
def test_a_field_that_the_provider_does_not_know_is_refused(mode: str, status: int, words: str) -> None:
    path, body = native(mode, good(mode))
    with StrictServer(mode) as server:
        response = post(server, path, body | {"num_ctx": 1})
    assert response.status == status and words in response.body.decode()


def test_reasoning_that_is_sent_back_is_refused(complete: Complete) -> None:
    litellm = load_litellm()
    turns = talk("u", "a", "u")
    turns[1]["reasoning_content"] = "Hm."
    with StrictServer("deepseek") as server, pytest.raises(litellm.exceptions.BadRequestError, match="reasoning_cont"):
        complete(server, turns)


@pytest.mark.parametrize("mode", MODES)
def test_a_prompt_longer_than_the_window_is_refused(complete: Complete, mode: str) -> None:
    long = [*good(mode)[:-1], {"role": "user", "content": "word " * 1000}]
    with StrictServer(mode, context_tokens=1000) as server:
        assert outcome(complete, server, good(mode)) == "stop: A reply."
        arrives = outcome(complete, server, long)
    assert arrives == ("BadRequestError 400" if mode == "mistral" else "ContextWindowExceededError 400")


def test_an_unknown_model_is_refused(complete: Complete) -> None:
    with StrictServer("openai", models=["gpt-4o"]) as server:
        assert outcome(complete, server, talk("u")) == "stop: A reply."
        assert outcome(complete, server, talk("u"), model="openai/gpt-9") == "NotFoundError 404"


@pytest.mark.parametrize("mode", ["deepseek", "mistral", "anthropic", "bedrock", "vllm-gemma3"])
def test_half_a_character_is_no_json(complete: Complete, mode: str) -> None:
    with StrictServer(mode) as server:
        assert outcome(complete, server, talk("u:a\ud83d")) == "BadRequestError 400"


# The limit on tokens


def test_a_spent_limit_is_answered_with_headers_and_a_wait_that_is_enough(complete: Complete) -> None:
    litellm = load_litellm()
    prompt = talk("u:" + "x" * 2384)  # 600 tokens, 2 of reply
    with StrictServer("openai", tokens_per_minute=1000, scale=0.02) as server:
        response = complete(server, prompt)
        with pytest.raises(litellm.exceptions.RateLimitError) as caught:
            complete(server, prompt)
        headers = caught.value.litellm_response_headers  # type: ignore[attr-defined]
        time.sleep(float(headers["retry-after"]))
        assert outcome(complete, server, prompt) == "stop: A reply."
    used = r"on tokens per min \(TPM\): Limit 1000, Used \d{3}, Requested 600\. Please try again in 0\.\d+s\."
    assert re.search(used, str(caught.value))
    assert headers["x-ratelimit-limit-tokens"] == "1000" and int(headers["x-ratelimit-remaining-tokens"]) < 600
    sent = response._hidden_params["additional_headers"]
    assert sent["x-ratelimit-limit-tokens"] == "1000" and 397 <= int(sent["x-ratelimit-remaining-tokens"]) < 600
    assert server.limit is not None and server.limit.spent == 2 * 602
    assert server.statuses() == [200, 429, 200]


def test_a_request_above_the_whole_limit_can_never_pass(complete: Complete) -> None:
    litellm = load_litellm()
    refused = pytest.raises(litellm.exceptions.RateLimitError, match="Request too large for gpt-4o in organization")
    with StrictServer("openai", tokens_per_minute=100) as server, refused as caught:
        complete(server, talk("u:" + "x" * 2000))
    assert "Limit 100, Requested 504" in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "header", "words"),
    [
        ("anthropic", "anthropic-ratelimit-input-tokens-limit", "rate limit of 1,000 input tokens per minute"),
        ("mistral", "x-ratelimit-limit-tokens-minute", "Rate limit exceeded"),
        ("openai-o", "x-ratelimit-limit-tokens", "Limit 1000"),
        ("deepseek", None, "Rate Limit Reached"),
        ("bedrock", None, "Too many tokens, please wait before trying again."),
        ("gemini", None, "limit: 1000"),
    ],
)
def test_each_provider_says_its_limit_in_its_own_way(mode: str, header: str | None, words: str) -> None:
    path, body = native(mode, talk("u:" + "x" * 3200))
    with StrictServer(mode, tokens_per_minute=1000) as server:
        assert post(server, path, body).status == 200
        response = post(server, path, body)
    headers = dict(response.headers)
    assert response.status == 429 and words in response.body.decode()
    assert [
        name for name in headers if "ratelimit" in name and "limit" in name.rpartition("ratelimit")[2]
    ] or not header
    assert header is None or headers[header] == "1000"
    assert ("retry-after" in headers) is (mode in ("anthropic", "openai-o"))


# The wire


def test_a_connection_is_kept_and_answers_at_once() -> None:
    path, body = native("openai", good("openai"))
    with StrictServer("openai") as server:
        connection = http.client.HTTPConnection("127.0.0.1", int(server.base_url.rpartition(":")[2]), timeout=5)
        post(server, path, body, connection)
        used, took = connection.sock, []
        for _ in range(50):
            began = time.perf_counter()
            assert post(server, path, body, connection).status == 200
            took.append(time.perf_counter() - began)
        assert connection.sock is used
        connection.close()
    assert sorted(took)[len(took) // 2] < 0.02, "a delayed acknowledgement alone takes 0.04 s"


def test_a_path_of_another_protocol_is_not_found(complete: Complete) -> None:
    with StrictServer("anthropic") as server:
        assert post(server, "/v1/chat/completions", {"messages": talk("u")}).status == 404


def test_a_mistake_in_a_scripted_reply_fails_the_test(complete: Complete) -> None:
    def say(messages: list[dict[str, str]]) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), StrictServer("openai", say) as server:
        outcome(complete, server, talk("u"))


@pytest.mark.parametrize("mode", MODES)
def test_options_point_litellm_at_the_server_without_the_environment(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    litellm = load_litellm()
    with StrictServer(mode) as server:
        for name in server.environment():
            monkeypatch.delenv(name, raising=False)
        response = litellm.completion(server.model, good(mode), num_retries=0, max_retries=0, **server.options())
    assert response.choices[0].message.content == "A reply."
