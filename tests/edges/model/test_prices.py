"""What a model charges: the settings first, then litellm's table, else nobody knows."""

from __future__ import annotations

import pytest

from agent.core.journal.budget import Price
from agent.core.model.rules import RuleTable, read_model_rules
from agent.edges.model.prices import price_of


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
