"""The table of rules: found by prefix, extended by settings, errors that name their field."""

from __future__ import annotations

import pytest

from agent.core.model.rules import ModelRules, RuleTable, read_model_rules
from agent.errors import UsageError


def test_of_several_prefixes_each_field_comes_from_the_longest() -> None:
    section = {
        "deepseek/": {"concurrency": 4, "tokens_per_minute": 40_000},
        "deepseek/deepseek-reasoner": {"concurrency": 2},
    }
    rules = read_model_rules(section, "scientist.toml").find("deepseek/deepseek-reasoner")
    assert (rules.concurrency, rules.tokens_per_minute) == (2, 40_000)
    assert rules.timeout_s and rules.timeout_s > 600, "what the built-in table says stays"


@pytest.mark.parametrize(
    ("prefix", "model", "found"),
    [
        ("google/", "openrouter/google/gemma-2-9b-it:free", True),
        ("openrouter/google/", "openrouter/google/gemma-2-9b-it:free", True),
        ("Gemma-2", "together_ai/Google/gemma-2-27b-it", True),
        ("o3", "openai/o3-mini", True),
        ("o3", "openai/gpt-4o3", False),
        ("mma", "google/gemma-2", False),
    ],
)
def test_a_prefix_is_one_of_any_part_of_the_name(prefix: str, model: str, found: bool) -> None:
    assert (RuleTable(((prefix, ModelRules(concurrency=7)),)).find(model).concurrency == 7) is found


def test_a_registered_price_tells_cached_tokens_apart() -> None:
    rules = ModelRules(input_usd_per_mtok=1.0, output_usd_per_mtok=10.0)
    assert rules.price(1_000_000, 500_000, 100_000) == pytest.approx(2.0)
    cheaper = rules.model_copy(update={"cached_usd_per_mtok": 0.1})
    assert cheaper.price(1_000_000, 500_000, 100_000) == pytest.approx(1.55)
    assert ModelRules(input_usd_per_mtok=1.0).price(10, 0, 10) is None


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            {"a/": {"tokens_per_minute": "many"}},
            r'scientist.toml: \[models."a/"\] tokens_per_minute = "many": is not a whole number',
        ),
        ({"a/": {"tokens_per_minute": 0}}, "tokens_per_minute = 0: is not more than 0"),
        ({"a/": {"tokens_per_min": 1}}, r"tokens_per_min: .*known: .*tokens_per_minute"),
        ({"a/": {"drop_params": [1]}}, r"drop_params\.0 = 1: is no text"),
        ({"a/": 5}, "is no table of rules"),
        ({" ": {}}, "is no table of rules"),
    ],
)
def test_a_mistake_is_named_with_file_and_field(section: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_model_rules(section, "scientist.toml")
