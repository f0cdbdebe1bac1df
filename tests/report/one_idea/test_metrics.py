"""Numbers of a run in the order in which they are read."""

from __future__ import annotations

from agent.core.inputs.spec import TemplateSpec
from agent.report.one_idea.metrics import is_identity, order_metrics, say_metrics, say_value, set_apart

SPEC = TemplateSpec.model_validate(
    {
        "name": "t",
        "frontier": "l0",
        "metrics": [
            {"name": "mcc", "path": ["mcc"]},
            {"name": "f1", "path": ["f1"], "primary": True, "direction": "higher"},
            {"name": "l0", "path": ["l0"]},
        ],
        "controls": [{"name": "tokens", "path": ["tokens"]}, {"name": "data_id", "path": ["data_id"]}],
    }
)
VALUES = {"data_id": 255947240309146.0, "alive": 0.5, "eval_seed": 3.0, "l0": 12.5, "mcc": 0.7, "tokens": 716800.0}


def test_the_metric_that_counts_comes_first_and_controls_and_identities_last() -> None:
    names = order_metrics(VALUES | {"f1": 0.47}, SPEC, SPEC.metrics[1])
    assert names == ["f1", "l0", "mcc", "alive", "data_id", "eval_seed", "tokens"]
    assert set_apart(SPEC, names) == (["data_id", "tokens"], ["eval_seed"])
    assert order_metrics({"b": 1.0, "seed": 1.0, "a": 2.0}, TemplateSpec(name="t"), None) == ["b", "a", "seed"]


def test_a_long_list_is_cut_and_whole_numbers_are_whole() -> None:
    assert say_metrics(VALUES, ["mcc", "l0", "data_id"]) == "mcc=0.7 l0=12.5 data_id=255947240309146"
    assert say_metrics(VALUES, ["mcc", "l0", "alive"], 2) == "mcc=0.7 l0=12.5 and 1 more"
    assert [say_value(value) for value in (float("inf"), float("nan"), 1e300, 40.0)] == ["inf", "nan", "1e+300", "40"]


NAMES = ("data_id", "seed", "eval.seed", "git-sha256", "ids")
OTHERS = ("valid", "seed_spread", "loss", "idle", "hash_rate", "", "x" * 10**5)


def test_a_number_that_only_names_something_is_known() -> None:
    assert [name for name in (*NAMES, *OTHERS) if is_identity(name)] == list(NAMES)
