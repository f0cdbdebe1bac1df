"""Facts of the machine that runs a step are found there, by its supervisor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.failure.record import ExitRecord
from agent.edges.run import step_folder as step
from agent.edges.run.runner import supervisor_environment
from agent.edges.run.step_folder import StepSpec
from agent.edges.sandbox.gpus import has_nvidia_driver
from agent.edges.sandbox.walls import Walls, WantedWalls
from tests.edges.supervisor.made_steps import python_step
from tests.sandboxes import needs_bwrap, needs_landlock

SHOW = "import json, os; print(json.dumps([os.environ.get('CUDA_VISIBLE_DEVICES'), os.path.exists({!r})]))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a step"
    for name in (step.WORK, "home"):
        (folder / name).mkdir(parents=True)
    return folder


def asking(spec: StepSpec, folder: Path, sandbox: str, **more: object) -> StepSpec:
    own = (str(folder / step.WORK), str(folder / "home"))
    walls = WantedWalls(sandbox, os.defpath, sys.executable, write=own, closed=(str(folder.parent),))
    return replace(spec, walls=replace(walls, **more))  # type: ignore[arg-type]


def supervise(spec: StepSpec, folder: Path, *options: str) -> ExitRecord:
    step.write_spec(folder, spec)
    command = [sys.executable, "-P", "-m", "agent.edges.supervisor.supervise", *options, str(folder)]
    subprocess.run(command, check=True, env=supervisor_environment(spec))
    record = step.read_exit(folder)
    assert record
    return record


def shown(folder: Path) -> object:
    return json.loads((folder / step.STDOUT).read_text())


@pytest.mark.parametrize(
    "kind", ["off", pytest.param("landlock", marks=needs_landlock), pytest.param("bwrap", marks=needs_bwrap)]
)
def test_the_sandbox_that_is_asked_for_is_found_and_recorded(folder: Path, kind: str) -> None:
    outside = folder.parent / "outside"
    outside.touch()
    record = supervise(asking(python_step(SHOW.format(str(outside)), folder), folder, kind), folder)
    assert (record.exit_code, record.sandbox, record.error) == (0, kind, None), record
    assert record.offline == (kind != "off") and record.has_gpu is has_nvidia_driver()
    assert shown(folder) == [None, kind != "bwrap"], "Landlock hides contents, not names"


@needs_bwrap
def test_auto_is_the_best_that_this_machine_has(folder: Path) -> None:
    record = supervise(asking(python_step("pass", folder), folder, "auto"), folder)
    assert (record.exit_code, record.sandbox) == (0, "bwrap"), record


def test_a_machine_without_the_sandbox_runs_nothing_and_says_so(folder: Path) -> None:
    spec = asking(python_step("open('ran', 'w')", folder), folder, "bwrap", search=str(folder))
    record = supervise(spec, folder)
    assert record.error and record.error.startswith("--sandbox bwrap: no sandbox works here (bwrap: is not installed)")
    assert record.exit_code is None and record.sandbox == "" and not (folder / step.WORK / "ran").exists()


@needs_landlock
def test_an_interpreter_that_is_missing_here_is_named(folder: Path) -> None:
    record = supervise(asking(python_step("pass", folder), folder, "landlock", interpreter="/no/python"), folder)
    assert record.error and record.error.startswith("/no/python: cannot be asked for its folders")


@pytest.mark.parametrize(("options", "seen"), [((), "5"), (("--gpus", "0,1"), "0,1"), (("--gpus", ""), "")])
def test_gpus_that_a_batch_system_granted_come_before_those_of_the_launch(
    folder: Path, options: tuple[str, ...], seen: str
) -> None:
    spec = python_step(SHOW.format("/"), folder)
    supervise(replace(spec, env={**spec.env, "CUDA_VISIBLE_DEVICES": "5"}), folder, *options)
    assert shown(folder) == [seen, True]


@needs_landlock
def test_a_step_of_version_0_1_has_the_walls_that_its_orchestrator_found(folder: Path) -> None:
    walls = Walls("landlock", read=("/",), write=(str(folder / step.WORK),), devices=("/dev/null",))
    record = supervise(replace(python_step(SHOW.format("/"), folder), walls=walls), folder)
    assert (record.exit_code, record.sandbox) == (0, "landlock"), record


def test_a_supervisor_of_version_0_1_cannot_take_wanted_walls_for_none(folder: Path) -> None:
    """It would run the step without a sandbox: it must not be able to read the file."""
    step.write_spec(folder, asking(python_step("pass", folder), folder, "bwrap"))
    assert json.loads((folder / step.SPEC).read_text())["walls"] is None
