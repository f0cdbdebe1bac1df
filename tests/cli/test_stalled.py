"""A run whose supervisor was stopped: status says so and what to do, and a request to stop ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from agent.edges.run import step_folder as step
from agent.edges.system.processes import Identity, is_running
from tests.cli.conftest import Scientist, only_workspace
from tests.edges.supervisor.made_steps import wait_for
from tests.paths import QUADRATIC

LAUNCH = ("launch", "ideas.json", "--idea", "1", "--template", QUADRATIC, "--profile", "slow", "--max-runs", "1")


def test_a_stopped_supervisor_is_stalled_until_it_wakes_or_is_stopped(
    begin: Callable[..., subprocess.Popen[str]], scientist: Scientist, folder: Path
) -> None:
    process = begin(*LAUNCH)
    wait_for(lambda: list(folder.glob("workspaces/*/momentum/.agent/attempts/run_1.1/heartbeat")), 30.0)
    workspace = only_workspace(folder)
    attempt = workspace / ".agent/attempts/run_1.1"
    wait_for(lambda: standing(scientist)["phase"] == "run")
    assert standing(scientist)["state"] == "running"
    claim = step.read_claim(attempt)
    assert claim
    os.kill(claim.pid, signal.SIGSTOP)
    os.utime(attempt / step.HEARTBEAT, (time.time() - 75, time.time() - 75))
    told = standing(scientist)
    assert told["state"] == "stalled"
    about = (
        f"run_1.1: no heartbeat for 75 s from supervisor {claim.pid} on {claim.host}; wake it: kill -CONT {claim.pid}"
    )
    assert str(told["reason"]).startswith(about)
    assert about in scientist("status").stdout
    os.kill(claim.pid, signal.SIGCONT)
    wait_for(lambda: standing(scientist)["state"] == "running")

    os.kill(claim.pid, signal.SIGSTOP)
    os.utime(attempt / step.HEARTBEAT, (time.time() - 75, time.time() - 75))
    assert scientist("stop", str(workspace)).returncode == 0
    _, said = process.communicate(timeout=20)
    assert process.returncode == 3 and "no heartbeat for 7" in said and "kill -CONT" in said
    assert not is_running(Identity(claim.pid, claim.start_ticks))
    assert standing(scientist)["state"] == "paused"


def standing(scientist: Scientist) -> dict[str, object]:
    (found,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert isinstance(found, dict)
    return found
