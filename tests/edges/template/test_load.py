from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.evidence.baseline import Baseline
from agent.core.evidence.results import Results, ResultsProblem
from agent.edges.run.reading import read_values
from agent.edges.template.load import (
    environment_of,
    find_template,
    list_templates,
    load_template,
    read_spec,
)
from agent.errors import UsageError
from tests.paths import QUADRATIC


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(QUADRATIC, tmp_path / "a template's folder" / "quadratic")


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# template.toml


@pytest.mark.parametrize(
    "old,new,field",
    [
        ("schema_version = 1", "schema_version = 2", "field schema_version = 2: is not 1"),
        ('name = "quadratic"', "", "field name: is missing"),
        ("smoke = true", 'smoke = "perhaps"', 'field smoke = "perhaps": is neither true nor false'),
        ("smoke = true", "smok = true", "field smok: is unknown"),
        ("run_s = 20", "run_s = 0", "field limits.run_s = 0: is not more than 0"),
        ("run_s = 20", "run_s = true\nminutes = 3", "field limits.minutes: is unknown"),
        ('direction = "higher"', 'direction = "up"', 'field metrics.0.direction = "up": is not '),
        ('path = ["steps"]', 'path = "steps"', 'field controls.0.path = "steps": is not a list'),
        ("runs_experiment_code = false", "", "field evaluate.runs_experiment_code: is missing"),
        ("smoke = true", "smoke = true\nsmoke = false", "is not TOML: "),
        ("smoke = true", "smoke = ", "is not TOML: "),
    ],
)
def test_a_mistake_is_named_with_file_and_field(folder: Path, old: str, new: str, field: str) -> None:
    path = folder / "template.toml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    said = refusal(lambda: read_spec(folder))
    last = new.splitlines()[-1:]
    lines = [number for number, row in enumerate(path.read_text().splitlines(), start=1) if [row] == last]
    assert re.match(rf"{re.escape(str(path))}(:\d+)?: {re.escape(field)}", said)
    assert not lines or said.startswith((f"{path}:{lines[0]}: ", f"{path}: is not TOML"))


def test_a_file_that_is_not_utf_8_is_named(folder: Path) -> None:
    path = folder / "template.toml"
    path.write_bytes(b'name = "\xff"')
    assert refusal(lambda: read_spec(folder)) == f"{path}: is not UTF-8: byte 0xff (at line 1)"


def test_a_run_file_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "experiment.py").unlink()
    assert "has no experiment.py" in refusal(lambda: load_template(folder))


def test_an_unknown_profile_is_named_with_those_there_are(folder: Path) -> None:
    said = refusal(lambda: load_template(folder, "huge"))
    assert "has no profile 'huge'" in said and "it has: slow, small" in said
    assert "has no profile '../profiles/small'" in refusal(lambda: load_template(folder, "../profiles/small"))


def test_a_profile_that_is_not_json_is_named(folder: Path) -> None:
    (folder / "profiles" / "small.json").write_text("{")
    assert f"{folder / 'profiles' / 'small.json'}: is not JSON" in refusal(lambda: load_template(folder))


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        '{"seed": 0}',
        '{"name": null}',
        '{"name": "a", "seed": "one"}',
        '{"name": "a", "seed": null}',
        '{"name": "a", "seed": 1e999}',
        "[" * 100_000,
    ],
)
def test_a_baseline_that_is_none_is_named(folder: Path, content: str) -> None:
    path = folder / "baselines" / "small" / "plain-seed3.json"
    path.write_text(content)
    assert refusal(lambda: load_template(folder)).startswith(f"{path}: is not ")


def test_a_baseline_that_cannot_be_opened_is_named(folder: Path) -> None:
    path = folder / "baselines" / "small" / "gone-seed1.json"
    path.symlink_to("nowhere")
    assert refusal(lambda: load_template(folder)).startswith(f"{path}: is a link to nowhere, which is not there")
    path.unlink()
    path.mkdir()
    assert refusal(lambda: load_template(folder)).startswith(f"{path}: cannot be read: ")


def test_a_template_is_read_at_its_default_profile(folder: Path) -> None:
    template = load_template(folder)
    assert template.profile == "small" and json.loads(template.profile_text)["steps"]
    assert [b.seed for b in template.baselines] == [0, 1, 2, 3, 4]
    assert set(template.baselines[0].values) == {"score", "final_loss", "steps"}
    assert set(template.files) == {"experiment.py", "plot.py", "notes.txt"}
    assert template.brief == (folder / "prompt.md").read_text().strip()
    assert template.sealed == folder / "sealed" and not template.foreign
    assert load_template(folder, "slow").profile_text == (folder / "profiles" / "slow.json").read_text()


