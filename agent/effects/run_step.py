"""Supervised steps of an idea: started once, waited for, their results read."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.core.code.digest import imported_modules
from agent.core.decide import AwaitStep, StartStep, commit_of
from agent.core.evidence.draws import doubt_repeat, doubt_seed
from agent.core.failure.diagnose import Failure, FailureKind
from agent.core.failure.record import ExitRecord
from agent.core.journal.action_results import Closed, Opened, Result, Voided
from agent.core.journal.kinds import Measured, Step
from agent.core.journal.state import State
from agent.core.prompt.view import reference_of
from agent.edges.git.repo import Repo
from agent.edges.run.baselines import weigh
from agent.edges.run.prepare_step import Equipment, StepRequest, prepare_step
from agent.edges.run.publish import collect_figures
from agent.edges.run.reading import EndedStep, read_step
from agent.edges.run.runner import HEARTBEAT_LIMIT_S, Exited, Runner, Taken, Unclaimed
from agent.edges.run.wait import StepPatience, wait
from agent.edges.template.data import PreparedData
from agent.edges.template.frozen import check_frozen, unplant
from agent.edges.template.load import Template
from agent.edges.template.origin import Given
from agent.edges.workspace.layout import Workspace
from agent.errors import UsageError

MOST_COMPARED = 8  # earlier runs whose code is compared with that of a run


@dataclass(frozen=True, slots=True)
class Steps:
    """The edges of supervised steps."""

    # Holds the steps' folders.
    workspace: Workspace
    # Code of a step is read from its commits.
    repo: Repo
    # The frozen copy that the idea was launched with.
    template: Template
    # Starts supervisors and asks how they stand.
    runner: Runner
    # The environment from which a run gets the variables of an allow-list.
    inherited: Mapping[str, str]
    # Waits that many seconds between two looks at a step.
    sleep: Callable[[float], None]
    # The profile's data, if the template prepares any.
    prepared: PreparedData | None = None
    # As --sandbox takes it.
    sandbox: str = "off"
    # Called with a line for a person if a step is kept waiting.
    warn: Callable[[str], None] = lambda text: None
    # File in which digests of large files are remembered.
    digests: Path | None = None
    # Seconds since the epoch.
    clock: Callable[[], float] = time.time
    # Seconds without a heartbeat after which a supervisor counts as silent.
    heartbeat_limit_s: float = HEARTBEAT_LIMIT_S

    def start(self, state: State, action: StartStep, begun: bool) -> Result:
        """Start the step, or find the one that an earlier try started.

        If nobody began that one and no queue holds it, it is closed, so that no supervisor can begin it any more.

        Raises: UsageError if its data is gone and cannot be made again, IntegrityError if the frozen template was
        changed, so that no evaluator runs that an experiment overwrote.
        """
        folder = self.workspace.step_folder(action.folder)
        self.workspace.attempts.stat()  # a workspace that somebody removed is not made again
        if begun:
            folder.mkdir(parents=True, exist_ok=True)
            status = self.runner.poll(folder)
            if isinstance(status, Taken) or (isinstance(status, Unclaimed) and self.runner.take_claim(folder)):
                return Voided(step=action.step, folder=action.folder, reason="no supervisor had begun")
            return Opened(step=action.step, folder=action.folder)
        place, outputs = place_of(state, action.folder), None
        if action.step is Step.EVALUATE:
            outputs = self.workspace.step_folder(place.folders[Step.RUN]) / "work" / f"run_{place.run}"
        data = Path(state.launched.data) if state.launched.data else None
        if data and not data.is_dir():
            raise UsageError(str(data), "the folder of --data is gone", "put it or a link to it back, then resume")
        check_frozen(self.template.folder)  # an earlier step could write there
        unplant(self.template.folder)
        code = self.repo.read(action.commit)
        request = StepRequest(action.step, action.folder, place.run, code, outputs, place.seed)
        equipment = Equipment(
            Path(state.launched.python),
            self.inherited,
            self.sandbox,
            data,
            self.prepared.folders() if self.prepared and action.step is not Step.PLOT else None,
        )
        spec = prepare_step(self.workspace, self.template, request, equipment)
        self.runner.start(folder, spec)
        return Opened(step=action.step, folder=action.folder)

    def wait(self, state: State, action: AwaitStep) -> Result:
        """Wait for the end of the step, whoever started it, and read its results."""
        folder = self.workspace.step_folder(action.folder)
        patience = StepPatience(
            self.sleep,
            clock=self.clock,
            is_stopped=self.workspace.is_stopped,
            warn=self.warn,
            way_to_end=f"scientist stop {shlex.quote(str(self.workspace.path))}",
            heartbeat_limit_s=self.heartbeat_limit_s,
        )
        end = wait(self.runner, folder, patience)
        return self._close(state, action, folder, end.record) if isinstance(end, Exited) else _lost(action, end.reason)

    def _close(self, state: State, action: AwaitStep, folder: Path, record: ExitRecord) -> Result:
        place = place_of(state, action.folder)
        code = self.repo.read(place.commit)
        reading = read_step(
            self.runner,
            EndedStep(folder, action.step, place.run, record, self.workspace.is_stopped),
            self.template,
            own=[name for name in code if name.endswith(".py")],
            known={name for row in reference_of(state, self.template.baselines) for name in row.values},
            edited_imports=_imports(code) - _imports(self.repo.read(state.launched.commit)),
        )
        failure = reading.failure
        if failure and self.prepared and not self.prepared.is_there() and not record.stopped:
            return _lost(action, "the data that it read was removed from the store")
        if action.step is Step.PLOT and not failure:
            collect_figures(self.workspace, folder, self.template.given)
        return Closed(
            step=action.step,
            folder=action.folder,
            exit=record,
            failure=failure,
            infrastructure=failure is not None and failure.kind is FailureKind.INFRASTRUCTURE,
            values=reading.measured.values,
            seconds=record.wall_s,
            self_reported=reading.measured.self_reported,
            doubt="" if failure else self._doubt(state, place, action.step, code, reading.measured.values),
        )

    def _doubt(
        self, state: State, place: RunPlace, step: Step, code: Mapping[str, str], values: Mapping[str, float]
    ) -> str:
        """Why the run compares with no baseline, known at the end of its last step: its seed, or what changed since
        the launch.
        """
        last = Step.EVALUATE if state.launched.evaluates else Step.RUN
        if step is not last or place.seed == 0:
            return ""
        spec, launched = self.template.spec, self.repo.read(state.launched.commit)
        if not spec.deterministic and (doubt := doubt_seed(launched, code)):
            return doubt
        if place.seed == place.run:
            ran = {name: text for name, text in code.items() if name in spec.run_files}
            same = {
                row.run: row.values
                for row in state.rows[-MOST_COMPARED:]
                if row.completed and self.repo.read(row.commit, spec.run_files) == ran
            }
        else:
            same = {place.run: known} if (known := _values_of(state, place.run)) else {}
        return doubt_repeat(spec, {**place.measured.values, **values}, same) or self._weigh(state)

    def _weigh(self, state: State) -> str:
        """Why the baselines judge none any more, as they did at the launch: data or packages may have changed."""
        if state.launched.doubt or not self.template.lineage.recorded:
            return ""
        data = Path(state.launched.data) if state.launched.data else None
        names: tuple[str | None, str | None] = (state.launched.training, state.launched.evaluation)
        if self.template.spec.prepare and not state.launched.training:  # a journal that does not know them
            names = (None, None)
        given = Given(Path(state.launched.python), data, *names, dict(self.inherited), self.digests)
        try:
            return weigh(self.template, given)[1]
        except UsageError as error:
            return str(error)
        except OSError as error:  # as a package whose folder somebody is just changing
            return f"its baselines cannot be held against this machine: {error}"


@dataclass(frozen=True, slots=True)
class RunPlace:
    """The run that a step belongs to: the one at work, or a replication."""

    run: int
    seed: int
    commit: str  # its code
    folders: Mapping[Step, str]  # of its steps that ended
    measured: Measured  # by those


def place_of(state: State, folder: str) -> RunPlace:
    """The run that the step in this folder belongs to."""
    one, candidate, number = state.replications.next, state.attempt.candidate, state.run.number
    if one and folder.startswith(f"run_{one.run}.seed_{one.seed}."):
        return RunPlace(one.run, one.seed, commit_of(state, one.run), one.folders, one.measured)
    if candidate is None:
        return RunPlace(number, number, state.code.head, {}, Measured())
    return RunPlace(number, number, candidate.commit, candidate.folders, candidate.measured)


def _values_of(state: State, run: int) -> dict[str, float]:
    """Results of a run, or else of its first replication: a template with baselines never made run 0 itself."""
    own = state.baseline.values if run == 0 else next((row.values for row in state.rows if row.run == run), {})
    again = state.replications.results_of(run).values()
    return own or next((measured.values for measured in again), {})


def _lost(action: AwaitStep, reason: str) -> Closed:
    failure = replace(Failure.of_edit(reason, reason), kind=FailureKind.INFRASTRUCTURE)
    return Closed(step=action.step, folder=action.folder, failure=failure, infrastructure=True)


def _imports(code: Mapping[str, str]) -> frozenset[str]:
    return frozenset(module for name, text in code.items() if name.endswith(".py") for module in imported_modules(text))
