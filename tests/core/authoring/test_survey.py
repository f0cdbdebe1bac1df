"""What is read in scripts of many kinds: options, results, curves, lengths, ranges and seeds."""

from __future__ import annotations

import pytest

from agent.core.authoring.arguments import find_arguments
from agent.core.authoring.survey import survey_scripts
from tests.core.authoring.kinds import KINDS


@pytest.mark.parametrize("name", KINDS)
def test_a_script_of_each_kind_is_read(name: str) -> None:
    kind = KINDS[name]
    survey = survey_scripts(kind.files)
    assert find_arguments(kind.files).kind == kind.options
    assert survey.command == f"python experiment.py {kind.folder}"
    assert survey.results and survey.results.kind == kind.known
    assert tuple(value.name for value in survey.results.values) == kind.results
    assert (survey.curve.counter if survey.curve else "") == kind.counter
    assert (survey.length and (survey.length.name, survey.length.value)) == kind.length
    assert set(kind.ranges) <= set(survey.ranges)
    assert not kind.seeded or survey.generators[0].endswith(f" {kind.seeded}")


def test_a_dictionary_keeps_the_names_that_its_script_gave() -> None:
    script = 'print({"mean_reward": total / n, "avg_cost": c, "Val Loss": v})\n'
    lines = survey_scripts({"experiment.py": script}).metric_lines()
    names = {line for line in lines if line.startswith("name =")}
    assert names == {'name = "mean_reward"', 'name = "avg_cost"', 'name = "val_loss"'}
