"""What a model charges: the settings first, then litellm's table, else nobody knows."""

from __future__ import annotations

import pytest

from agent.core.budget import Price
from agent.core.model_rules import RuleTable, read_model_rules
from agent.edges.prices import price_of


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
