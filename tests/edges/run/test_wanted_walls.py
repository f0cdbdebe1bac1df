"""Walls of each step of a template: the folders that it is given, and no others."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.inputs.idea import Idea
from agent.core.inputs.spec import Evaluation, Reach, TemplateSpec
from agent.core.journal.events import Launched
from agent.core.journal.kinds import Step
from agent.edges.run.prepare_step import Equipment, StepRequest, prepare_step
from agent.edges.run.step_folder import StepSpec
from agent.edges.sandbox import resolve
from agent.edges.sandbox.choose import Sandbox, choose_sandbox
from agent.edges.sandbox.gpus import Gpus
from agent.edges.sandbox.resolve import resolve_walls
from agent.edges.sandbox.walls import Walls, WantedWalls
from agent.edges.template.data import Prepared
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import Template, load_template
from agent.edges.workspace.layout import Workspace, create_batch, template_store
from tests.paths import QUADRATIC

BWRAP = Sandbox("bwrap", bwrap="/usr/bin/bwrap")
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
    """The step as its orchestrator asks for it."""
    given = {"inherited": {"HOME": "/home/user"}, "sandbox": "bwrap"} | options
    name = f"run_2.{attempt}" + ("" if step is Step.RUN else f".{step.value}")
    request = StepRequest(step, name, 2, {"experiment.py": "pass\n"}, given.pop("run_outputs", None))  # type: ignore[arg-type]
    return prepare_step(workspace, template, request, Equipment(PYTHON, **given))  # type: ignore[arg-type]


def found_of(spec: StepSpec, sandbox: Sandbox = BWRAP) -> tuple[Walls, dict[str, str]]:
    """Walls and environment as a supervisor finds them on its machine."""
    assert isinstance(spec.walls, WantedWalls)
    walls, changed = resolve_walls(spec.walls, spec.env, sandbox)
    return walls, {**spec.env, **changed}


def changed(template: Template, **fields: object) -> Template:
    return replace(template, spec=TemplateSpec.model_validate(template.spec.model_dump() | fields))


def test_a_run_is_given_its_folder_sealed_earlier_runs_and_training_data(
    workspace: Workspace, template: Template, prepared: Prepared
) -> None:
    walls, _ = found_of(spec_of(workspace, template, Step.RUN, prepared=prepared))
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
    walls, env = found_of(spec_of(workspace, template, Step.EVALUATE, prepared=prepared, run_outputs=outputs))
    assert {str(outputs), str(prepared.evaluation), str(prepared.training)} <= set(walls.read)
    assert walls.confines
    interpreter, *_, plan = shlex.split(env["SCIENTIST_CONFINE"])
    assert interpreter == str(PYTHON) and plan in walls.read
    inner = json.loads(Path(plan).read_text())
    forbidden = {str(prepared.evaluation), str(prepared.training), str(outputs), str(template.sealed)}
    assert not forbidden & set(inner["read"]) and inner["write"] == [], "what is served gets its own folder alone"


def test_an_evaluator_that_runs_the_models_code_is_held_like_a_run(workspace: Workspace, template: Template) -> None:
    assert template.spec.evaluate
    evaluate = Evaluation(command=template.spec.evaluate.command, runs_experiment_code=True).model_dump()
    walls, env = found_of(spec_of(workspace, changed(template, evaluate=evaluate), Step.EVALUATE))
    assert not walls.confines and "SCIENTIST_CONFINE" not in env


def test_without_a_sandbox_nothing_is_promised(workspace: Workspace, template: Template) -> None:
    walls, env = found_of(spec_of(workspace, template, Step.EVALUATE, sandbox="off"), choose_sandbox("off"))
    assert walls == Walls() and walls.kind == "off" and "SCIENTIST_CONFINE" not in env


def test_a_template_may_open_the_network_and_more_folders(
    workspace: Workspace, template: Template, tmp_path: Path
) -> None:
    shared = tmp_path / "models"
    shared.mkdir()
    reach = Reach(network=True, read=(str(shared),)).model_dump()
    walls, _ = found_of(spec_of(workspace, changed(template, sandbox=reach), Step.RUN))
    assert walls.network and str(shared) in walls.read


def test_limits_of_the_template_are_the_steps(workspace: Workspace, template: Template) -> None:
    limits = {"memory_gib": 2.5, "processes": 99, "file_gib": 0.5, "disk_gib": 3}
    bounds = spec_of(workspace, changed(template, limits=limits, profiles={}), Step.RUN).bounds
    assert (bounds.memory_gib, bounds.processes, bounds.file_gib, bounds.disk_gib) == (2.5, 99, 0.5, 3)


def test_only_leased_gpus_exist_behind_the_walls(
    workspace: Workspace, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def find(visible: str | None) -> Gpus:
        asked.append(visible)
        return Gpus(("/dev/nvidia2", "/dev/nvidiactl"), "0")

    monkeypatch.setattr(resolve, "find_gpus", find)
    inherited = {"CUDA_VISIBLE_DEVICES": "2"}
    spec = spec_of(workspace, template, Step.RUN, inherited=inherited)
    assert asked == [] and spec.env["CUDA_VISIBLE_DEVICES"] == "2", "the orchestrator's machine is not asked"
    walls, env = found_of(spec)
    assert asked == ["2"] and walls.devices == ("/dev/nvidia2", "/dev/nvidiactl")
    assert (env["CUDA_VISIBLE_DEVICES"], env["CUDA_DEVICE_ORDER"]) == ("0", "PCI_BUS_ID")
    free = spec_of(workspace, template, Step.RUN, 2, inherited=inherited, sandbox="landlock")
    _, env = found_of(free, Sandbox("landlock"))
    assert env["CUDA_VISIBLE_DEVICES"] == "2", "Landlock hides no device from those who count them"


def test_nothing_of_the_orchestrators_machine_stands_in_a_spec(workspace: Workspace, template: Template) -> None:
    """Another machine may have another bwrap, other libraries and other folders of the interpreter."""
    wanted = spec_of(workspace, template, Step.EVALUATE, sandbox="auto", inherited={"PATH": "/opt/bin"}).walls
    assert isinstance(wanted, WantedWalls) and wanted.sandbox == "auto" and wanted.search == "/opt/bin"
    assert not {path for path in wanted.read if path.startswith(("/usr", "/lib", sys.prefix, sys.base_prefix))}
    assert not Path(wanted.inner_plan).exists(), "a plan holds the kernel's system calls"


def test_a_data_folder_is_found_where_ai_scientist_looks_for_it(
    workspace: Workspace, template: Template, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    walls, _ = found_of(spec_of(workspace, template, Step.RUN, data=data))
    places = (workspace.attempts / "data", workspace.agent / "data")
    assert str(data) in walls.read and walls.links == tuple((str(place), str(data)) for place in places)


def test_a_spec_survives_its_file(workspace: Workspace, template: Template) -> None:
    from agent.edges.run import step_folder as step

    spec = spec_of(workspace, template, Step.RUN)
    place = workspace.step_folder("run_2.1")
    step.write_spec(place, spec)
    assert step.read_spec(place) == spec
    fields = json.loads((place / "spec.json").read_text())
    for name in ("walls", "wanted", "bounds"):
        del fields[name]
    (place / "spec.json").write_text(json.dumps(fields))
    assert step.read_spec(place).walls == Walls(), "one that was written before there were sandboxes"


def test_a_spec_of_version_0_1_has_its_walls_as_they_were_found_then(workspace: Workspace, template: Template) -> None:
    from agent.edges.run import step_folder as step

    place = workspace.step_folder("run_2.1")
    spec = spec_of(workspace, template, Step.RUN)
    walls, _ = found_of(spec)
    step.write_spec(place, replace(spec, walls=walls))
    fields = json.loads((place / "spec.json").read_text())
    assert "wanted" not in fields and set(fields["walls"]) == {
        *("kind", "read", "write", "links", "devices", "network", "bwrap", "confines")
    }
    assert step.read_spec(place).walls == walls
