from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.failure.record import ExitRecord
from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import Exited, Lost, Running, Taken, Unclaimed
from agent.edges.run.step_folder import StepSpec
from agent.edges.run.wait import StepPatience, wait
from agent.edges.system.processes import Identity, is_running
from tests.edges.supervisor.made_steps import RUNNER, identity_in, poll_until_over, python_step, wait_for
from tests.paths import ROOT

SLEEP = "import time; time.sleep(60)"
WRITE_PID = (
    "import os; p = open('%s.tmp', 'w'); p.write(str(os.getpid()) + '\\n'); p.close(); os.rename('%s.tmp', '%s')\n"
)


def writing_pid(name: str) -> str:
    return WRITE_PID % (name, name, name)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / 'it\'s a "run"'
    (folder / step.WORK).mkdir(parents=True)
    yield folder
    RUNNER.kill(folder)


def supervisor_of(folder: Path) -> Identity:
    claim = step.read_claim(folder)
    assert claim is not None
    return Identity(claim.pid, claim.start_ticks)


def set_claim(folder: Path, **changes: object) -> None:
    claim = step.read_claim(folder)
    assert claim is not None
    changed = replace(claim, **changes)  # type: ignore[arg-type]
    (folder / step.CLAIM).write_text(
        json.dumps({name: getattr(changed, name) for name in step.Claim.__dataclass_fields__})
    )


def test_step_goes_from_unclaimed_over_running_to_exited(folder: Path) -> None:
    assert RUNNER.poll(folder) == Unclaimed()
    RUNNER.start(folder, python_step("import time; time.sleep(0.3); print('done')", folder))
    status = RUNNER.poll(folder)
    assert isinstance(status, Running)
    assert (status.host, status.pid) == (os.uname().nodename, supervisor_of(folder).pid)
    assert status.heartbeat_age_s < 5
    status = poll_until_over(folder)
    assert isinstance(status, Exited) and status.record.exit_code == 0
    assert RUNNER.read_streams(folder, 1000) == ("done\n", "")


