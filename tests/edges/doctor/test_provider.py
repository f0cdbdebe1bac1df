"""Findings of the doctor about a model: the real litellm against a strict server, without and with faults."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from agent.core.model.rules import ModelRules, RuleTable, read_model_rules
from agent.core.text.redact import Redactor
from agent.core.text.remark import Remark
from agent.edges.doctor.provider import Probe, check_provider
from tests.provider.listener import Answer, Listener
from tests.provider.server import KEY, Response, StrictServer, says

Examine = Callable[..., dict[str, Remark]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Findings by their subject, without the model's name."""

    def look(
        server: StrictServer, *, rules: RuleTable | None = None, spare: bool = False, deadline_s: float = 20.0
    ) -> dict[str, Remark]:
        environment = server.environment()
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        probe = Probe("--model", server.model, spare=spare)
        found = check_provider(probe, rules or RuleTable(), environment, Redactor({KEY: "K"}), deadline_s)
        assert KEY not in repr(found)
        return {finding.what.removeprefix(server.model).strip(): finding for finding in found}

    return look


@pytest.mark.parametrize("mode", ["deepseek", "anthropic", "gemini", "openai-o", "vllm-gemma2"])
def test_a_model_in_good_order_is_asked_three_times(mode: str, examine: Examine) -> None:
    with StrictServer(mode, ["ready"]) as server:
        found = examine(server)
        assert len(server.requests) == 3
    own = ["server"] if mode in ("openai-o", "vllm-gemma2") else []
    assert list(found) == ["key", *own, "answers", "two user turns", "price", "window"]
    assert {name: f.level for name, f in found.items() if name in ("key", "answers", "two user turns")} == {
        "key": "ok",
        "answers": "ok",
        "two user turns": "ok",
    }
    assert "'ready'" in found["answers"].detail


def test_two_user_turns_pass_merged_and_what_the_provider_says_of_them_raw_is_told(examine: Examine) -> None:
    with StrictServer("deepseek", ["ready"]) as server:
        strict = examine(server)["two user turns"]
        assert server.statuses() == [200, 200, 400]
    assert strict.level == "ok" and "unmerged the provider says: message sequence refused" in strict.detail
    with StrictServer("openai", ["ready"]) as server:
        assert examine(server)["two user turns"].detail.endswith("taken unmerged too")


def test_questions_are_tiny(examine: Examine) -> None:
    with StrictServer("deepseek", ["ready"]) as server:
        examine(server)
        assert {request.body["max_tokens"] for request in server.requests} == {16}


@pytest.mark.parametrize(
    ("fault", "told", "remedy"),
    [
        ("key_401", "key refused", "check the provider's API key"),
        ("balance_402", "quota spent", "top up"),
        ("insufficient_quota", "quota spent", "top up"),
        ("unknown_404", "unknown model", "check the model's name"),
        ("server_500", "outage", "a launch would wait for it"),
        ("html", "", "a launch would wait for it"),
    ],
)
def test_a_model_that_does_not_answer_fails_with_what_to_do(
    fault: str, told: str, remedy: str, examine: Examine
) -> None:
    with StrictServer("deepseek", ["ready"], [fault] * 9) as server:
        found = examine(server)
        assert len(server.requests) == 1, "after one refusal nothing more is asked"
    assert found["answers"].level == "FAIL"
    assert told in found["answers"].detail and remedy in found["answers"].remedy
    assert "two user turns" not in found


def test_a_rate_limit_and_a_silent_fallback_only_warn(examine: Examine) -> None:
    with StrictServer("deepseek", ["ready"], ["rate_limit"]) as server:
        assert examine(server)["answers"].level == "warn"
    with StrictServer("deepseek", ["ready"], ["server_500"]) as server:
        assert examine(server, spare=True)["answers"].level == "warn"


def test_a_hang_ends_at_the_deadline(examine: Examine) -> None:
    with StrictServer("deepseek", ["ready"], ["hang"]) as server:
        started = time.monotonic()
        found = examine(server, deadline_s=0.5)["answers"]
        assert time.monotonic() - started < 3
    assert found.level == "FAIL" and "timeout" in found.detail


def test_without_a_key_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with StrictServer("deepseek", ["ready"]) as server:
        for name in server.environment():
            monkeypatch.delenv(name, raising=False)
        (found,) = check_provider(Probe("--model", server.model), RuleTable(), {}, Redactor(), 5.0)
        assert server.requests == []
    assert (found.level, found.detail) == ("FAIL", "DEEPSEEK_API_KEY not set")
    (found,) = check_provider(Probe("--editor-model", "nobody/x"), RuleTable(), {}, Redactor(), 5.0)
    assert found.level == "FAIL" and "knows no such provider" in found.detail


def test_price_and_window_are_known_registered_or_said_to_be_unknown(examine: Examine) -> None:
    with StrictServer("vllm-mistral", ["ready"]) as server:
        found = examine(server)
        assert (found["price"].level, found["window"].level) == ("warn", "warn")
        assert f'[models."{server.model}"] in scientist.toml' in found["price"].remedy
        section = {"hosted_vllm/": {"input_usd_per_mtok": 0.5, "output_usd_per_mtok": 2.0, "window_tokens": 32768}}
        found = examine(server, rules=read_model_rules(section, "scientist.toml"))
    assert found["price"].detail == "$0.5 in, $2 out per million tokens"
    assert found["window"].detail == "32,768 tokens"
    with StrictServer("deepseek", ["ready"]) as server:
        found = examine(server)
    assert (found["price"].level, found["window"].level) == ("ok", "ok")


def test_a_server_of_ones_own_is_named_with_its_variable_and_window(monkeypatch: pytest.MonkeyPatch) -> None:
    def respond(path: str, headers: dict[str, str], raw: bytes) -> Answer:
        model = {"id": "/models/q.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 16384}}
        return Answer(says("ready") if raw else Response(200, json.dumps({"data": [model]}).encode()))

    def examine(table: RuleTable | None = None) -> dict[str, str]:
        found = check_provider(Probe("--model", "hosted_vllm/q"), table or RuleTable(), named, Redactor(), 5.0)
        return {remark.what.partition(" ")[2]: str(remark) for remark in found}

    listener = Listener(respond)
    base = f"http://127.0.0.1:{listener.port}/v1"
    named = {"HOSTED_VLLM_API_BASE": base}
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", base)
    said = examine()
    assert list(said) == ["key", "server", "answers", "two user turns", "price", "window"]
    assert f"HOSTED_VLLM_API_BASE={base}; it has /models/q.gguf" in said["server"]
    assert "16,384 tokens, as the server says" in said["window"]
    wrong = examine(RuleTable((("hosted_vllm/", ModelRules(window_tokens=32768)),)))
    assert (
        "warn" in wrong["window"] and "32,768 tokens by scientist.toml, and the server says 16,384" in wrong["window"]
    )
    listener.close()
    said = examine()
    assert list(said) == ["key", "server"] and "FAIL" in said["server"]
    assert f"{base}: nothing listens at 127.0.0.1:{listener.port}" in said["server"]
