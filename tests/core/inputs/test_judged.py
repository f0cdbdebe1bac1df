"""The warning that a profile is judged by a metric that nobody chose for it."""

from __future__ import annotations

from agent.core.inputs.judged import say_stand_in
from agent.core.inputs.spec import TemplateSpec


def spec(*metrics: dict[str, object]) -> TemplateSpec:
    declared = [{"path": [str(m["name"])]} | m for m in metrics]
    return TemplateSpec.model_validate({"name": "t", "metrics": declared})


F1 = {"name": "f1", "primary": True, "profiles": ["synth"]}
L0 = {"name": "l0"}


def test_a_profile_that_no_primary_metric_names_is_told_what_judges_it() -> None:
    said = say_stand_in(spec(F1, L0), spec(L0), "mine")
    assert said.startswith(
        "profile mine: no primary metric is declared for it, so its runs are judged by l0, the first"
    )
    assert 'add "mine" to profiles of f1 in template.toml' in said
    assert "so nothing judges its runs" in say_stand_in(spec(F1), spec(), "mine")


def test_there_is_no_warning_where_a_metric_was_chosen() -> None:
    assert say_stand_in(spec(F1, L0), spec(F1, L0), "synth") == ""
    assert say_stand_in(spec(L0), spec(L0), "mine") == ""
    assert say_stand_in(spec(F1, L0 | {"primary": True}), spec(L0 | {"primary": True}), "mine") == ""