def test_step_is_no_child_and_not_in_the_session_of_its_starter(folder: Path) -> None:
    RUNNER.start(folder, python_step(SLEEP, folder))
    supervisor = supervisor_of(folder)
    assert os.getsid(supervisor.pid) != os.getsid(0)
    assert os.getpgid(supervisor.pid) != os.getpgid(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(supervisor.pid, os.WNOHANG)


def test_supervisor_holds_nothing_of_the_orchestrators_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    RUNNER.start(folder, python_step(SLEEP, folder))
    assert b"canary" not in Path(f"/proc/{supervisor_of(folder).pid}/environ").read_bytes()


@pytest.mark.parametrize("victim", ["itself", "the process that it forks"])
def test_a_supervisor_that_is_killed_as_it_starts_leaves_the_step_to_another(
    victim: str, folder: Path, tmp_path: Path
) -> None:
    doomed = "import os; os.kill(os.getpid(), 9)"
    if victim != "itself":
        doomed = (
            "import os, sys; from agent.edges.supervisor import supervise as s; s._supervise = "
            "lambda *_: os.kill(os.getpid(), 9); sys.exit(s.main(sys.argv[2:]))"
        )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" -c \'{doomed}\' "$@"\n')
    python.chmod(0o755)
    LocalRunner(python).start(folder, python_step(SLEEP, folder))
    assert RUNNER.poll(folder) == Unclaimed()
    end = wait(RUNNER, folder, StepPatience(time.sleep))
    assert isinstance(end, Lost) and "killed as it started" in end.reason


def test_step_outlives_an_orchestrator_that_is_killed(folder: Path, tmp_path: Path) -> None:
    spec = python_step("import time; time.sleep(0.5); print('survived')", folder)
    orchestrator = tmp_path / "orchestrator.py"
    orchestrator.write_text(
        "import sys, time\nfrom pathlib import Path\nfrom agent.edges.run.local_runner import LocalRunner\n"
        "from agent.edges.run.step_folder import StepSpec\n"
        f"LocalRunner().start(Path({str(folder)!r}), StepSpec({spec.argv!r}, {spec.env!r}, 20.0, 1.0, Path('/none')))\n"
        "print('started', flush=True)\ntime.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, orchestrator], stdout=subprocess.PIPE, env=environment, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == b"started\n"
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert isinstance(RUNNER.poll(folder), Running)
    status = poll_until_over(folder)
    assert isinstance(status, Exited) and status.record.exit_code == 0
    assert RUNNER.read_streams(folder, 1000)[0] == "survived\n"


def test_killed_supervisor_is_lost_and_its_leftovers_can_be_killed(folder: Path) -> None:
    code = "import os, time\nif os.fork() == 0:\n    if os.fork() == 0:\n        os.setsid()\n"
    code += "        " + writing_pid("daemon").replace("\n", "\n        ") + "time.sleep(60)\n    time.sleep(60)\n"
    RUNNER.start(folder, python_step(code + "time.sleep(60)", folder))
    daemon = identity_in(folder / step.WORK / "daemon")
    wait_for(lambda: daemon in (step.read_child(folder) or step.Child(0, 0, ())).tree)
    child = step.read_child(folder)
    assert child is not None and len(child.tree) == 3
    os.kill(supervisor_of(folder).pid, signal.SIGKILL)
    status = poll_until_over(folder)
    assert isinstance(status, Lost) and "is gone" in status.reason
    wait_for(lambda: not is_running(Identity(child.pid, child.start_ticks)))  # it dies with its supervisor
    assert is_running(daemon) and Path(child.tmp).is_dir()
    RUNNER.kill(folder)
    assert not any(map(is_running, child.tree)) and not Path(child.tmp).exists()
    assert isinstance(RUNNER.poll(folder), Lost)


def test_a_record_that_names_another_folder_has_nothing_removed(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "sci-mine"
    mine.mkdir()
    RUNNER.start(folder, python_step("import time\ntime.sleep(60)", folder))
    wait_for(lambda: step.read_child(folder) is not None)
    os.kill(supervisor_of(folder).pid, signal.SIGKILL)
    assert isinstance(poll_until_over(folder), Lost)
    child = step.read_child(folder)
    assert child
    step.write_child(folder, step.Child(child.pid, child.start_ticks, child.tree, str(mine)))
    RUNNER.kill(folder)
    assert mine.is_dir()
    shutil.rmtree(child.tmp)


def test_leftovers_younger_than_the_last_heartbeat_are_found_by_their_session(folder: Path) -> None:
    code = "import os, time\ntime.sleep(0.2)\nif os.fork() == 0:\n    " + writing_pid("late").replace("\n", "\n    ")
    RUNNER.start(folder, python_step(code + "\ntime.sleep(60)", folder))
    late = identity_in(folder / step.WORK / "late")
    child = step.read_child(folder)
    os.kill(supervisor_of(folder).pid, signal.SIGKILL)
    assert child is not None
    step.write_child(folder, replace(child, tree=child.tree[:1]))
    wait_for(lambda: not is_running(Identity(child.pid, child.start_ticks)))
    assert is_running(late)
    RUNNER.kill(folder)
    assert not is_running(late)


def test_kill_spares_a_process_that_reuses_a_recorded_pid(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True, cwd="/") as stranger:
        assert step.claim(folder, "supervisor")
        set_claim(folder, pid=stranger.pid, start_ticks=1)
        step.write_child(folder, step.Child(stranger.pid, 1, (Identity(stranger.pid, 1),)))
        assert isinstance(RUNNER.poll(folder), Lost)
        RUNNER.kill(folder)
        assert stranger.poll() is None
        stranger.kill()


def test_kill_asks_first_so_that_the_record_is_written(folder: Path) -> None:
    RUNNER.start(folder, python_step(writing_pid("pid") + SLEEP, folder))
    child = identity_in(folder / step.WORK / "pid")
    RUNNER.kill(folder)
    status = RUNNER.poll(folder)
    assert isinstance(status, Exited) and status.record.stopped
    assert not is_running(child)
    RUNNER.kill(folder)  # again does no harm


def test_kill_ends_a_supervisor_that_does_not_answer(folder: Path) -> None:
    RUNNER.start(folder, python_step(writing_pid("pid") + SLEEP, folder))
    child = identity_in(folder / step.WORK / "pid")
    supervisor = supervisor_of(folder)
    os.kill(supervisor.pid, signal.SIGSTOP)
    LocalRunner(sleep=lambda pause_s: time.sleep(pause_s / 4)).kill(folder)
    assert not is_running(child) and not is_running(supervisor)
    assert isinstance(RUNNER.poll(folder), Lost)


def test_late_supervisor_runs_nothing_after_take_claim(folder: Path) -> None:
    assert RUNNER.take_claim(folder)
    assert RUNNER.poll(folder) == Taken()
    RUNNER.start(folder, python_step("open('ran', 'w')", folder))
    assert RUNNER.poll(folder) == Taken()
    assert not RUNNER.take_claim(folder)
    assert not (folder / step.WORK / "ran").exists()


def test_take_claim_fails_on_a_step_that_runs(folder: Path) -> None:
    RUNNER.start(folder, python_step(SLEEP, folder))
    assert not RUNNER.take_claim(folder)
    assert isinstance(RUNNER.poll(folder), Running)


def test_supervisor_that_cannot_start_is_an_exit_with_its_reason(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'libpython is missing' >&2\nexit 127\n")
    broken.chmod(0o755)
    LocalRunner(python=broken).start(folder, python_step(SLEEP, folder))
    status = RUNNER.poll(folder)
    assert isinstance(status, Exited)
    assert status.record.error == "the supervisor did not start (exit code 127): libpython is missing"


def test_supervisor_of_another_host_is_lost_when_its_heart_stopped(folder: Path) -> None:
    assert step.claim(folder, "supervisor")
    set_claim(folder, host="node7", boot_id="another")
    heartbeat = folder / step.HEARTBEAT
    heartbeat.touch()
    assert isinstance(RUNNER.poll(folder), Running)
    os.utime(heartbeat, (time.time() - 61, time.time() - 61))
    status = RUNNER.poll(folder)
    assert isinstance(status, Lost) and "node7" in status.reason
    RUNNER.kill(folder)  # nothing here to kill


def test_pids_of_another_namespace_are_not_trusted(folder: Path) -> None:
    assert step.claim(folder, "supervisor")
    set_claim(folder, pid=2**22, pid_namespace="pid:[1]")
    assert isinstance(RUNNER.poll(folder), Running)


def test_record_written_between_the_two_looks_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert step.claim(folder, "supervisor")
    set_claim(folder, start_ticks=1)
    record = ExitRecord(0, None, False, False, 1.0, 0.5, None)
    real = step.read_claim

    def exit_meanwhile(path: Path) -> step.Claim | None:
        step.write_exit(path, record)
        return real(path)

    monkeypatch.setattr(step, "read_claim", exit_meanwhile)
    assert RUNNER.poll(folder) == Exited(record)


@pytest.mark.parametrize(("name", "content"), [(step.CLAIM, ""), (step.CLAIM, '{"pid": 1}'), (step.EXIT, "{}")])
def test_damaged_records_are_lost_and_named(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    status = RUNNER.poll(folder)
    assert isinstance(status, Lost) and status.reason.startswith("damaged record")


def test_long_streams_keep_their_end(folder: Path) -> None:
    (folder / step.STDOUT).write_bytes(b"start" + b"x" * 5000 + b"the end")
    (folder / step.STDERR).write_bytes(b"caf\xe9 " + "né".encode())
    out, err = RUNNER.read_streams(folder, 400)
    assert out.startswith("start") and out.endswith("the end") and "bytes cut" in out
    assert len(out) < 440 and out.index("[...") < 120
    assert err == "caf� né"


def test_environment_that_is_not_utf8_arrives(folder: Path) -> None:
    argv = (sys.executable, "-I", "-S", "-c", "import os; os.write(1, os.environb[b'A'])")
    RUNNER.start(folder, StepSpec(argv, {"A": "\udcff é"}, 10.0, 1.0, folder / "stop"))
    poll_until_over(folder)
    assert (folder / step.STDOUT).read_bytes() == b"\xff \xc3\xa9"


def test_start_is_hardly_slower_than_a_process(folder: Path) -> None:
    started_s = time.monotonic()
    RUNNER.start(folder, python_step("pass", folder))
    assert time.monotonic() - started_s < 2.0  # 0.06 s on an idle machine; the bound only catches a blunder
    poll_until_over(folder)
