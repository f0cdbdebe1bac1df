"""Prices from the settings or from litellm's table, and the check of a model's name before anything is sent."""

from __future__ import annotations

import pytest

from agent.core.journal.budget import Price
from agent.core.model.rules import RuleTable, read_model_rules
from agent.edges.model.litellm_table import check_model, price_of
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
