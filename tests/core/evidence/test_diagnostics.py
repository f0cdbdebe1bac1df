"""Diagnostics that a template declares."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agent.core.authoring.check import check_results
from agent.core.evidence.diagnostics import describe_diagnostics
from agent.core.inputs.spec import Diagnostic, TemplateSpec

DECLARED = TemplateSpec.model_validate(
    {
        "name": "t",
        "diagnostics": [
            {"name": "l0", "path": ["l0"], "warn": {"above": 100.0}},
            {
                "name": "alive",
                "source": "evaluation",
                "path": ["a", "b"],
                "reading": "Dead ones are wasted.",
                "warn": {"below": 0.5},
            },
        ],
    }
).diagnostics


def test_a_value_outside_its_range_is_a_warning_and_comes_first() -> None:
    outputs = {"final_info": {"l0": 12}, "evaluation": {"a": {"b": 0.25}}}
    assert describe_diagnostics(DECLARED, outputs) == (
        "warning: alive = 0.25, below 0.5. Dead ones are wasted.",
        "l0 = 12",
    )
    outputs = {"final_info": {"l0": 101}, "evaluation": {"a": {"b": 0.75}}}
    assert describe_diagnostics(DECLARED, outputs) == (
        "warning: l0 = 101, above 100",
        "alive = 0.75",
    )


@pytest.mark.parametrize("outputs", [{}, {"final_info": None}, {"final_info": {"l0": "many"}}, {"evaluation": [1]}])
def test_what_is_not_reported_is_not_told(outputs: dict[str, object]) -> None:
    assert describe_diagnostics(DECLARED, outputs) == ()


def test_a_diagnostic_is_no_number_that_the_description_lacks() -> None:
    spec = TemplateSpec(name="t", diagnostics=DECLARED)
    assert list(check_results(spec, {"l0": 3.0}, "t.toml")) == []
    assert list(check_results(spec, {"l0": 3.0, "more": 1.0}, "t.toml")) != []


def test_an_unknown_bound_is_an_error() -> None:
    with pytest.raises(ValidationError, match="warn"):
        Diagnostic.model_validate({"name": "x", "path": ["x"], "warn": {"under": 1}})