def test_every_python_file_beside_the_experiment_comes_along_byte_for_byte(folder: Path) -> None:
    (folder / "model.py").write_bytes(b"\xef\xbb\xbfX = '\xff'\r\n")
    files = load_template(folder).files
    assert files["model.py"].encode("utf-8", "surrogateescape") == b"\xef\xbb\xbfX = '\xff'\r\n"


# At a profile

BY_PROFILE = """
[[metrics]]
name = "slowness"
path = ["slowness"]
profiles = ["slow"]

[[controls]]
name = "rows"
path = ["rows"]
profiles = ["small"]

[profiles.slow.environment]
install = [["numpy"]]
variables = { THREADS = "3" }
"""


def test_a_template_holds_what_is_its_profiles_alone(folder: Path) -> None:
    with (folder / "template.toml").open("a") as file:
        file.write(BY_PROFILE)
    small, slow = load_template(folder, "small"), load_template(folder, "slow")
    assert [m.name for m in small.spec.metrics] == ["score", "final_loss"]
    assert [m.name for m in slow.spec.metrics] == ["score", "final_loss", "slowness"]
    assert [c.name for c in small.spec.controls] == ["steps", "rows"]
    assert [c.name for c in slow.spec.controls] == ["steps"]
    assert small.spec.environment == read_spec(folder).environment == environment_of(read_spec(folder), "small")
    assert slow.spec.environment.install == (("numpy",),) and slow.spec.environment.variables == {"THREADS": "3"}
    assert len(read_spec(folder).metrics) == 3  # the description itself is whole


@pytest.mark.parametrize(("kind", "field"), [("metrics", "metrics.2.profiles"), ("controls", "controls.1.profiles")])
def test_a_profile_that_is_named_and_does_not_exist_is_refused(folder: Path, kind: str, field: str) -> None:
    with (folder / "template.toml").open("a") as file:
        file.write(f'\n[[{kind}]]\nname = "x"\npath = ["x"]\nprofiles = ["small", "smal"]\n')
    said = refusal(lambda: load_template(folder, "slow"))
    assert said == f"{folder / 'template.toml'}: field {field}: there is no profile 'smal'; there are: slow, small"


def test_a_table_of_a_profile_that_does_not_exist_is_refused(folder: Path) -> None:
    with (folder / "template.toml").open("a") as file:
        file.write('\n[profiles.smal]\nsummary = "x"\n')
    said = refusal(lambda: load_template(folder, "small"))
    assert "field profiles.smal: there is no profile 'smal'; there are: slow, small" in said


def test_a_run_may_know_the_profile_without_its_hidden_part(folder: Path) -> None:
    path = folder / "profiles" / "small.json"
    assert load_template(folder).public_profile == path.read_text()
    path.write_text('{"steps": 40, "hidden": {"target": 3.5}, "name": "h\u00e9"}')
    template = load_template(folder)
    assert json.loads(template.public_profile) == {"steps": 40, "name": "h\u00e9"}
    assert "3.5" not in template.public_profile and "3.5" in template.profile_text
    path.write_text("[1]")
    assert load_template(folder).public_profile == "[1]"


def test_a_preparation_whose_command_is_none_is_refused(folder: Path) -> None:
    with (folder / "template.toml").open("a") as file:
        file.write('\n[prepare]\ncommand = "python \'x"\n')
    assert "No closing quotation" in refusal(lambda: load_template(folder))


def test_a_baselines_setting_is_read(folder: Path) -> None:
    path = folder / "baselines" / "small" / "plain-seed3.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"setting": "LR=0.02"}))
    assert [(b.seed, b.setting) for b in load_template(folder).baselines if b.setting] == [(3, "LR=0.02")]


# Found by name


def test_a_template_is_found_by_name_and_by_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [folder.parent / "absent", folder.parent]
    assert find_template("quadratic", roots) == find_template(str(folder), []) == folder
    assert list_templates(roots) == [folder]
    monkeypatch.chdir(folder)
    assert find_template(".", []) == folder


def test_a_name_that_is_not_found_lists_those_there_are(folder: Path) -> None:
    said = refusal(lambda: find_template("cubic", [folder.parent]))
    assert "'cubic'" in said and "there are: quadratic" in said
    assert "there are: none" in refusal(lambda: find_template("cubic", []))


def test_a_folder_without_experiment_is_named(folder: Path) -> None:
    (folder.parent / "empty").mkdir()
    assert "has no experiment.py" in refusal(lambda: find_template("empty", [folder.parent]))
    assert list_templates([folder.parent]) == [folder]


# AI-Scientist's layout

EXPERIMENT = """import argparse, json, os
parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", default="run_0")
out = parser.parse_args().out_dir
os.makedirs(out, exist_ok=True)
LR = 0.1
info = {"toy": {"means": {"loss": LR ** 2, "seconds": 1.0}, "stderrs": {"loss": 0.1}, "final_info_dict": {}}}
with open(os.path.join(out, "final_info.json"), "w") as f:
    json.dump(info, f)
print("done")
"""


