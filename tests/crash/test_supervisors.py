"""A run outlives its orchestrator. Nothing of a killed supervisor runs any more as its step begins again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from agent.cli import drive
from agent.core.journal.fold import fold
from agent.core.journal.kinds import Role
from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.step_folder import StepSpec
from agent.edges.system.processes import Identity, is_running, read_process, send_signal
from tests.crash.crash_idea import (
    LINES,
    Tale,
    check_nothing_lost,
    new_ideas,
    note,
    processes_in,
    supervised,
    use_tellers,
)
from tests.crash.points import in_child, start_child
from tests.edges.supervisor.made_steps import wait_for
from tests.fakes import block

# On its first try the run leaves a daemon in a session of its own and hangs; on the next it is as fast as ever.
HAUNTED = block(
    "experiment.py",
    'if __name__ == "__main__":\n',
    """def haunt():
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        Path("daemon").touch()
        time.sleep(60)
        os._exit(0)
    time.sleep(60)


if __name__ == "__main__":
    if not os.environ.get("SCIENTIST_SMOKE") and Path.cwd().parent.name == "run_1.1":
        haunt()
""",
)


class NotingRunner(LocalRunner):
    """Notes the processes that still run in the folder of the first try as the second begins."""

    def start(self, folder: Path, spec: StepSpec) -> None:
        history = Tale(drive.Workspace(folder.parent.parent.parent)).history
        for name in processes_in(folder.parent / "run_1.1") if folder.name == "run_1.2" else ():
            note(history, f"alive {name}")
        note(history, f"start {folder.name}")
        super().start(folder, spec)


def tell(told: Tale) -> None:
    with pytest.MonkeyPatch.context() as patch:
        use_tellers(patch, {**LINES, Role.EDITOR: ["I cannot.\n", LINES[Role.EDITOR][1] + HAUNTED]})
        patch.setattr(drive, "runner_for", lambda launched: NotingRunner())
        patch.setattr(drive, "say", lambda text: None)
        patch.setattr(drive, "note", lambda text: None)
        told.tell()


@pytest.mark.parametrize("orchestrator_dies", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_tree_of_a_killed_supervisor_is_dead_before_the_step_begins_again(
    root: Path, orchestrator_dies: bool
) -> None:
    (told,) = new_ideas(root / f"haunted {orchestrator_dies}", "momentum")
    begin: Callable[[], int] = partial(start_child, partial(tell, told), told.records / "errors")
    pid, folder = begin(), told.workspace.step_folder("run_1.1")
    wait_for((folder / "work/daemon").exists, 20.0)
    wait_for(lambda: len((step.read_child(folder) or step.Child(0, 0, ())).tree) == 2)  # the daemon, and its run
    claim = step.read_claim(folder)
    assert claim
    supervisor = Identity(claim.pid, claim.start_ticks)
    if orchestrator_dies:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        time.sleep(0.1)
        assert is_running(supervisor) and processes_in(folder), "a run outlives its orchestrator"
    os.kill(supervisor.pid, signal.SIGKILL)
    pid = begin() if orchestrator_dies else pid
    _, status = os.waitpid(pid, 0)
    errors = told.records / "errors"
    assert status == 0, errors.read_text() if errors.exists() else status
    assert told.entries("alive") == []
    assert [name for (name,) in told.entries("start")][:3] == ["run_1.1.smoke", "run_1.1", "run_1.2"]
    state = fold(told.events())
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1, "a lost supervisor spends no attempt"
    assert supervised(told.workspace)["run_1"] == 1
    check_nothing_lost(told)


def test_what_a_supervisor_left_that_was_killed_as_it_began_is_found(root: Path) -> None:
    """There is a claim and no record of the command. A person's shell in the same folder is left alone."""
    folder = root / "killed as it began"
    (folder / step.WORK).mkdir(parents=True)
    assert in_child(lambda: 0 if step.claim(folder, "supervisor") else 1, folder / "errors") == 0
    begun = {"cwd": folder / step.WORK, "start_new_session": True, "stdout": subprocess.PIPE}
    leaving = subprocess.Popen(["sh", "-c", "sleep 61 >&2 & echo $!"], **begun)
    staying = subprocess.Popen(["sh", "-c", "sleep 61 >&2 & echo $!; wait"], **begun)
    orphan, kept = (identity_of(process) for process in (leaving, staying))
    leaving.wait()
    try:
        LocalRunner().kill(folder)
        assert not is_running(orphan) and is_running(kept)
    finally:
        send_signal([orphan, kept], signal.SIGKILL)
        staying.wait()


def identity_of(process: subprocess.Popen[bytes]) -> Identity:
    """The process whose pid the other one says."""
    assert process.stdout
    with process.stdout:
        found = read_process(int(process.stdout.readline()))
    assert found
    return found.identity
