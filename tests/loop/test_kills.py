"""Steps that somebody else kills: begun again in the next folder, no attempt spent, no word to the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.core.failure.record import ExitRecord
from agent.core.journal.budget import Limits
from agent.core.journal.events import Resumed
from agent.core.journal.kinds import PauseKind
from agent.edges.run.runner import Exited, StepStatus
from agent.edges.run.step_folder import StepSpec
from tests.fakes import InstantRunner, ScriptedModel
from tests.loop.conftest import Study
from tests.loop.instant import instant_runner, leave_results, pauses_in
from tests.loop.lines import FASTER, MOMENTUM, NOTES

KILLED = ExitRecord(None, 9, False, False, 60.0, 0.13, 0.1)


@dataclass
class KillingRunner(InstantRunner):
    """Kills the first `times` tries of every step."""

    times: int = 1
    tries: Counter[str] = field(default_factory=Counter)
    killed: set[Path] = field(default_factory=set)

    def start(self, folder: Path, spec: StepSpec) -> None:
        super().start(folder, spec)
        number, _, step = folder.name.partition(".")
        kind = number + step.lstrip("0123456789")
        self.tries[kind] += 1
        if self.tries[kind] <= self.times:
            self.killed.add(folder)

    def poll(self, folder: Path) -> StepStatus:
        status = super().poll(folder)
        return Exited(KILLED) if folder in self.killed and isinstance(status, Exited) else status


def test_a_kill_of_each_step_costs_no_attempt_and_no_question(make_study: Callable[..., Study]) -> None:
    told = []
    for batch, runner in (("undisturbed", instant_runner()), ("killed", KillingRunner(leave_results))):
        study = make_study(limits=Limits(max_runs=1), has_baseline=False, plots=False, batch=batch)
        model = ScriptedModel([FASTER, NOTES])
        state = study.loop(model, runner=runner).run()
        assert state.ended and state.ended.completed
        told.append(([r.messages[-1].content for r in model.requests], [replace(r, commit="") for r in state.rows]))
    assert told[0] == told[1]
    assert isinstance(runner, KillingRunner) and len(runner.killed) == 6
    assert state.rows[0].attempts == 1 and state.rows[0].failures == ()


def test_three_kills_in_a_row_pause_and_say_so(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1), has_baseline=False)
    runner = KillingRunner(leave_results, times=3)
    state = study.loop([], runner=runner).run()
    (reason,) = pauses_in(study.workspace.journal().events, PauseKind.INFRASTRUCTURE)
    assert state.pause and "killed by signal 9 (SIGKILL)" in reason and "(3 times in a row)" in reason
    assert [folder.name for folder in runner.started] == ["run_0.1.smoke", "run_0.2.smoke", "run_0.3.smoke"]


def test_code_that_is_killed_as_often_again_after_a_resume_has_failed(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1), plots=False)
    others = Counter({"run_1": 6, "run_1.evaluate": 6})
    runner = KillingRunner(leave_results, times=6, tries=others)
    model = ScriptedModel([FASTER, MOMENTUM, NOTES])
    assert study.loop(model, runner=runner).run().pause and len(model.requests) == 1
    state = study.loop(model, runner=runner).run(Resumed())
    assert state.ended and state.ended.completed
    assert "killed by signal 9 (SIGKILL)" in model.requests[1].messages[-1].content
    assert (state.rows[0].attempts, len(runner.killed)) == (2, 6)
