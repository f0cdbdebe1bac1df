"""Late supervisors against a resume that takes the claim: one of them has the step, and it runs once or never."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import Exited, Taken
from agent.edges.run.step_folder import StepSpec
from agent.edges.supervisor import supervise
from tests.crash.points import start_child

RACES = 30


class Barrier:
    """Lets go all processes that wait, at once."""

    def __init__(self) -> None:
        self._waiting, self._open = os.pipe()

    def wait(self) -> None:
        os.close(self._open)
        os.read(self._waiting, 1)

    def let_go(self) -> None:
        os.close(self._open)
        os.close(self._waiting)


def supervise_late(folder: Path, barrier: Barrier) -> int:
    barrier.wait()
    return supervise.main([str(folder)])


def take_claim(folder: Path, barrier: Barrier) -> int:
    """Exit with 10 if the claim was taken, else with 11."""
    barrier.wait()
    return 10 if LocalRunner().take_claim(folder) else 11


def race(folder: Path, supervisors: int, resumes: int) -> tuple[int, int]:
    """How many resumes have the claim, and how often the command ran."""
    (folder / step.WORK).mkdir(parents=True)
    command = ("/bin/sh", "-c", "echo ran >> ran")
    step.write_spec(folder, StepSpec(command, {"PATH": os.defpath}, 20.0, 1.0, folder / "stop"))
    barrier, errors = Barrier(), folder / "errors"
    work = [partial(supervise_late, folder, barrier)] * supervisors + [partial(take_claim, folder, barrier)] * resumes
    pids = [start_child(one, errors) for one in work]
    barrier.let_go()
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert set(codes[:supervisors]) == {0} and set(codes[supervisors:]) <= {10, 11}, errors.read_text()
    ran = folder / step.WORK / "ran"
    return codes.count(10), len(ran.read_text().split()) if ran.exists() else 0


def test_of_a_resume_and_two_late_supervisors_exactly_one_has_the_step(tmp_path: Path) -> None:
    taken = 0
    for number in range(RACES):
        folder = tmp_path / f"race {number}"
        winners = race(folder, 2, 1)
        assert winners in ((1, 0), (0, 1)), "nobody, or more than one, had the step"
        taken += winners[0]
        status = LocalRunner().poll(folder)
        assert isinstance(status, Taken if winners[0] else Exited)
        assert not list(folder.glob(".claim*"))
    assert 0 < taken < RACES, f"{taken} of {RACES}: this was no race"


@pytest.mark.slow
def test_a_crowd_of_resumes_and_supervisors_shares_nothing(tmp_path: Path) -> None:
    for number in range(RACES):
        assert sum(race(tmp_path / f"race {number}", 6, 6)) == 1


def test_a_claim_that_was_begun_and_never_linked_binds_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "run_1.1"
    folder.mkdir()
    (folder / f".claim.{os.uname().nodename}.{os.getpid()}").write_text("{")
    assert step.read_claim(folder) is None
    assert step.claim(folder, "resume") and not step.claim(folder, "supervisor")
    assert not list(folder.glob(".claim*"))
