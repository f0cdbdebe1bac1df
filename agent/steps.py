"""Supervised steps of an idea: started once, waited for, their results read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import assert_never

from agent.core.code import imported_modules
from agent.core.decide import AwaitStep, StartStep
from agent.core.events import Closed, Opened, Result, Step, Voided
from agent.core.failure import ExitRecord, Failure, FailureKind, as_smoke, bad_results, diagnose, no_results
from agent.core.failure_text import cut_line
from agent.core.results import ResultsProblem, means_metrics, parse_results, read_number
from agent.core.spec import Source
from agent.core.state import State
from agent.edges.attempt import EVALUATION, collect_figures, prepare_step, read_output
from agent.edges.prepare import PreparedData
from agent.edges.repo import Repo
from agent.edges.runner import Exited, Lost, Runner, Running, Taken, Unclaimed
from agent.edges.template import Template, check_frozen, unplant
from agent.edges.untrusted import Untrusted
from agent.edges.workspace import Workspace

STREAM_CAP_BYTES = 2 << 20
POLL_S = 0.1
REASON_CHARS = 400


@dataclass(frozen=True, slots=True)
class Steps:
    """The edges of supervised steps. `inherited` is the environment that a run may draw from, by an allow-list.

    `prepared` is the profile's data, where the template prepares any.
    """

    workspace: Workspace
    repo: Repo
    template: Template
    runner: Runner
    inherited: Mapping[str, str]
    sleep: Callable[[float], None]
    prepared: PreparedData | None = None

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
        assert state.candidate
        outputs = None
        if action.step is Step.EVALUATE:
            run_step = self.workspace.step_folder(state.candidate.folders[Step.RUN])
            outputs = run_step / "work" / f"run_{state.run}"
        check_frozen(self.template.folder)  # an earlier step could write there
        unplant(self.template.folder)
        spec = prepare_step(
            self.workspace,
            self.template,
            action.step,
            action.folder,
            self.repo.read(action.commit),
            run=state.run,
            interpreter=Path(state.launched.python),
            inherited=self.inherited,
            run_outputs=outputs,
            data=Path(state.launched.data) if state.launched.data else None,
            prepared=self.prepared.folders() if self.prepared and action.step is not Step.PLOT else None,
        )
        self.runner.start(folder, spec)
        return Opened(step=action.step, folder=action.folder)

    def wait(self, state: State, action: AwaitStep) -> Result:
        """Wait for the step's end, whoever started it, and read what it left."""
        folder = self.workspace.step_folder(action.folder)
        while True:
            status = self.runner.poll(folder)
            match status:
                case Running():
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

    def _close(self, state: State, action: AwaitStep, folder: Path, record: ExitRecord) -> Result:
        reading = self._read_step(state, action, folder, record)
        failure = reading.failure
        if failure and self.prepared and not self.prepared.is_there() and not record.stopped:
            return _lost(action, "the data that it read was removed from the store")
        if failure and action.step is Step.SMOKE:
            failure = as_smoke(failure)
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

    def _read_step(self, state: State, action: AwaitStep, folder: Path, record: ExitRecord) -> _Reading:
        stdout, stderr = self.runner.read_streams(folder, STREAM_CAP_BYTES)
        code = self.repo.read(state.candidate.commit if state.candidate else state.head)
        own = [name for name in code if name.endswith(".py")]
        if record.exit_code != 0 or record.timed_out or record.stopped or record.error:
            original = self.repo.read(state.launched.commit)
            added = _imports(code) - _imports(original)
            gpu = Path("/dev/nvidiactl").exists()
            failure = diagnose(record, stdout, stderr, own_files=own, edited_imports=added, gpu_expected=gpu)
            return _Reading(failure=failure)
        if action.step is Step.PLOT:
            return _Reading()
        source: Source = "evaluation" if action.step is Step.EVALUATE else "final_info"
        parts = (EVALUATION,) if source == "evaluation" else (f"run_{state.run}", "final_info.json")
        text = read_output(folder / "work", *parts)
        if text is None:
            return _Reading(failure=no_results(record, stdout, stderr, "/".join(parts), own_files=own))
        if isinstance(text, Untrusted):
            problem = f"{'/'.join(parts)} {text.problem}"
            return _Reading(failure=bad_results(record, stdout, stderr, [problem], own_files=own))
        return self._read_values(text, source, record, stdout, stderr)

    def _read_values(self, text: str, source: Source, record: ExitRecord, stdout: str, stderr: str) -> _Reading:
        spec = self.template.spec
        results = parse_results(text, spec.metrics, source)
        if isinstance(results, ResultsProblem):
            return _Reading(failure=bad_results(record, stdout, stderr, results.problems))
        if self.template.foreign:
            values = means_metrics(results.data)
            problem = ["final_info.json has no number under `means`"]
            return _Reading(values, None if values else bad_results(record, stdout, stderr, problem))
        controls = ((c.name, read_number(results.data, c.path)) for c in spec.controls if c.source == source)
        values = results.values | {name: value for name, value in controls if value is not None}
        return _Reading(values, self_reported=read_self_report(results.data) if source == "evaluation" else "")


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a step that ended left: numbers, or why there are none; why they are self-reported, where they say so."""

    values: dict[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    self_reported: str = ""


def read_self_report(evaluation: Mapping[str, object]) -> str:
    """Why an evaluation calls itself self-reported, in one line; empty where it does not."""
    reason = evaluation.get("self_reported")
    if reason in (None, False, ""):
        return ""
    line = " ".join(reason.split()) if isinstance(reason, str) else ""
    return cut_line(line, REASON_CHARS) or "evaluation.json gives no reason"


def _lost(action: AwaitStep, reason: str) -> Closed:
    failure = replace(Failure.of_edit(reason, reason), kind=FailureKind.INFRASTRUCTURE)
    return Closed(step=action.step, folder=action.folder, failure=failure, infrastructure=True)


def _imports(code: Mapping[str, str]) -> frozenset[str]:
    return frozenset(module for name, text in code.items() if name.endswith(".py") for module in imported_modules(text))