CURVES = json.dumps([0.123456789] * 250_000)  # three megabytes


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    (folder / "run_0").mkdir(parents=True)
    (folder / "experiment.py").write_text(EXPERIMENT)
    (folder / "plot.py").write_text("print('plot')\n")
    (folder / "prompt.json").write_text(
        json.dumps({"system": "You are ambitious.", "task_description": "Lower the loss."})
    )
    (folder / "seed_ideas.json").write_text(json.dumps([{"Name": "a", "Title": "b", "Experiment": "c"}]))
    means = '{"loss": 0.5, "seconds": 2, "note": "text", "nan": NaN}'
    (folder / "run_0" / "final_info.json").write_text(f'{{"toy": {{"means": {means}, "curves": {CURVES}}}}}')
    return folder


def test_an_ai_scientist_folder_is_read_without_template_toml(foreign: Path) -> None:
    template = load_template(foreign)
    assert template.foreign and template.spec.name == "toy"
    assert template.spec.command == "python experiment.py --out_dir={out_dir}"
    assert template.spec.editable == ("experiment.py", "plot.py", "notes.txt")
    assert template.spec.metrics == () and template.spec.evaluate is None and not template.spec.smoke
    assert template.brief == "You are ambitious.\n\nLower the loss."
    assert set(template.files) == {"experiment.py", "plot.py", "notes.txt"}
    assert template.baselines == (Baseline("run_0", 0, {"loss": 0.5, "seconds": 2.0}),)
    assert template.profile == template.profile_text == "" and template.sealed is None


def test_an_ai_scientist_folder_needs_no_more_than_experiment_py(foreign: Path) -> None:
    for name in ("plot.py", "prompt.json", "seed_ideas.json", "run_0/final_info.json"):
        (foreign / name).unlink()
    template = load_template(foreign)
    assert template.baselines == () and template.brief == "" and template.spec.plot == ""
    assert template.spec.editable == ("experiment.py", "notes.txt")


def test_an_ai_scientist_folder_installs_its_requirements(foreign: Path) -> None:
    assert read_spec(foreign).environment.install == ()
    (foreign / "requirements.txt").write_text("numpy\n")
    assert read_spec(foreign).environment.install == (("-r", "requirements.txt"),)


@pytest.mark.parametrize("name", ["prompt.json", "run_0/final_info.json"])
def test_a_broken_json_file_of_an_ai_scientist_folder_is_named(foreign: Path, name: str) -> None:
    (foreign / name).write_text('{"toy": ')
    assert refusal(lambda: load_template(foreign)).startswith(f"{foreign / name}: is not JSON")


@pytest.mark.parametrize("content", ["[]", "{}", '{"toy": {"means": {}}}', '{"toy": {"means": {"loss": null}}}'])
def test_results_without_a_number_are_no_baseline(foreign: Path, content: str) -> None:
    (foreign / "run_0" / "final_info.json").write_text(content)
    assert load_template(foreign).baselines == ()


def test_an_ai_scientist_folder_has_no_profiles(foreign: Path) -> None:
    assert "has no profile 'small'; it has: none" in refusal(lambda: load_template(foreign, "small"))


MINIMAL = 'name = "toy"\ndeterministic = true\nplot = ""\n[limits]\nrun_s = 7200\n'


def test_a_template_toml_without_metrics_leaves_means_and_the_given_run_as_they_are(foreign: Path) -> None:
    (foreign / "template.toml").write_text(MINIMAL)
    template = load_template(foreign)
    assert template.reads_means and not template.foreign and template.spec.limits.run_s == 7200
    assert template.baselines == (Baseline("run_0", 0, {"loss": 0.5, "seconds": 2.0}),)
    declared = '[[metrics]]\nname = "loss"\npath = ["toy", "means", "loss"]\n'
    (foreign / "template.toml").write_text(MINIMAL + declared)
    assert not load_template(foreign).reads_means and load_template(foreign).baselines == ()


def test_a_run_of_a_template_without_metrics_gives_the_numbers_under_means(foreign: Path) -> None:
    nested = '{"toy": {"means": {"loss": 0.25, "val": {"acc": 0.5}}}}'
    known = {"loss", "val.acc"}
    for toml in ("", MINIMAL):
        (foreign / "template.toml").unlink(missing_ok=True)
        if toml:
            (foreign / "template.toml").write_text(toml)
        template = load_template(foreign)
        results = read_values(nested, template, "final_info", "final_info.json", known)
        assert isinstance(results, Results) and results.values == {"loss": 0.25, "val.acc": 0.5}
        bare = read_values('{"loss": 1}', template, "final_info", "final_info.json", known)
        assert isinstance(bare, ResultsProblem) == (not toml), "who writes a template.toml may declare a metric later"
