"""The files of a new template say what was read, and can be read themselves."""

from __future__ import annotations

import tomllib

import pytest

from agent.core.authoring.files import Requirement, direction_of, prompt_text, requirements_text, template_text
from agent.core.authoring.script import read_script
from agent.core.inputs.spec import TemplateSpec

ODD = (
    '"""Say "hi" \\\\ \x7f é 😀."""\nimport json\n'
    'json.dump({"a b.c": x, "n_params": n, "wall_seconds": t}, open("final_info.json", "w"))\n'
)


def read(text: str, *requirements: Requirement) -> tuple[TemplateSpec, str]:
    toml = template_text("t", read_script(text, "t.py"), ["lib/a.py"], requirements, ">=3.11")
    return TemplateSpec.model_validate(tomllib.loads(toml)), toml


def test_any_text_of_a_script_gives_toml_that_can_be_read() -> None:
    spec, _ = read(ODD)
    assert spec.summary == 'Say "hi" \\ \x7f é 😀.'
    assert [(m.name, m.path) for m in spec.metrics] == [("a_b_c", ("a b.c",)), ("wall_seconds", ("wall_seconds",))]
    assert [c.name for c in spec.controls] == ["n_params"]
    assert spec.metrics[1].unit == "s" and spec.metrics[1].direction == "lower"


def test_what_is_not_known_is_to_fill() -> None:
    _, toml = read("x = 1\n")
    marks = [line for line in toml.splitlines() if line.startswith("# FILL:")]
    assert len(marks) == 2 and "in one sentence" in marks[0] and "no result was found" in marks[1]


def test_the_command_names_the_script_s_own_option() -> None:
    head = "import argparse\np = argparse.ArgumentParser()\n"
    for argument, option in (
        ("'--save-dir'", "--save-dir={out_dir}"),
        ("'-o'", "-o {out_dir}"),
        ("'output'", "{out_dir}"),
    ):
        more = ", dest='out'" if argument == "'-o'" else ""
        spec, _ = read(
            f"{head}p.add_argument({argument}{more})\np.add_argument('--lr', default=1)\na = p.parse_args()\n"
        )
        assert spec.command == f"python experiment.py {option}"
    _, toml = read(f"{head}p.add_argument('data')\na = p.parse_args()\n")
    assert "# FILL: the argument data has no default: add data ... to the command" in toml


def test_the_primary_metric_is_held_out_and_has_a_direction() -> None:
    spec, _ = read('print(f"time {s:.1f} train loss {a:.3f} foo {b:.2f} test accuracy {c:.3f}")\n')
    assert spec.metrics[0].name == "test_accuracy" and spec.metrics[0].primary
    assert {m.name: m.direction for m in spec.metrics}["train_loss"] == "lower"


@pytest.mark.parametrize(
    ("name", "direction"),
    [("test_accuracy", "higher"), ("val_loss", "lower"), ("rmse", "lower"), ("sparsity", "unknown"), ("F1", "higher")],
)
def test_directions_are_guessed_from_names(name: str, direction: str) -> None:
    assert direction_of(name) == direction


def test_requirements_are_pinned_where_versions_are_known() -> None:
    found = (
        Requirement("scikit-learn", "1.5", "sklearn"),
        Requirement("x", "", "x"),
        Requirement("y", "1", "y", "odd"),
    )
    assert requirements_text(found).splitlines() == [
        "scikit-learn==1.5",
        "x  # FILL: which version, as x==1.0; imported as x",
        "y==1  # FILL: odd",
    ]
    spec, _ = read("import sklearn\n", *found[:1])
    assert spec.environment.install == (("-r", "requirements.txt"),) and spec.environment.check == "import sklearn"


def test_the_prompt_asks_for_the_task_and_names_the_metric() -> None:
    text = prompt_text("digits", read_script('print("test accuracy:", a)\n', "t.py"))
    assert text.count("FILL:") == 4 and "Improve test_accuracy" in text
