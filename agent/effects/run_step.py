"""Supervised steps of an idea: started once, waited for, their results read."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from agent.core.code.digest import imported_modules
from agent.core.decide import AwaitStep, StartStep
from agent.core.failure.diagnose import Failure, FailureKind
from agent.core.failure.record import ExitRecord
from agent.core.journal.events import Closed, Opened, Result, Step, Voided
from agent.core.journal.state import State
from agent.edges.git.repo import Repo
from agent.edges.run import step_folder as step
from agent.edges.run.prepare_step import prepare_step
from agent.edges.run.publish import collect_figures
from agent.edges.run.reading import read_step
from agent.edges.run.runner import HEARTBEAT_LIMIT_S, Exited, Lost, Runner, Running, Taken, Unclaimed, say_silence
from agent.edges.sandbox.choose import NO_SANDBOX, Sandbox
from agent.edges.template.data import PreparedData
from agent.edges.template.frozen import check_frozen, unplant
from agent.edges.template.load import Template
from agent.edges.workspace.layout import Workspace
from agent.errors import UsageError

POLL_S = 0.1
SILENCE_GRACE_S = 30.0  # a machine that slept wakes orchestrator and supervisor in any order


@dataclass(frozen=True, slots=True)
class Steps:
    """The edges of supervised steps. `inherited` is the environment that a run may draw from, by an allow-list.

    `prepared` is the profile's data, where the template prepares any. warn: told, for a person, what keeps a step.
    clock: seconds since the epoch.
    """

    workspace: Workspace
    repo: Repo
    template: Template
    runner: Runner
    inherited: Mapping[str, str]
    sleep: Callable[[float], None]
    prepared: PreparedData | None = None
    sandbox: Sandbox = NO_SANDBOX
    warn: Callable[[str], None] = lambda text: None
    clock: Callable[[], float] = time.time
    heartbeat_limit_s: float = HEARTBEAT_LIMIT_S

    def start(self, state: State, action: StartStep, begun: bool) -> Result:
        """Start the step, or find what an earlier try started; one that nobody began is closed to late comers.

        Raises: UsageError where its data is gone and cannot be made again; IntegrityError where the frozen template
        is not as it was, so that no evaluator runs that an experiment overwrote.
        """
        folder = self.workspace.step_folder(action.folder)
        if begun:
            folder.mkdir(parents=True, exist_ok=True)
            status = self.runner.poll(folder)
            if isinstance(status, Taken) or (isinstance(status, Unclaimed) and self.runner.take_claim(folder)):
                return Voided(step=action.step, folder=action.folder, reason="no supervisor had begun")
            return Opened(step=action.step, folder=action.folder)
        assert state.attempt.candidate
        outputs = None
        if action.step is Step.EVALUATE:
            run_step = self.workspace.step_folder(state.attempt.candidate.folders[Step.RUN])
            outputs = run_step / "work" / f"run_{state.run.number}"
        data = Path(state.launched.data) if state.launched.data else None
        if data and not data.is_dir():
            raise UsageError(str(data), "the folder of --data is gone", "put it or a link to it back, then resume")
        check_frozen(self.template.folder)  # an earlier step could write there
        unplant(self.template.folder)
        spec = prepare_step(
            self.workspace,
            self.template,
            action.step,
            action.folder,
            self.repo.read(action.commit),
            run=state.run.number,
            interpreter=Path(state.launched.python),
            inherited=self.inherited,
            run_outputs=outputs,
            data=data,
            prepared=self.prepared.folders() if self.prepared and action.step is not Step.PLOT else None,
            sandbox=self.sandbox,
        )
        self.runner.start(folder, spec)
        return Opened(step=action.step, folder=action.folder)

    def wait(self, state: State, action: AwaitStep) -> Result:
        """Wait for the step's end, whoever started it, and read what it left.

        A supervisor that lives and is silent may wake again: it is killed once its deadline has passed without it.
        """
        folder = self.workspace.step_folder(action.folder)
        silent_s = 0.0
        while True:
            status = self.runner.poll(folder)
            match status:
                case Running() if status.heartbeat_age_s > self.heartbeat_limit_s:
                    if self._is_hopeless(folder, status, silent_s):
                        self.runner.kill(folder)
                        if not isinstance(self.runner.poll(folder), Running):
                            return _lost(action, say_silence(status))
                    silent_s += POLL_S
                    self.sleep(POLL_S)
                case Running():
                    silent_s = 0.0
                    self.sleep(POLL_S)
                case Exited() if status.record.stopped and not self.workspace.stop_file.exists():
                    return _lost(action, "it was killed when its orchestrator ended")
                case Exited():
                    return self._close(state, action, folder, status.record)
                case Lost():
                    self.runner.kill(folder)
                    return _lost(action, status.reason)
                case Unclaimed() | Taken():
                    return _lost(action, "it has no supervisor")
                case _:
                    assert_never(status)

    def _is_hopeless(self, folder: Path, supervisor: Running, silent_s: float) -> bool:
        """Whether to wait no longer for a supervisor that was silent since before the first look, `silent_s` ago."""
        begun_s = (folder / step.CLAIM).stat().st_mtime
        left_s = begun_s + step.read_spec(folder).deadline_s + SILENCE_GRACE_S - self.clock()
        if not silent_s:
            self.warn(
                f"{folder.name}: {say_silence(supervisor)}: it is stopped, or starved of CPU or disk. Wake it: "
                f"kill -CONT {supervisor.pid}, or end it: scientist stop {shlex.quote(str(self.workspace.path))}; "
                f"else it is killed in {max(left_s, SILENCE_GRACE_S):.0f} s, and the step begins again"
            )
        return self.workspace.stop_file.exists() or (left_s <= 0 and silent_s >= SILENCE_GRACE_S)

    def _close(self, state: State, action: AwaitStep, folder: Path, record: ExitRecord) -> Result:
        code = self.repo.read(state.attempt.candidate.commit if state.attempt.candidate else state.code.head)
        reading = read_step(
            self.runner,
            folder,
            record,
            self.template,
            action.step,
            state.run.number,
            own=[name for name in code if name.endswith(".py")],
            edited_imports=_imports(code) - _imports(self.repo.read(state.launched.commit)),
        )
        failure = reading.failure
        if failure and self.prepared and not self.prepared.is_there() and not record.stopped:
            return _lost(action, "the data that it read was removed from the store")
        if action.step is Step.PLOT and not failure:
            collect_figures(self.workspace, folder)
        return Closed(
            step=action.step,
            folder=action.folder,
            exit=record,
            failure=failure,
            infrastructure=failure is not None and failure.kind is FailureKind.INFRASTRUCTURE,
            values=reading.values,
            seconds=record.wall_s,
            self_reported=reading.self_reported,
        )


def _lost(action: AwaitStep, reason: str) -> Closed:
    failure = replace(Failure.of_edit(reason, reason), kind=FailureKind.INFRASTRUCTURE)
    return Closed(step=action.step, folder=action.folder, failure=failure, infrastructure=True)


def _imports(code: Mapping[str, str]) -> frozenset[str]:
    return frozenset(module for name, text in code.items() if name.endswith(".py") for module in imported_modules(text))
