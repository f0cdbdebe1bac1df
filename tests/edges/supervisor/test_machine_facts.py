"""Facts of the machine that runs a step are found there, by its supervisor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.failure.record import ExitRecord
from agent.edges.run import step_folder as step
from agent.edges.run.runner import HEARTBEAT_LIMIT_S, supervisor_environment
from agent.edges.run.step_folder import StepSpec
from agent.edges.sandbox import choose, interpreter, landlock
from agent.edges.sandbox.choose import Sandbox
from agent.edges.sandbox.gpus import has_nvidia_driver
from agent.edges.sandbox.walls import Walls, WantedWalls
from agent.edges.supervisor.enter import settle
from tests.edges.supervisor.made_steps import python_step, wait_for
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
    assert "has_gpu" not in json.loads((folder / step.EXIT).read_text()), "its orchestrator knows no such field"


def test_a_step_of_version_0_1_finds_the_script_that_limits_what_an_evaluator_serves(folder: Path) -> None:
    old = str(Path(landlock.__file__).parents[1] / "confine.py")
    spec = replace(python_step("pass", folder), walls=Walls(), env={"SCIENTIST_CONFINE": f'["{old}"]'})
    step.write_spec(folder, spec)
    assert step.read_spec(folder).env == {"SCIENTIST_CONFINE": f'["{landlock.__file__}"]'}
    step.write_spec(folder, replace(asking(python_step("pass", folder), folder, "off"), env={"A": old}))
    assert step.read_spec(folder).env == {"A": old}, "today's files are read as they are"


def test_a_supervisor_of_version_0_1_cannot_take_wanted_walls_for_none(folder: Path) -> None:
    """It would run the step without a sandbox: it must not be able to read the file."""
    step.write_spec(folder, asking(python_step("pass", folder), folder, "bwrap"))
    assert json.loads((folder / step.SPEC).read_text())["walls"] is None


def slow_python(folder: Path) -> Path:
    """An interpreter that is asked for its folders until `go` appears, and says then which they are."""
    slow = folder.parent / "slow python"
    waits = f"touch '{folder}/asked'; while [ ! -e '{folder}/go' ]; do sleep 0.05; done"
    slow.write_text(f"#!/bin/sh\n{waits}\nexec '{sys.executable}' \"$@\"\n")
    slow.chmod(0o755)
    return slow


@needs_landlock
@pytest.mark.parametrize("by_signal", [True, False])
def test_a_stop_that_comes_while_the_machine_is_looked_at_starts_no_command(folder: Path, by_signal: bool) -> None:
    wanted = str(slow_python(folder))
    spec = asking(python_step("open('ran', 'w')", folder), folder, "landlock", interpreter=wanted)
    step.write_spec(folder, spec)
    command = [sys.executable, "-P", "-m", "agent.edges.supervisor.supervise", str(folder)]
    with subprocess.Popen(command, env=supervisor_environment(spec)) as supervisor:
        wait_for((folder / "asked").exists)
        supervisor.send_signal(signal.SIGTERM) if by_signal else spec.stop_file.touch()
        (folder / "go").touch()
    record = step.read_exit(folder)
    assert record and record.stopped and (record.exit_code, record.signal, record.error) == (None, None, None), record
    assert not (folder / step.WORK / "ran").exists()


@needs_landlock
def test_the_heartbeat_goes_on_between_the_looks_at_the_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look ends in time for the next heartbeat, or another host would take the step for lost."""
    assert choose.PROBE_TIMEOUT_S + interpreter.ASK_TIMEOUT_S < HEARTBEAT_LIMIT_S
    parts: list[str] = []
    monkeypatch.setattr(choose, "_try_bwrap", lambda search: parts.append("bwrap") or "fails")
    monkeypatch.setattr(choose, "_try_landlock", lambda: parts.append("landlock") or Sandbox("landlock"))
    settle(asking(python_step("pass", folder), folder, "auto"), None, lambda: parts.append("heartbeat"))
    assert parts == ["heartbeat", "bwrap", "heartbeat", "landlock", "heartbeat"]
