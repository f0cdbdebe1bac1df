"""A supervisor that lives but has no heartbeat: reported, waited for until its deadline, then killed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.core.decide import AwaitStep
from agent.core.journal.action_results import Closed, Opened
from agent.core.journal.fold import fold
from agent.core.journal.kinds import Step
from agent.core.journal.state import State
from agent.edges.run import step_folder as step
from agent.edges.run.runner import Lost, Running, StepStatus
from agent.edges.run.step_folder import StepSpec
from agent.edges.run.wait import FIRST_POLL_S, POLL_S, SILENCE_GRACE_S
from agent.edges.workspace.layout import frozen_template
from agent.effects.run_step import Steps
from tests.crash.crash_idea import Tale, new_ideas
from tests.fakes import FakeClock, InstantRunner

DEADLINE_S = 100.0
AWAIT = AwaitStep(Step.RUN, "run_1.1")


@dataclass
class SilentRunner(InstantRunner):
    """A supervisor whose heartbeat is `ages_s` old, one age a poll, the last for ever. SIGKILL ends it if `mortal`."""

    ages_s: list[float] = field(default_factory=lambda: [75.0])
    mortal: bool = True
    kills: int = 0

    def poll(self, folder: Path) -> StepStatus:
        if self.kills and self.mortal:
            return Lost("it was killed")
        age_s = self.ages_s.pop(0) if len(self.ages_s) > 1 else self.ages_s[0]
        return Running(4711, "node7", age_s) if age_s >= 0 else super().poll(folder)

    def kill(self, folder: Path) -> None:
        self.kills += 1


@dataclass
class Wait:
    """A step that was claimed a while ago, and the lines of the orchestrator that waits for it."""

    steps: Steps
    state: State
    clock: FakeClock
    runner: SilentRunner
    said: list[str]

    def end(self) -> Closed:
        result = self.steps.wait(self.state, AWAIT)
        assert isinstance(result, Closed)
        return result


@pytest.fixture(scope="module")
def launched(root: Path) -> Tale:
    return new_ideas(root / "a silent place", "momentum")[0]


@pytest.fixture
def told(launched: Tale) -> Iterator[Tale]:
    yield launched
    shutil.rmtree(launched.workspace.step_folder("run_1.1"))
    launched.workspace.stop_file.unlink(missing_ok=True)


def wait_of(told: Tale, runner: SilentRunner) -> Wait:
    workspace, clock, said = told.workspace, FakeClock(), []
    state = fold(told.events())
    folder = workspace.step_folder("run_1.1")
    (folder / "work").mkdir(parents=True)
    step.write_spec(folder, StepSpec((sys.executable,), {}, DEADLINE_S, 1.0, workspace.stop_file))
    assert step.claim(folder, "supervisor")
    os.utime(folder / step.CLAIM, (clock.now, clock.now))
    template = frozen_template(workspace, state.launched)
    steps = Steps(workspace, workspace.repo(), template, runner, {}, clock.sleep, warn=said.append, clock=clock)
    return Wait(steps, replace(state, opened=Opened(step=Step.RUN, folder="run_1.1")), clock, runner, said)


def test_it_is_told_once_with_pid_host_age_and_what_to_do(told: Tale) -> None:
    wait = wait_of(told, SilentRunner(lambda folder, spec: None))
    wait.end()
    (text,) = wait.said
    assert text.startswith("run_1.1: no heartbeat for 75 s from supervisor 4711 on node7: ")
    assert "kill -CONT 4711" in text and f"scientist stop '{told.workspace.path}'" in text
    assert f"killed in {DEADLINE_S + SILENCE_GRACE_S:.0f} s" in text


def test_it_is_killed_after_its_deadline_and_is_no_failure_of_the_code(told: Tale) -> None:
    wait = wait_of(told, SilentRunner(lambda folder, spec: None))
    closed, waited_s = wait.end(), wait.clock.now - FakeClock.now
    assert DEADLINE_S + SILENCE_GRACE_S <= waited_s < DEADLINE_S + SILENCE_GRACE_S + 1
    assert wait.runner.kills == 1 and closed.exit is None and closed.infrastructure
    assert closed.failure and "no heartbeat for 75 s" in closed.failure.summary


def test_after_a_long_night_it_still_has_a_moment_to_wake(told: Tale) -> None:
    wait = wait_of(told, SilentRunner(lambda folder, spec: None))
    wait.clock.now += 10 * DEADLINE_S
    wait.end()
    waited_s = wait.clock.now - FakeClock.now - 10 * DEADLINE_S
    assert SILENCE_GRACE_S - POLL_S < waited_s < SILENCE_GRACE_S + 1
    assert f"killed in {SILENCE_GRACE_S:.0f} s" in wait.said[0]


def test_one_that_wakes_is_waited_for_and_told_again_when_it_falls_silent(told: Tale) -> None:
    asleep = int((SILENCE_GRACE_S - 1) / POLL_S)
    ages_s = [75.0] * asleep + [0.5] + [75.0] * asleep + [0.5, -1.0]
    runner = SilentRunner(lambda folder, spec: None, ages_s=ages_s)
    wait = wait_of(told, runner)
    runner.started.append(told.workspace.step_folder("run_1.1"))
    (told.workspace.step_folder("run_1.1") / "work/run_1").mkdir()
    wait.clock.now += 10 * DEADLINE_S
    assert wait.end().exit == runner.record
    assert runner.kills == 0 and len(wait.said) == 2


def test_a_request_to_stop_ends_it_at_once(told: Tale) -> None:
    wait = wait_of(told, SilentRunner(lambda folder, spec: None))
    told.workspace.stop_file.touch()
    assert wait.end().exit is None
    assert wait.clock.now == FakeClock.now


def test_one_that_cannot_be_killed_is_never_joined_by_a_second(told: Tale) -> None:
    runner = SilentRunner(lambda folder, spec: None, mortal=False)
    wait = wait_of(told, runner)

    def sleep(seconds: float) -> None:
        wait.clock.sleep(seconds)
        runner.mortal = wait.clock.now > FakeClock.now + 2 * DEADLINE_S

    wait.steps = replace(wait.steps, sleep=sleep)
    wait.end()
    assert runner.kills > 1 and wait.clock.now > FakeClock.now + 2 * DEADLINE_S


def test_the_limit_is_what_the_runner_says_of_other_hosts(told: Tale) -> None:
    runner = SilentRunner(lambda folder, spec: None, ages_s=[59.0, 75.0])
    wait = wait_of(told, runner)
    wait.steps = replace(wait.steps, heartbeat_limit_s=80.0)
    told.workspace.stop_file.touch()
    runner.ages_s = [59.0, 75.0, 81.0]
    wait.end()
    assert wait.clock.now == pytest.approx(FakeClock.now + FIRST_POLL_S + 2 * FIRST_POLL_S)
