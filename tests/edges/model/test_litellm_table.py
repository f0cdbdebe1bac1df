"""Prices from the settings or from litellm's table, and the check of a model's name before anything is sent."""

from __future__ import annotations

import os
import pathlib
import socket
from collections import defaultdict

import pytest

from agent.core.journal.budget import Price
from agent.core.model.messages import Message
from agent.core.model.own_servers import EXAMPLES
from agent.core.model.rules import ModelRules, RuleTable, read_model_rules
from agent.edges.model.call import Call, CallFailed
from agent.edges.model.litellm_table import (
    ADDRESS_VARIABLES,
    REGION_VARIABLES,
    check_model,
    full_name,
    load_litellm,
    price_of,
)
from agent.errors import UsageError
from tests.provider.server import serve

CANARY = "sk-canary-0123456789abcdef"
MODEL = "deepseek/deepseek-chat"


def test_a_registered_price_goes_before_all_others() -> None:
    rules = read_model_rules(
        {"deepseek/": {"input_usd_per_mtok": 3.0, "output_usd_per_mtok": 5.0}, "half/": {"input_usd_per_mtok": 1.0}},
        "t",
    )
    assert price_of("deepseek/deepseek-reasoner", rules) == pytest.approx(Price(3e-6, 5e-6))
    assert price_of("half/known", rules) is None


def test_litellm_knows_some_and_an_unknown_one_is_none() -> None:
    known = price_of("deepseek/deepseek-reasoner", RuleTable())
    assert known and 0 < known.input_usd < known.output_usd < 1e-4
    assert price_of("openai/gpt-none", RuleTable()) is None


@pytest.mark.parametrize("model", ["huggingface/some/model", "gemini/gemini-exp-1206"])
def test_a_zero_of_litellms_table_is_no_price(model: str) -> None:
    assert price_of(model, RuleTable()) is None


def test_zero_is_a_price_where_it_is_registered_and_on_ones_own_machine() -> None:
    free = read_model_rules({"lab/": {"input_usd_per_mtok": 0.0, "output_usd_per_mtok": 0.0}}, "t")
    assert [price_of(m, free) for m in ("lab/m", "ollama/llama3", "ollama_chat/x")] == [Price(0.0, 0.0)] * 3
    assert free.find("lab/m").price(1000, 0, 50) == 0.0


def test_a_model_is_checked_for_its_provider_and_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as provider:
        monkeypatch.setenv("DEEPSEEK_API_BASE", provider.url)
        check_model(MODEL, {"DEEPSEEK_API_KEY": CANARY})
        with pytest.raises(UsageError, match=r"--fallback-model no-such-provider/model: .*knows no such provider"):
            check_model("no-such-provider/model", {}, "--fallback-model")
        assert provider.received == []


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    with pytest.raises(UsageError, match="DEEPSEEK_API_KEY not set"):
        check_model(MODEL, {})


def test_names_without_a_provider_are_known_where_litellm_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_ACCESS_KEY_ID", "OLLAMA_API_BASE", "HOSTED_VLLM_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    keys = {"OPENAI_API_KEY": CANARY, "ANTHROPIC_API_KEY": CANARY, "AWS_REGION_NAME": "us-east-1"}
    bedrock = "bedrock/anthropic.claude-3-haiku-20240307-v1:0"
    for model in ("gpt-4o", "o3-mini", "claude-sonnet-4-5", "openai/gpt-4o", "ollama/llama3", "ollama_chat/x", bedrock):
        check_model(model, keys)
    assert full_name("gpt-4o") == "openai/gpt-4o" and full_name("nonsense") == "nonsense"
    for model, told in {
        "gpt-4o": "--model gpt-4o: OPENAI_API_KEY not set",
        "deepseek-chat": "knows no such provider; write deepseek/deepseek-chat",
        "nonsense": "knows no such provider; write provider/model",
        "hosted_vllm/m": "HOSTED_VLLM_API_BASE not set; export it, as HOSTED_VLLM_API_BASE=http://localhost:8000/v1",
    }.items():
        with pytest.raises(UsageError, match=told):
            check_model(model, {})


def test_a_variable_that_nothing_can_be_sent_with_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match=r"^OPENAI_API_KEY: holds a line break; copy the key again") as caught:
        check_model("gpt-4o", {"OPENAI_API_KEY": CANARY + "\r\n"})
    assert CANARY not in str(caught.value)
    with pytest.raises(UsageError, match=r"^OPENAI_API_BASE=localhost:8000/v1: has no http:// or https:// in front"):
        check_model("openai/m", {"OPENAI_API_KEY": CANARY, "OPENAI_API_BASE": "localhost:8000/v1"})


