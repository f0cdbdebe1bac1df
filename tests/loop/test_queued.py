"""An idea whose steps stand in a queue: a batch system begins them later, whatever happens to the orchestrator."""

from __future__ import annotations

import errno
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.core.journal.action_results import Asked, Opened, Voided
from agent.core.journal.budget import Limits
from agent.core.journal.events import Finished, Paused
from agent.core.journal.kinds import PauseKind
from agent.core.journal.state import State
from agent.edges.run import step_folder as step
from agent.edges.run.runner import StepStatus, Taken
from agent.edges.run.step_folder import StepSpec
from tests.edges.run.queue_runner import QueueRunner, begin_job, queued_jobs
from tests.fakes import Line
from tests.loop.conftest import Study
from tests.loop.lines import FASTER, NO_PLOT_EDIT, NOTES, PLAN

LINES = [PLAN + FASTER, NO_PLOT_EDIT, NOTES]
FOLDERS = ["plot.1", "run_1.1", "run_1.1.evaluate", "run_1.1.smoke"]


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    return make_study(limits=Limits(max_runs=1))


def go_on(
    study: Study, lines: Iterable[Line], sleep: Callable[[float], None], runner: QueueRunner | None = None
) -> State:
    """A new orchestrator, which knows what lies on disk and nothing else."""
    return study.loop(list(lines), runner=runner or QueueRunner(), sleep=sleep).run()


def begin_all(study: Study) -> Callable[[float], None]:
    """A sleep during which every queued job begins and ends."""

    def sleep(seconds: float) -> None:
        for folder in queued_jobs(study.workspace.attempts):
            begin_job(folder)
        time.sleep(seconds / 100)

    return sleep


def die(_seconds: float) -> None:
    raise KeyboardInterrupt


def voided(study: Study) -> list[Voided]:
    results = [event.result for event in study.workspace.journal().events if isinstance(event, Finished)]
    assert any(isinstance(result, Opened) for result in results)
    return [result for result in results if isinstance(result, Voided)]


def folders(study: Study) -> list[str]:
    return sorted(path.name for path in study.workspace.attempts.glob("*.*"))


def test_an_idea_goes_to_its_end_through_a_queue(study: Study) -> None:
    state = go_on(study, LINES, begin_all(study))
    assert state.ended and state.ended.completed and state.rows[0].values["score"] > 0.95
    assert voided(study) == [] and folders(study) == FOLDERS


def test_a_resume_waits_for_a_job_that_is_still_queued(study: Study) -> None:
    with pytest.raises(KeyboardInterrupt):
        go_on(study, LINES[:1], die)
    (queued,) = queued_jobs(study.workspace.attempts)
    with pytest.raises(KeyboardInterrupt):
        go_on(study, [], die)
    assert queued_jobs(study.workspace.attempts) == [queued]
    state = go_on(study, LINES[1:], begin_all(study))
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1
    claim = step.read_claim(queued)
    assert claim and claim.by == "supervisor" and voided(study) == [] and folders(study) == FOLDERS


def test_an_orchestrator_that_died_as_it_handed_over_finds_the_job(study: Study) -> None:
    class Dying(QueueRunner):
        def start(self, folder: Path, spec: StepSpec) -> None:
            QueueRunner.start(self, folder, spec)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go_on(study, LINES[:1], die, Dying())
    state = go_on(study, LINES[1:], begin_all(study))
    assert state.ended and state.ended.completed
    assert voided(study) == [], "a job that waits is no lost step"


def test_an_orchestrator_that_died_before_it_handed_over_begins_another(study: Study) -> None:
    class Dying(QueueRunner):
        def start(self, folder: Path, spec: StepSpec) -> None:
            step.write_spec(folder, spec)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go_on(study, LINES[:1], die, Dying())
    state = go_on(study, LINES[1:], begin_all(study))
    assert state.ended and state.ended.completed
    assert [result.folder for result in voided(study)] == ["run_1.1.smoke"]


@pytest.mark.parametrize("lost_steps", [3, 1])
def test_a_request_to_stop_withdraws_the_job_and_pauses(make_study: Callable[..., Study], lost_steps: int) -> None:
    """It is no lost step, however few of these are allowed."""
    study = make_study(limits=Limits(max_runs=1, lost_steps=lost_steps))
    state = go_on(study, LINES[:1], lambda seconds: study.workspace.stop_file.touch())
    assert state.pause and state.pause.kind is PauseKind.STOP and state.run.attempts_spent == 0
    assert state.pause.reason == "stopped by request"
    folder = study.workspace.attempts / "run_1.1.smoke"
    assert queued_jobs(study.workspace.attempts) == [] and QueueRunner().poll(folder) == Taken()
    assert begin_job(folder) == 0 and not (folder / "work" / "run_1").exists()
    study.workspace.stop_file.unlink()
    state = go_on(study, LINES[1:], begin_all(study))
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1


@dataclass(frozen=True, slots=True)
class SilentRunner(QueueRunner):
    """Its batch system answers no more once a job stands in the queue."""

    error: Exception = field(default_factory=OSError)

    def poll(self, folder: Path) -> StepStatus:
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            TimeoutError(errno.ETIMEDOUT, "does not answer", "squeue"),
            "could not wait for the step: squeue: does not answer; ",
        ),
        (subprocess.TimeoutExpired("squeue", 60), "could not wait for the step: Command 'squeue' timed out"),
    ],
)
def test_an_idea_pauses_if_its_batch_system_does_not_answer(study: Study, error: Exception, said: str) -> None:
    state = go_on(study, LINES[:1], die, SilentRunner(error=error))
    assert state.pause and state.pause.kind is PauseKind.INFRASTRUCTURE and state.pause.reason.startswith(said)
    resumed = go_on(study, LINES[1:], begin_all(study))
    assert resumed.ended and resumed.ended.completed and resumed.rows[0].attempts == 1


def test_an_orchestrator_that_is_told_to_leave_stores_nothing_and_the_next_goes_on(study: Study) -> None:
    """Each may wait four times, wherever that is: nothing is stored for it, and no step is begun twice."""
    ended, left = None, 0
    while ended is None:
        waits = iter(range(4))

        def heed(waits: Iterator[int] = waits) -> None:
            if next(waits, None) is None:
                raise KeyboardInterrupt

        leaving = Study(replace(study.workspace, heed=heed), study.template)
        results = [event.result for event in study.workspace.journal().events if isinstance(event, Finished)]
        asked = sum(isinstance(result, Asked) for result in results)
        try:
            ended = leaving.loop(LINES[asked:], runner=QueueRunner(), sleep=begin_then(study, leaving)).run().ended
        except KeyboardInterrupt:
            left += 1
    assert ended.completed and left > 3 and folders(study) == FOLDERS
    assert not any(isinstance(event, Paused) for event in study.workspace.journal().events)


def begin_then(study: Study, leaving: Study) -> Callable[[float], None]:
    """A sleep during which jobs run, and after which the orchestrator may have to leave."""
    begin = begin_all(study)

    def sleep(seconds: float) -> None:
        begin(seconds)
        leaving.workspace.sleep(0)

    return sleep
