"""Sequences that each provider refuses, in its own words, and the form in which they arrive through litellm."""

from __future__ import annotations

import json

import pytest

from agent.edges.model.call import load_litellm
from tests.provider.asking import Complete, native, outcome, post, talk
from tests.provider.server import StrictServer

# Sequences: (mode, turns, status, words). Sent as they are, since litellm repairs some of them on the way.

REFUSED = [
    ("deepseek", "u|u", 400, "successive user or assistant messages (messages[0] and messages[1] in your input). You"),
    (
        "deepseek",
        "s|u|a|a|u",
        400,
        "does not support successive user or assistant messages (messages[2] and messages[3]",
    ),
    ("deepseek", "u|s|u", 400, "does not support successive user or assistant messages (messages[0] and messages[2]"),
    (
        "deepseek",
        "s|a|u",
        400,
        "The first message (except the system message) of m must be a user message, but an assis",
    ),
    (
        "deepseek",
        "u|a",
        400,
        "The last message of m must be a user message, or an assistant message with prefix mode on",
    ),
    ("deepseek", "s", 400, "The last message of m must be a user message"),
    ("deepseek", "", 400, "Empty input messages"),
    ("perplexity", "u|u", 400, "After the (optional) system message(s), user or tool message(s) should alternate with"),
    ("perplexity", "a|u", 400, "After the (optional) system message(s), user or tool message(s) should alternate with"),
    ("perplexity", "u|a|s|u", 400, "After the (optional) system message(s), user or tool message(s) should alternate"),
    ("perplexity", "s|u|a", 400, "Last message must have role `user` or `tool`."),
    (
        "mistral",
        "u|a",
        400,
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
    ),
    ("mistral", "s", 400, "Expected last role User or Tool (or Assistant with prefix True) for serving but got system"),
    ("mistral", "u|a|t|u", 400, "Unexpected role 'user' after role 'tool'"),
    ("mistral", "u|a|s|u", 400, "Unexpected role 'system' after role 'assistant'"),
    ("mistral", "u|a:|u", 400, "Assistant message must have either content or tool_calls, but not none."),
    ("mistral", "", 400, "Conversation must have at least one message"),
    ("anthropic", "a|u", 400, 'messages: first message must use the "user" role'),
    ("anthropic", "u:", 400, "messages: text content blocks must be non-empty"),
    ("anthropic", "u: \n", 400, "messages: text content blocks must contain non-whitespace text"),
    ("anthropic", "u|a:So \n", 400, "messages: final assistant content cannot end with trailing whitespace"),
    ("anthropic", "s", 400, "messages: at least one message is required"),
    ("anthropic-no-prefill", "u|a", 400, "This model does not support assistant message prefill."),
    ("bedrock", "a|u", 400, "A conversation must start with a user message."),
    ("bedrock", "u|u", 400, "A conversation must alternate between user and assistant roles."),
    ("bedrock", "u|a:|u", 400, "The text field in the ContentBlock object at messages.1.content.0 is blank."),
    (
        "bedrock",
        "u|a:So \n",
        400,
        "The model returned the following errors: messages: final assistant content cannot end",
    ),
    ("gemini", "u|u", 400, "Please ensure that multiturn requests alternate between user and model."),
    ("gemini", "a|u", 400, "Please ensure that multiturn requests alternate between user and model."),
    ("gemini", "u|a", 400, "Please ensure that multiturn requests ends with a user role or a function response."),
    ("gemini", "u|a:|u", 400, "contents[1].parts[0].data: required oneof field 'data' must have one initialized field"),
    ("gemini", "", 400, "contents is not specified"),
    ("openai", "", 400, "Invalid 'messages': empty array."),
    ("openai-o", "s|u", 400, "Unsupported value: 'messages[0].role' does not support 'system' with this model."),
    ("vllm-gemma3", "u|u", 400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    ("vllm-gemma3", "s|a|u", 400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    ("vllm-gemma3", "s|s|u", 400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    ("vllm-gemma3", "", 400, "list object has no element 0"),
    ("vllm-gemma2", "s|u", 400, "System role not supported"),
    ("vllm-gemma2", "u|a|a", 400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    (
        "vllm-mistral",
        "u|u",
        400,
        "After the optional system message, conversation roles must alternate user/assistant/",
    ),
    ("vllm-mistral", "s|u|a|s|u", 400, "After the optional system message, conversation roles must alternate"),
    (
        "llamacpp",
        "u|u",
        500,
        "Error: Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/...",
    ),
    ("llamacpp", "u|a|s|u", 500, "Error: Jinja Exception: Conversation roles must alternate user/assistant/user/assis"),
]


@pytest.mark.parametrize(("mode", "turns", "status", "words"), REFUSED)
def test_a_forbidden_sequence_is_refused_in_the_providers_words(mode: str, turns: str, status: int, words: str) -> None:
    with StrictServer(mode) as server:
        response = post(server, *native(mode, talk(*filter(None, turns.split("|")))))
    assert response.status == status
    assert words in json.dumps(json.loads(response.body), ensure_ascii=False).replace('\\"', '"')
    assert server.statuses() == [status]


ACCEPTED = [
    ("deepseek", "s|u"),
    ("deepseek", "u|a|u|a|u"),
    ("perplexity", "s|s|u|a|u"),
    ("mistral", "u|u"),
    ("mistral", "a|u"),
    ("anthropic", "u|u|a|a"),
    ("bedrock", "u|a"),
    ("openai", "a|u|u|a"),
    ("openai-o", "d|u"),
    ("vllm-gemma3", "s|u|a"),
    ("vllm-gemma2", "u|a|u"),
    ("vllm-mistral", "s|u|a|u"),
    ("llamacpp", "s|u|a|u"),
]


@pytest.mark.parametrize(("mode", "turns"), ACCEPTED)
def test_what_a_provider_takes_is_not_refused(mode: str, turns: str) -> None:
    with StrictServer(mode) as server:
        assert post(server, *native(mode, talk(*turns.split("|")))).status == 200


@pytest.mark.parametrize("mode", ["deepseek", "mistral"])
def test_an_assistant_with_prefix_may_end_a_conversation(mode: str) -> None:
    path, body = native(mode, talk("u", "a"))
    body["messages"][-1]["prefix"] = True
    with StrictServer(mode) as server:
        assert post(server, path, body).status == 200


# What arrives through litellm where the sequence is wrong, and how many requests it made of one call.

THROUGH_LITELLM = [
    ("deepseek", "u|u", "BadRequestError 400", 1),
    ("deepseek", "u|a", "BadRequestError 400", 1),
    ("perplexity", "u|u", "BadRequestError 400", 1),
    ("perplexity", "u|a", "stop: A reply.", 2),  # litellm adds an empty user message and asks again
    ("mistral", "u|a|s|u", "BadRequestError 400", 1),
    ("mistral", "u|a:|u", "stop: A reply.", 1),  # litellm drops the empty assistant: user, user
    ("mistral", "u:", "BadRequestError 400", 1),  # and the empty user: nothing
    ("anthropic", "a|u", "BadRequestError 400", 1),
    ("anthropic", "u:", "stop: A reply.", 1),  # a placeholder is put in
    ("anthropic", "u|a:So \n", "stop: A reply.", 1),  # and the blanks are cut
    ("anthropic-no-prefill", "u|a", "BadRequestError 400", 1),
    ("bedrock", "a|u", "BadRequestError 400", 1),
    ("bedrock", "u: ", "BadRequestError 400", 1),
    ("bedrock", "u|a|a|u", "stop: A reply.", 1),
    ("gemini", "a|u", "BadRequestError 400", 1),
    ("gemini", "u|a", "BadRequestError 400", 1),
    ("gemini", "u|a:|u", "BadRequestError 400", 1),
    ("openai-o", "s|u", "stop: A reply.", 1),  # the system message becomes a user's
    ("vllm-gemma3", "u|u", "BadRequestError 400", 1),
    ("vllm-gemma2", "s|u", "BadRequestError 400", 1),
    ("vllm-mistral", "a|u", "BadRequestError 400", 1),
    ("llamacpp", "u|u", "stop: A reply.", 2),  # an empty assistant is put between
]


@pytest.mark.parametrize(("mode", "turns", "arrives", "requests"), THROUGH_LITELLM)
def test_what_litellm_makes_of_a_forbidden_sequence(
    complete: Complete, mode: str, turns: str, arrives: str, requests: int
) -> None:
    with StrictServer(mode) as server:
        assert outcome(complete, server, talk(*turns.split("|"))) == arrives
    assert len(server.requests) == requests


def test_litellm_returns_none_where_it_cannot_repair_a_template_error(
    complete: Complete, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second try also forgets max_retries=0: the SDK then asks three times, with pauses."""
    pauses: list[float] = []
    monkeypatch.setattr("openai._base_client.SyncAPIClient._sleep_for_retry", lambda *a, **k: pauses.append(1.0))
    with StrictServer("llamacpp") as server:
        assert outcome(complete, server, talk("a", "u")) == "None"
    assert server.statuses() == [500] * 4 and len(pauses) == 2


def test_a_temperature_is_refused_by_litellm_or_by_the_provider(complete: Complete) -> None:
    litellm = load_litellm()
    with StrictServer("openai-o") as server:
        with pytest.raises(litellm.exceptions.UnsupportedParamsError, match=r"temperature=0\.2"):
            complete(server, talk("u"), temperature=0.2, drop_params=False)
        path, body = native("openai-o", talk("u"))
        refused = post(server, path, body | {"temperature": 0.2})
        too_old = post(server, path, body | {"max_tokens": 10})
        assert post(server, path, body | {"temperature": 1, "max_completion_tokens": 10}).status == 200
    assert refused.status == 400 and b"Unsupported value: 'temperature' does not support 0.2" in refused.body
    assert too_old.status == 400 and b"'max_tokens' is not supported with this model." in too_old.body
