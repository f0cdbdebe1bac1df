"""Advice on what a run lacked, by the words of its failure."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from agent.core.authoring.advice import Surroundings, describe_foreign, explain_failure
from agent.core.inputs.spec import TemplateSpec

AROUND = Surroundings(
    folder="templates/t",
    names=("experiment.py", "conf/base.yaml"),
    python="/venv/bin/python",
    is_built=False,
    has_data=False,
    is_described=True,
    work="/x/run_1.1/work",
    distribution_of={"yaml": "PyYAML"}.get,  # type: ignore[arg-type]
)


def said(output: str, around: Surroundings = AROUND) -> str:
    return "\n".join(remark.text for remark in explain_failure(output, around))


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("config.yaml", "config.yaml is not in templates/t: copy it there, or give its folder with --data FOLDER"),
        ("./base.yaml", "base.yaml is not there, but conf/base.yaml is: write that path"),
        ("data/train.csv", "data/train.csv: give the folder that holds train.csv with --data FOLDER"),
        ("../../data/x.bin", "../../data/x.bin: give the folder that holds x.bin with --data FOLDER"),
        ("/x/run_1.1/work/names.txt", "names.txt is not in templates/t: copy it there"),
        ("/x/run_1.1/home/.cache/w", "~/.cache/w: a run has a home of its own; write the whole path"),
        ("/mnt/d/x", '/mnt/d/x is not seen by a run; in templates/t/template.toml: [sandbox] read = ["/mnt/d/x"]'),
        ("../lib/x", "../lib/x lies outside a run's folder: copy it into templates/t"),
    ],
)
def test_a_missing_file_is_named_with_what_helps(missing: str, advice: str) -> None:
    assert advice in said(f"FileNotFoundError: [Errno 2] No such file or directory: '{missing}'")


def test_other_lacks_are_named_too() -> None:
    assert "data/a.csv is not in the folder of --data" in said(
        "FileNotFoundError: data/a.csv not found.", replace(AROUND, has_data=True)
    )
    module = "ModuleNotFoundError: No module named 'yaml.nodes'"
    assert "/venv/bin/python -m pip install PyYAML, or if yaml.py is yours, copy it into templates/t" in said(module)
    built = said(module, replace(AROUND, is_built=True))
    assert "templates/t/requirements.txt: yaml is missing; add a line PyYAML" in built
    assert "let it write below the folder of --out_dir" in said("OSError: [Errno 30] Read-only file system: '/x/y'")
    assert "--data, or write network = true into [sandbox]" in said("A run has no network; ...")
    assert "with a template.toml: [sandbox]" in said("Permission denied: '/mnt/a'", replace(AROUND, is_described=False))
    assert "reaches its own folder" in said("PermissionError: nothing is named") and said("ValueError: x") == ""


def test_a_whole_description_holds_the_means_of_a_folder_without_one() -> None:
    info = {"a": {"means": {"loss": 1.0, "acc": {"val": 0.5}}}}
    lines = describe_foreign('x "y"', info, {"requirements.txt"}, ("deterministic = true",))
    spec = TemplateSpec.model_validate(tomllib.loads("\n".join(lines)))
    assert spec.name == 'x "y"' and spec.deterministic and spec.plot == "" and spec.environment.install
    assert [m.path for m in spec.metrics] == [("a", "means", "loss"), ("a", "means", "acc", "val")]
    assert [m.primary for m in spec.metrics] == [True, False]
    assert [m.direction for m in spec.metrics] == ["lower", "higher"]


def test_the_primary_metric_that_is_proposed_is_one_whose_name_tells_what_is_better() -> None:
    info = {"tide": {"means": {"degree": 3, "fit": {"mse": 0.5, "max": 1.0}}}}
    lines = describe_foreign("tide", info, {"plot.py"}, ())
    assert [m.name for m in TemplateSpec.model_validate(tomllib.loads("\n".join(lines))).metrics if m.primary] == [
        "fit.mse"
    ]
    assert lines[lines.index("primary = true") - 1] == 'direction = "lower"'
    assert lines.count('direction = "higher"  # or "lower"') == 2
