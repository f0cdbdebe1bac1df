"""Step folders for the tests of the supervisor and the runner."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.failure.record import ExitRecord
from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import Running, StepStatus
from agent.edges.run.step_folder import StepSpec
from agent.edges.system.processes import Identity, is_running, read_process

RUNNER = LocalRunner(sleep=time.sleep)


def python_step(code: str, folder: Path, *, deadline_s: float = 20.0, log_cap_mib: float = 1.0) -> StepSpec:
    argv = (sys.executable, "-I", "-S", "-c", code)
    return StepSpec(argv, {"PATH": os.defpath}, deadline_s, log_cap_mib, folder / "stop")


def run_python(code: str, folder: Path, *, deadline_s: float = 20.0, log_cap_mib: float = 1.0) -> ExitRecord:
    """Supervise a Python program in the foreground, as a batch job does."""
    spec = python_step(code, folder, deadline_s=deadline_s, log_cap_mib=log_cap_mib)
    return run_spec(spec, folder)


def run_spec(spec: StepSpec, folder: Path) -> ExitRecord:
    step.write_spec(folder, spec)
    assert subprocess.call([sys.executable, "-m", "agent.edges.supervisor.supervise", str(folder)]) == 0
    record = step.read_exit(folder)
    assert record is not None
    return record


def wait_for(claim: Callable[[], object], seconds: float = 8.0) -> None:
    give_up_s = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > give_up_s:
            pytest.fail(f"still not so after {seconds} s")
        time.sleep(0.01)


def poll_until_over(folder: Path, seconds: float = 8.0) -> StepStatus:
    wait_for(lambda: not isinstance(RUNNER.poll(folder), Running), seconds)
    return RUNNER.poll(folder)


def identity_in(file: Path) -> Identity:
    """The process whose pid a program wrote to a file."""
    wait_for(lambda: file.exists() and file.read_text().endswith("\n"))
    process = read_process(int(file.read_text()))
    return process.identity if process else Identity(int(file.read_text()), -1)


def is_alive(identity: Identity) -> bool:
    return is_running(identity)