def test_a_model_in_a_region_needs_one_that_somebody_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """litellm would send the prompt to us-west-2."""
    for name in (*REGION_VARIABLES, *ADDRESS_VARIABLES, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for model in ("bedrock/anthropic.claude-3-haiku-20240307-v1:0", "bedrock/converse/us.amazon.nova-pro-v1:0"):
        with pytest.raises(UsageError, match=rf"^--model {model}: no region is named; export AWS_REGION_NAME"):
            check_model(model, {})
        check_model(model, {"AWS_DEFAULT_REGION": "eu-central-1"})
        check_model(model, {"AWS_BEDROCK_RUNTIME_ENDPOINT": "http://127.0.0.1:9"})
    check_model("bedrock/us-gov-west-1/anthropic.claude-v2", {})
    check_model("bedrock/arn:aws:bedrock:us-east-1:123456789012:inference-profile/x", {})


@pytest.mark.parametrize(
    ("model", "variable", "told"),
    [
        ("scaleway/m", "SCW_SECRET_KEY", "SCW_SECRET_KEY not set"),
        ("meta_llama/m", "META_LLAMA_KEY", "no key of meta_llama is set"),
    ],
)
def test_the_key_of_openai_is_no_key_of_a_provider_that_speaks_its_protocol(
    monkeypatch: pytest.MonkeyPatch, model: str, variable: str, told: str
) -> None:
    """litellm would send it there."""
    for name in (variable, "LLAMA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=f"^--model {model}: {told}; export"):
        check_model(model, {"OPENAI_API_KEY": CANARY})
    check_model(model, {"OPENAI_API_KEY": CANARY, variable: CANARY})


@pytest.mark.parametrize("provider", EXAMPLES)
def test_a_server_of_ones_own_needs_an_address(provider: str) -> None:
    """litellm would ask some of them at api.openai.com, and others nowhere."""
    variable = f"{provider.upper()}_API_BASE"
    with pytest.raises(UsageError) as caught:
        check_model(f"{provider}/m", {"OPENAI_API_KEY": CANARY})
    told = f"--model {provider}/m: {variable} not set; export it, as {variable}={EXAMPLES[provider]}"
    assert str(caught.value) == told


@pytest.mark.slow  # quick: the test before it
def test_no_prompt_goes_to_openai_for_want_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all providers that litellm has: each is refused, or asked elsewhere."""
    asked: dict[str, set[str]] = defaultdict(set)

    def look_up(host: object, *more: object, **named: object) -> None:
        asked[provider].add(str(host))
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for name in [name for name in os.environ if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    environment = {"OPENAI_API_KEY": CANARY}
    passed = 0
    for listed in load_litellm().provider_list:
        provider = str(getattr(listed, "value", listed))
        if provider in ("chatgpt", "github_copilot"):  # they ask for a login while the name is looked at
            continue
        try:
            check_model(f"{provider}/m", environment)
            passed += 1
            call = Call(lambda: None, environment=environment)
            call.send(f"{provider}/m", [Message("user", "What next?")], ModelRules(), (), 20.0)
        except (UsageError, CallFailed):
            continue
    assert passed > 20
    of_openai = {provider for provider, hosts in asked.items() if "api.openai.com" in hosts}
    assert of_openai == {"openai", "text-completion-openai", "aiohttp_openai"}


def test_an_address_that_litellm_does_not_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"MISTRAL_API_KEY": CANARY, "MISTRAL_API_BASE": "http://localhost:8000/v1"}
    with pytest.raises(UsageError, match=r"^MISTRAL_API_BASE=http://localhost:8000/v1: litellm does not read it"):
        check_model("mistral/mistral-small", own)
    monkeypatch.setenv("GROQ_API_BASE", "http://localhost:8000/v1")
    check_model("groq/m", {"GROQ_API_KEY": CANARY, "GROQ_API_BASE": "http://localhost:8000/v1"})


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("OpenAI/gpt-4o", "knows no such provider; write openai/gpt-4o$"),
        ("deepseek:deepseek-chat", "knows no such provider; write deepseek/deepseek-chat$"),
        ("GPT-4o", "knows no such provider; write gpt-4o$"),
        ("gpt-4o\n", "knows no such provider; write gpt-4o$"),
        ("llama.cpp/qwen", "write hosted_vllm/qwen, and export HOSTED_VLLM_API_BASE=http://localhost:8000/v1$"),
        ("LMStudio/qwen", "write lm_studio/qwen, and export LM_STUDIO_API_BASE=http://localhost:1234/v1$"),
        ("vllm/a/m", "litellm asks no server by this name; write hosted_vllm/a/m, and export HOSTED_VLLM_API_BASE="),
        ("openai_like/m", "litellm asks no server by this name; write hosted_vllm/m, and export"),
        ("ragflow/m", "litellm cannot use it: .*RAGFlow"),
        ("x" * 5000, "^--model x{200}: "),
    ],
)
def test_a_name_that_cannot_be_used_is_one_short_line_with_the_right_one(model: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        check_model(model, {"OPENAI_API_KEY": CANARY})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_a_file_without_certificates_is_told_before_litellm_fails_to_load(tmp_path: pathlib.Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    for path in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(UsageError, match=f"^SSL_CERT_FILE={path}: holds no certificates: .*; correct it, or"):
            check_model("openai/m", {"OPENAI_API_KEY": CANARY, "SSL_CERT_FILE": str(path)})


def test_a_folder_of_certificates_for_other_programs_is_let_alone(tmp_path: pathlib.Path) -> None:
    """Neither litellm nor httpx reads REQUESTS_CA_BUNDLE, and whoever does takes a folder too."""
    check_model("openai/m", {"OPENAI_API_KEY": CANARY, "REQUESTS_CA_BUNDLE": str(tmp_path)})


@pytest.mark.parametrize(
    ("model", "variable"),
    [("perplexity/m", "PERPLEXITY_API_KEY"), ("together_ai/m", "TOGETHER_API_KEY"), ("huggingface/a/m", "HF_TOKEN")],
)
def test_a_key_by_another_name_that_litellm_reads_is_enough(
    monkeypatch: pytest.MonkeyPatch, model: str, variable: str
) -> None:
    monkeypatch.setenv(variable, CANARY)
    check_model(model, {variable: CANARY})


def test_a_profile_of_amazons_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*REGION_VARIABLES, *ADDRESS_VARIABLES):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(UsageError, match=r"profile \(absent\) could not be found; correct AWS_PROFILE"):
        check_model("bedrock/anthropic.claude-v2", {"AWS_PROFILE": "absent"})
