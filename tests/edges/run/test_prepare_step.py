from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.core.inputs.idea import Idea
from agent.core.journal.events import Launched
from agent.core.journal.kinds import Step
from agent.edges.run.prepare_step import Equipment, StepRequest, command_of, prepare_step, read_output
from agent.edges.run.step_folder import StepSpec
from agent.edges.system.untrusted import Untrusted
from agent.edges.template.data import Prepared
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import Template, load_template
from agent.edges.workspace.layout import Workspace, create_batch, template_store
from tests.paths import QUADRATIC

CODE = {"experiment.py": "LR = 1\r\n", "sub/odd.txt": "\udcff\n", "notes.txt": ""}


@pytest.fixture
def template(tmp_path: Path) -> Template:
    return load_template(freeze_template(QUADRATIC, template_store(tmp_path / "o'brien's work")))


@pytest.fixture
def workspace(tmp_path: Path, template: Template) -> Workspace:
    idea = Idea(Name="momentum", Title="T", Experiment="E")
    return create_batch(tmp_path / "o'brien's work", "batch", [idea], template, Launched())[0]


def prepare(
    workspace: Workspace, template: Template, step: Step, folder: str, *, run: int = 3, **options: Any
) -> tuple[StepSpec, Path]:
    inherited = {"PATH": os.defpath, "DEEPSEEK_API_KEY": "sk-canary", "LANG": "C.UTF-8"}
    request = StepRequest(step, folder, run, CODE, options.pop("run_outputs", None))
    spec = prepare_step(workspace, template, request, Equipment(Path(sys.executable), inherited, **options))
    return spec, workspace.step_folder(folder) / "work"


def make_run(workspace: Workspace, run: int) -> Path:
    folder = workspace.run_folder(run)
    folder.mkdir()
    (folder / "final_info.json").write_text("{}")
    return folder


# What a step finds


def test_a_run_finds_code_profile_and_earlier_runs(workspace: Workspace, template: Template) -> None:
    for run in (0, 1, 2):
        make_run(workspace, run)
    (workspace.path / "run_of_mine.txt").touch()
    spec, work = prepare(workspace, template, Step.RUN, "run_3.1")
    names = {"experiment.py", "sub", "notes.txt", "profile.json", "run_0", "run_1", "run_2"}
    assert {p.name for p in work.iterdir()} == names
    assert (work / "experiment.py").read_bytes() == b"LR = 1\r\n" and (work / "sub/odd.txt").read_bytes() == b"\xff\n"
    assert (work / "profile.json").read_text() == template.profile_text
    assert (work / "run_2" / "final_info.json").read_text() == "{}"
    assert (work / "run_2").readlink() == workspace.path / "run_2"
    assert spec.argv == (sys.executable, "experiment.py", "--out_dir=run_3")
    assert (spec.deadline_s, spec.log_cap_mib, spec.stop_file) == (20, 1, workspace.agent / "stop")
    assert spec.env["SCIENTIST_SEED"] == "3" and "SCIENTIST_SMOKE" not in spec.env
    assert spec.env["PYTHONPATH"] == str(template.folder / "sealed")
    assert spec.env["HOME"] == str(work.parent / "home")
    assert "sk-canary" not in str(spec)


def test_a_run_does_not_find_its_own_published_outputs(workspace: Workspace, template: Template) -> None:
    make_run(workspace, 3)
    for step, folder in ((Step.SMOKE, "run_3.1.smoke"), (Step.RUN, "run_3.1")):
        assert not os.path.lexists(prepare(workspace, template, step, folder)[1] / "run_3")


def test_a_smoke_test_is_told_so(workspace: Workspace, template: Template) -> None:
    spec, _ = prepare(workspace, template, Step.SMOKE, "run_3.1.smoke")
    assert spec.env["SCIENTIST_SMOKE"] == "1" and spec.deadline_s == 10


def test_an_evaluation_finds_the_outputs_of_its_run(workspace: Workspace, template: Template) -> None:
    _, run_work = prepare(workspace, template, Step.RUN, "run_3.1")
    (run_work / "run_3").mkdir()
    (run_work / "run_3" / "state.json").write_text("7")
    spec, work = prepare(workspace, template, Step.EVALUATE, "run_3.1.evaluate", run_outputs=run_work / "run_3")
    assert (work / "run_3" / "state.json").read_text() == "7"
    script = str(template.folder / "sealed" / "evaluate.py")
    assert "'" in script and " " in script
    assert spec.argv == (sys.executable, script, "--run_dir=run_3", "--out=evaluation.json")


def test_a_plot_finds_every_run_and_the_baselines(workspace: Workspace, template: Template) -> None:
    make_run(workspace, 3)
    spec, work = prepare(workspace, template, Step.PLOT, "plot.1")
    baselines = json.loads((work / "baselines.json").read_text())
    assert [(b["name"], b["seed"]) for b in baselines] == [("plain", n) for n in range(5)]
    assert baselines[0]["metrics"] == template.baselines[0].values
    assert (work / "run_3").is_symlink() and spec.argv == (sys.executable, "plot.py")


