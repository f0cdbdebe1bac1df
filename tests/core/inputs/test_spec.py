"""Wrong values in template.toml: each is one line that names the field and shows the value."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from agent.core.inputs.spec import Profile, StepLimits, TemplateSpec
from agent.core.text.wording import say_field, without_echoes

METRIC: dict[str, Any] = {"name": "f1", "path": ["f1"]}


def spec(**fields: object) -> dict[str, Any]:
    return {"name": "t", **fields}


def variant(**fields: object) -> dict[str, Any]:
    return spec(profiles={"small": {"baselines": [{"name": "plain", **fields}]}})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            variant(seeds=[1, 2, 3]),
            "0.seeds = [1, 2, 3]: is a list; write how many there are to be, as 3",
        ),
        (variant(middle_seeds=[]), "middle_seeds = []: is a list; write how many there are to be, as 1"),
        (variant(seeds=2.5), "seeds = 2.5: is not a whole number"),
        (variant(vary=["K"]), 'baselines.0.vary = ["K"]: is no text'),
        (variant(vary="K 1"), "baselines.0.vary = \"K 1\": 'K 1' is no name of a constant"),
        (variant(constants={"LR": [1]}), "constants.LR = [1]: is no number, no text, and neither true nor false"),
        (variant(values=[{}]), "values.0 = {}: is no number, no text, and neither true nor false"),
        (variant(values=3), "values = 3: is not a list; write it in brackets: [3]"),
        (spec(command=" "), 'command = " ": is empty'),
        (spec(command="python 'x"), 'command = "python \'x": cannot be divided into words: No closing quotation'),
        (spec(plot='python "x'), "cannot be divided into words: No closing quotation"),
        (spec(plot="python {plots}"), "{plots} is unknown"),
        (spec(environment={"variables": {"A=B": "x"}}), "'A=B' is no name of a variable"),
        (spec(environment={"variables": {"": "x"}}), "'' is no name of a variable"),
        (spec(environment={"variables": {"A": "x\0"}}), "holds a zero byte"),
        (variant(name=" "), 'baselines.0.name = " ": is no name of one line'),
        (spec(metrics=METRIC), "is one section; write its name in double brackets, as [[metrics]]"),
        (spec(controls=METRIC), "is one section; write its name in double brackets"),
        (spec(metrics=[METRIC | {"path": "f1"}]), 'metrics.0.path = "f1": is not a list; write it in brackets: ["f1"]'),
        (spec(metrics=[METRIC | {"path": [1]}]), "metrics.0.path.0 = 1: is no text"),
        (spec(metrics=[METRIC | {"name": ""}]), 'metrics.0.name = "": is no name of one line'),
        (spec(metrics=[METRIC | {"name": "a\nb"}]), r'metrics.0.name = "a\nb": is no name of one line'),
        (spec(metrics=[METRIC | {"target": float("nan")}]), "metrics.0.target = NaN: is not finite"),
        (spec(metrics=[METRIC | {"resolution": float("inf")}]), "metrics.0.resolution = Infinity: is not finite"),
        (spec(run_files="experiment.py"), 'run_files = "experiment.py": is not a list; write it in brackets'),
        (
            spec(environment={"install": ["numpy"]}),
            'install.0 = "numpy": is not a list; write it in brackets',
        ),
    ],
)
def test_a_wrong_value_is_one_line_without_names_of_classes(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TemplateSpec.model_validate(given)
    (error,) = without_echoes(caught.value.errors())
    assert said in say_field(error)
    assert "function-" not in say_field(error) and "literal" not in say_field(error)


def test_several_wrong_values_are_a_line_each() -> None:
    with pytest.raises(ValidationError) as caught:
        TemplateSpec.model_validate(variant(seeds=0, vary=3) | {"smoke": "maybe"})
    assert len(without_echoes(caught.value.errors())) == 3


def test_what_a_baseline_may_vary_keeps_its_kind() -> None:
    read = TemplateSpec.model_validate(variant(vary="K", values=[True, 1, 1.0, "1"], constants={"A": False}))
    assert [type(v) for v in read.profiles["small"].baselines[0].values] == [bool, int, float, str]
    assert TemplateSpec.model_validate(variant(vary="")).profiles["small"].baselines[0].vary == ""


def test_limits_that_a_launch_gives_count_before_those_of_template_and_profile() -> None:
    spec = TemplateSpec(
        name="t", profiles={"small": Profile(limits=StepLimits(run_s=20, plot_s=3)), "large": Profile(gpus=1)}
    )
    given = spec.with_limits(run_s=7200.0, smoke_s=0.0, memory_gib=4.0)
    assert given.limits == StepLimits(run_s=7200.0, memory_gib=4.0)
    assert given.profiles["small"].limits == StepLimits(run_s=7200.0, plot_s=3, memory_gib=4.0)
    assert given.profiles["large"] == spec.profiles["large"] and spec.with_limits(run_s=0.0) == spec
    assert given.limits.describe(smoke=True) == "run 7,200 s, smoke test 120 s, memory 4 GiB"
