"""What each step of a template is given, and nothing else."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.inputs.idea import Idea
from agent.core.inputs.spec import Evaluation, Reach, TemplateSpec
from agent.core.journal.events import Launched, Step
from agent.edges.run.prepare_step import prepare_step
from agent.edges.run.step_folder import StepSpec
from agent.edges.sandbox.choose import Sandbox, choose_sandbox
from agent.edges.template.data import Prepared
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import Template, load_template
from agent.edges.workspace.layout import Workspace, create_batch, template_store
from tests.paths import QUADRATIC

BWRAP = Sandbox("bwrap", (), "/usr/bin/bwrap")
PYTHON = Path(sys.executable)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "work spaces"


@pytest.fixture
def template(root: Path) -> Template:
    return load_template(freeze_template(QUADRATIC, template_store(root)))


@pytest.fixture
def workspace(root: Path, template: Template) -> Workspace:
    made = create_batch(root, "batch", [Idea(Name="momentum", Title="T", Experiment="E")], template, Launched())[0]
    made.run_folder(1).mkdir()
    return made


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    folders = [tmp_path / "store" / name for name in ("training", "evaluation")]
    for folder in folders:
        folder.mkdir(parents=True)
    return Prepared(folders[0], folders[1], 0, False, 0.0)


def spec_of(workspace: Workspace, template: Template, step: Step, attempt: int = 1, **options: object) -> StepSpec:
    given = {"run": 2, "interpreter": PYTHON, "inherited": {"HOME": "/home/user"}, "sandbox": BWRAP} | options
    name = f"run_2.{attempt}" + ("" if step is Step.RUN else f".{step.value}")
    return prepare_step(workspace, template, step, name, {"experiment.py": "pass\n"}, **given)  # type: ignore[arg-type]


def changed(template: Template, **fields: object) -> Template:
    return replace(template, spec=TemplateSpec.model_validate(template.spec.model_dump() | fields))


def test_a_run_is_given_its_folder_sealed_earlier_runs_and_training_data(
    workspace: Workspace, template: Template, prepared: Prepared
) -> None:
    walls = spec_of(workspace, template, Step.RUN, prepared=prepared).walls
    place = workspace.step_folder("run_2.1")
    assert walls.write == (str(place / "work"), str(place / "home"))
    assert {str(template.sealed), str(workspace.run_folder(1)), str(prepared.training)} <= set(walls.read)
    inside = [p for p in walls.read if Path(p).is_relative_to(workspace.path)]
    assert inside == [str(workspace.run_folder(1))], "neither .git nor the rest of .agent"
    assert str(prepared.evaluation) not in walls.read and str(template.folder) not in walls.read
    assert not walls.network and not walls.confines


def test_an_evaluation_reads_the_run_and_its_data_and_may_shut_in_what_it_serves(
    workspace: Workspace, template: Template, prepared: Prepared
) -> None:
    outputs = workspace.step_folder("run_2.1") / "work" / "run_2"
    outputs.mkdir(parents=True)
    spec = spec_of(workspace, template, Step.EVALUATE, prepared=prepared, run_outputs=outputs)
    assert {str(outputs), str(prepared.evaluation), str(prepared.training)} <= set(spec.walls.read)
    assert spec.walls.confines
    interpreter, *_, plan = shlex.split(spec.env["SCIENTIST_CONFINE"])
    assert interpreter == str(PYTHON) and plan in spec.walls.read
    inner = json.loads(Path(plan).read_text())
    forbidden = {str(prepared.evaluation), str(prepared.training), str(outputs), str(template.sealed)}
    assert not forbidden & set(inner["read"]) and inner["write"] == [], "what is served gets its own folder alone"


def test_an_evaluator_that_runs_the_models_code_is_held_like_a_run(workspace: Workspace, template: Template) -> None:
    assert template.spec.evaluate
    evaluate = Evaluation(command=template.spec.evaluate.command, runs_experiment_code=True).model_dump()
    spec = spec_of(workspace, changed(template, evaluate=evaluate), Step.EVALUATE)
    assert not spec.walls.confines and "SCIENTIST_CONFINE" not in spec.env


def test_without_a_sandbox_nothing_is_promised(workspace: Workspace, template: Template) -> None:
    spec = spec_of(workspace, template, Step.EVALUATE, sandbox=choose_sandbox("off"))
    assert spec.walls.kind == "off" and "SCIENTIST_CONFINE" not in spec.env


def test_a_template_may_open_the_network_and_more_folders(
    workspace: Workspace, template: Template, tmp_path: Path
) -> None:
    shared = tmp_path / "models"
    shared.mkdir()
    reach = Reach(network=True, read=(str(shared),)).model_dump()
    walls = spec_of(workspace, changed(template, sandbox=reach), Step.RUN).walls
    assert walls.network and str(shared) in walls.read


def test_limits_of_the_template_are_the_steps(workspace: Workspace, template: Template) -> None:
    limits = {"memory_gib": 2.5, "processes": 99, "file_gib": 0.5, "disk_gib": 3}
    bounds = spec_of(workspace, changed(template, limits=limits, profiles={}), Step.RUN).bounds
    assert (bounds.memory_gib, bounds.processes, bounds.file_gib, bounds.disk_gib) == (2.5, 99, 0.5, 3)


def test_only_leased_gpus_exist_behind_the_walls(
    workspace: Workspace, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.edges.run import step_walls as shut_in
    from agent.edges.sandbox.gpus import Gpus

    asked: list[str | None] = []

    def find(visible: str | None) -> Gpus:
        asked.append(visible)
        return Gpus(("/dev/nvidia2", "/dev/nvidiactl"), "0")

    monkeypatch.setattr(shut_in, "find_gpus", find)
    spec = spec_of(workspace, template, Step.RUN, inherited={"CUDA_VISIBLE_DEVICES": "2"})
    assert asked == ["2"] and spec.walls.devices == ("/dev/nvidia2", "/dev/nvidiactl")
    assert (spec.env["CUDA_VISIBLE_DEVICES"], spec.env["CUDA_DEVICE_ORDER"]) == ("0", "PCI_BUS_ID")
    inherited = {"CUDA_VISIBLE_DEVICES": "2"}
    free = spec_of(workspace, template, Step.RUN, 2, inherited=inherited, sandbox=Sandbox("landlock"))
    assert free.env["CUDA_VISIBLE_DEVICES"] == "2", "Landlock hides no device from those who count them"


def test_a_data_folder_is_found_where_ai_scientist_looks_for_it(
    workspace: Workspace, template: Template, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    walls = spec_of(workspace, template, Step.RUN, data=data).walls
    assert str(data) in walls.read and walls.links == ((str(workspace.attempts / "data"), str(data)),)


def test_a_spec_survives_its_file(workspace: Workspace, template: Template) -> None:
    from agent.edges.run import step_folder as step

    spec = spec_of(workspace, template, Step.RUN)
    place = workspace.step_folder("run_2.1")
    step.write_spec(place, spec)
    assert step.read_spec(place) == spec
    fields = json.loads((place / "spec.json").read_text())
    for name in ("walls", "bounds"):
        del fields[name]
    (place / "spec.json").write_text(json.dumps(fields))
    assert step.read_spec(place).walls.kind == "off", "one that was written before there were sandboxes"