def test_an_evaluation_finds_the_baselines_with_their_settings(workspace: Workspace, template: Template) -> None:
    rows = tuple(replace(b, setting="LR=1") for b in template.baselines)
    _, work = prepare(workspace, replace(template, baselines=rows), Step.EVALUATE, "run_3.1.evaluate")
    baselines = json.loads((work / "baselines.json").read_text())
    assert baselines[4] == {"name": "plain", "seed": 4, "setting": "LR=1", "metrics": rows[4].values}


@pytest.mark.parametrize("step", Step)
def test_only_an_evaluation_finds_the_hidden_part_of_the_profile(
    workspace: Workspace, template: Template, step: Step
) -> None:
    hiding = replace(template, profile_text='{"steps": 40, "hidden": {"target": 3.5}}')
    _, work = prepare(workspace, hiding, step, f"run_3.1.{step}")
    profile = json.loads((work / "profile.json").read_text())
    assert profile == {"steps": 40} | ({"hidden": {"target": 3.5}} if step is Step.EVALUATE else {})
    found = [p for p in work.rglob("*") if p.is_file() and "3.5" in p.read_text(errors="replace")]
    assert [p.name for p in found] == (["profile.json"] if step is Step.EVALUATE else [])


@pytest.mark.parametrize(
    ("step", "names"),
    [
        (Step.SMOKE, ["SCIENTIST_TRAINING_DATA"]),
        (Step.RUN, ["SCIENTIST_TRAINING_DATA"]),
        (Step.EVALUATE, ["SCIENTIST_EVALUATION_DATA", "SCIENTIST_TRAINING_DATA"]),
        (Step.PLOT, []),
    ],
)
def test_a_step_is_told_where_its_data_lies(
    workspace: Workspace, template: Template, tmp_path: Path, step: Step, names: list[str]
) -> None:
    data = Prepared(tmp_path / "training" / "k", tmp_path / "evaluation" / "k", bytes=0, made=False, seconds=0.0)
    spec, _ = prepare(workspace, template, step, f"run_3.1.{step}", prepared=data)
    assert {n: v for n, v in spec.env.items() if n.endswith("_DATA")} == {
        name: str(data.training if "TRAINING" in name else data.evaluation) for name in names
    }
    assert not [n for n in prepare(workspace, template, step, f"run_3.2.{step}")[0].env if n.endswith("_DATA")]


def test_a_run_is_not_given_the_baselines(workspace: Workspace, template: Template) -> None:
    assert not (prepare(workspace, template, Step.RUN, "run_3.1")[1] / "baselines.json").exists()


def test_data_is_found_where_either_kind_of_experiment_looks(
    workspace: Workspace, template: Template, tmp_path: Path
) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "train.bin").write_bytes(b"1")
    for folder in ("run_3.1", "run_3.2"):
        _, work = prepare(workspace, template, Step.RUN, folder, data=tmp_path / "datasets")
        assert (work / "data" / "train.bin").read_bytes() == b"1"
        assert (work / ".." / ".." / "data" / "train.bin").read_bytes() == b"1"
        assert (work / ".." / ".." / ".." / "data" / "train.bin").read_bytes() == b"1"


def test_an_ai_scientist_plot_finds_the_run_that_came_with_the_template(
    workspace: Workspace, template: Template
) -> None:
    (template.folder / "run_0").mkdir()
    (template.folder / "run_0" / "final_info.json").write_text("{}")
    foreign = replace(template, spec=template.spec.model_copy(update={"metrics": ()}))
    assert (prepare(workspace, foreign, Step.PLOT, "plot.1")[1] / "run_0" / "final_info.json").exists()
    assert not (prepare(workspace, foreign, Step.RUN, "run_0.1", run=0)[1] / "run_0").exists()
    assert not (prepare(workspace, template, Step.PLOT, "plot.2")[1] / "run_0").exists()


def test_a_template_without_profiles_leaves_no_profile(workspace: Workspace, template: Template) -> None:
    assert not (prepare(workspace, replace(template, profile_text=""), Step.RUN, "r")[1] / "profile.json").exists()


def test_limits_of_the_profile_come_before_those_of_the_template(workspace: Workspace, template: Template) -> None:
    slow = {"small": {"limits": {"run_s": 99, "log_mib": 2}}}
    spec = type(template.spec).model_validate(template.spec.model_dump() | {"profiles": slow})
    made, _ = prepare(workspace, replace(template, spec=spec), Step.RUN, "run_3.1")
    assert (made.deadline_s, made.log_cap_mib) == (99, 2)


def test_the_placeholders_of_a_command_are_filled(template: Template) -> None:
    spec = template.spec.model_copy(update={"command": "python experiment.py --out_dir={out_dir} --keep={other}"})
    assert command_of(replace(template, spec=spec), Step.RUN, 12) == (
        "python experiment.py --out_dir=run_12 --keep={other}"
    )


def test_an_output_is_read_unless_a_link_leads_out(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "run_1").mkdir(parents=True)
    assert read_output(work, "run_1", "final_info.json") is None
    (work / "run_1" / "final_info.json").write_bytes(b'{"a": "\xff"}')
    assert read_output(work, "run_1", "final_info.json") == '{"a": "\ufffd"}'
    (work / "run_2").symlink_to(work / "run_1")
    assert isinstance(read_output(work, "run_2", "final_info.json"), Untrusted)
