"""One wait for steps that run here, start here, or stand in a queue."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import (
    Exited,
    Lost,
    Queued,
    Runner,
    Running,
    Taken,
    Unclaimed,
    is_supervisor_command,
    supervisor_command,
)
from agent.edges.run.wait import QUEUE_NOTICE_S, StepPatience, wait
from tests.edges.run.queue_runner import QueueRunner, begin_job
from tests.edges.supervisor.made_steps import python_step, wait_for

QUEUE = QueueRunner()
MARK = "open('ran', 'w')"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a queue's run"
    (folder / step.WORK).mkdir(parents=True)
    yield folder
    QUEUE.kill(folder)


def has_run(folder: Path) -> bool:
    return (folder / step.WORK / "ran").exists()


def doing(*acts: Callable[[], object]) -> Callable[[float], None]:
    """A sleep that does one of the acts each time, and then really sleeps."""
    waiting = iter(acts)

    def sleep(seconds: float) -> None:
        next(waiting, lambda: time.sleep(seconds))()

    return sleep


def test_a_queued_step_is_waited_for_until_its_job_has_begun_and_ended(folder: Path) -> None:
    QUEUE.start(folder, python_step(MARK, folder))
    assert QUEUE.poll(folder) == Queued("job 4711 is pending")
    sleep = doing(lambda: None, lambda: None, lambda: begin_job(folder))
    end = wait(QUEUE, folder, StepPatience(sleep))
    assert isinstance(end, Exited) and end.record.exit_code == 0 and has_run(folder)


def test_a_long_wait_in_a_queue_is_told_once(folder: Path) -> None:
    QUEUE.start(folder, python_step(MARK, folder))
    said: list[tuple[int, str]] = []
    polls = 0

    def slow_clock() -> float:  # a queue that takes 10 s to answer
        nonlocal polls
        polls += 1
        return 10.0 * polls

    patience = StepPatience(
        doing(*[lambda: None] * 9, lambda: begin_job(folder)),
        clock=slow_clock,
        warn=lambda text: said.append((polls, text)),
    )
    wait(QUEUE, folder, patience)
    assert said == [(1 + QUEUE_NOTICE_S / 10, f"{folder.name} waits to begin: job 4711 is pending")] and polls == 10


def test_a_request_to_stop_withdraws_a_queued_step_for_good(folder: Path) -> None:
    QUEUE.start(folder, python_step(MARK, folder))
    end = wait(QUEUE, folder, StepPatience(time.sleep, is_stopped=lambda: True))
    assert isinstance(end, Exited) and QUEUE.poll(folder) == Taken()
    assert end.record.stopped and (end.record.exit_code, end.record.signal, end.record.error) == (None, None, None)
    assert begin_job(folder) == 0 and not has_run(folder), "the batch system starts it all the same"


def test_a_job_that_begins_as_it_is_withdrawn_is_ended(folder: Path) -> None:
    """Its supervisor won the claim: then the step is killed like any other that runs."""
    QUEUE.start(folder, python_step(MARK + "; import time; time.sleep(60)", folder))
    job = threading.Thread(target=begin_job, args=[folder])

    class Late(QueueRunner):
        def kill(self, folder: Path) -> None:
            if not has_run(folder):
                job.start()
                while not has_run(folder):
                    time.sleep(0.01)
            super().kill(folder)

    end = wait(Late(), folder, StepPatience(time.sleep, is_stopped=lambda: True))
    job.join()
    assert isinstance(end, Exited) and end.record.stopped


def test_a_job_that_others_cancelled_is_lost_and_begins_no_more(folder: Path) -> None:
    QUEUE.start(folder, python_step(MARK, folder))
    job = folder / "job"
    end = wait(QUEUE, folder, StepPatience(doing(job.unlink)))
    assert isinstance(end, Lost) and QUEUE.poll(folder) == Taken()
    assert begin_job(folder) == 0 and not has_run(folder)


def test_kill_withdraws_a_queued_step(folder: Path) -> None:
    QUEUE.start(folder, python_step(MARK, folder))
    QUEUE.kill(folder)
    assert QUEUE.poll(folder) == Taken() and not (folder / "job").exists()
    assert begin_job(folder) == 0 and not has_run(folder)


@pytest.mark.parametrize("runner", [LocalRunner(), QUEUE])
def test_kill_of_a_step_that_nobody_began_lets_nobody_begin(folder: Path, runner: Runner) -> None:
    step.write_spec(folder, python_step(MARK, folder))
    assert runner.poll(folder) == Unclaimed()
    runner.kill(folder)
    assert runner.poll(folder) == Taken() and begin_job(folder) == 0 and not has_run(folder)
    runner.kill(folder / "never made")


def test_a_supervisor_that_is_starting_here_is_queued(folder: Path) -> None:
    """It is found by its command line, whoever started it: its orchestrator may have died since."""
    step.write_spec(folder, python_step(MARK, folder))
    content = (folder / step.SPEC).read_bytes()
    (folder / step.SPEC).unlink()
    os.mkfifo(folder / step.SPEC)  # which holds it as it begins
    runner = LocalRunner()
    process = subprocess.Popen(supervisor_command(Path(sys.executable), folder, detach=True), start_new_session=True)
    wait_for(lambda: runner.poll(folder) == Queued(f"supervisor {process.pid} is starting"))
    other = folder.parent / "another"
    other.mkdir()
    assert runner.poll(other) == Unclaimed()
    (folder / step.SPEC).write_bytes(content)
    end = wait(runner, folder, StepPatience(time.sleep))
    assert process.wait() == 0 and isinstance(end, Exited) and has_run(folder)


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("agent.edges.supervisor.supervise", ["--gpus", "0,1"]),
        ("agent.edges.supervisor.supervise", ["--detach", "--gpus", "0"]),
        ("agent.edges.supervise", ["--detach"]),
    ],
)
def test_a_starting_supervisor_is_known_with_any_options_and_by_its_old_name(
    folder: Path, module: str, options: list[str]
) -> None:
    os.mkfifo(folder / step.SPEC)
    command = [sys.executable, "-P", "-m", module, *options, str(folder)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            wait_for(lambda: LocalRunner().poll(folder) == Queued(f"supervisor {process.pid} is starting"))
        finally:
            process.kill()


@pytest.mark.parametrize("wrapper", [["srun"], ["srun", "--gpus", "1"], ["vim"]])
def test_a_command_that_only_names_a_supervisor_is_none(tmp_path: Path, wrapper: list[str]) -> None:
    own = supervisor_command(Path(sys.executable), tmp_path, detach=False)
    assert is_supervisor_command([os.fsencode(word) for word in own], tmp_path)
    assert not is_supervisor_command([os.fsencode(word) for word in [*wrapper, *own]], tmp_path)
    assert not is_supervisor_command([], tmp_path)


def test_a_supervisor_that_hangs_before_its_claim_is_lost_after_a_while(folder: Path) -> None:
    os.mkfifo(folder / step.SPEC)  # which nobody writes
    command = supervisor_command(Path(sys.executable), folder, detach=True)
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            began_s = time.monotonic()
            runner = LocalRunner(starting_limit_s=2.0)
            assert isinstance(wait(runner, folder, StepPatience(time.sleep)), Lost)
            assert time.monotonic() - began_s < 20.0 and runner.poll(folder) == Taken()
        finally:
            process.kill()


def test_a_start_that_hangs_ends_in_a_record(folder: Path) -> None:
    hanging = folder.parent / "hanging"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    runner = LocalRunner(python=hanging, starting_limit_s=0.5)
    runner.start(folder, python_step(MARK, folder))
    end = runner.poll(folder)
    assert isinstance(end, Exited) and end.record.error == "the supervisor did not start within 0.5 s"


def test_kill_of_a_supervisor_that_is_starting_lets_it_run_nothing(folder: Path) -> None:
    os.mkfifo(folder / step.SPEC)
    process = subprocess.Popen(supervisor_command(Path(sys.executable), folder, detach=True), start_new_session=True)
    wait_for(lambda: isinstance(LocalRunner().poll(folder), Queued))
    LocalRunner().kill(folder)
    other = folder.parent / "written aside"
    other.mkdir()
    step.write_spec(other, python_step(MARK, folder))
    (folder / step.SPEC).write_bytes((other / step.SPEC).read_bytes())
    assert process.wait() == 0 and not has_run(folder) and LocalRunner().poll(folder) == Taken()


def test_a_step_that_runs_is_not_hurried(folder: Path) -> None:
    LocalRunner().start(folder, python_step("import time; time.sleep(0.5); " + MARK, folder))
    assert isinstance(LocalRunner().poll(folder), Running)
    end = wait(LocalRunner(), folder, StepPatience(time.sleep))
    assert isinstance(end, Exited) and has_run(folder)
