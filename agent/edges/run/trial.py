"""One run of an experiment in a scratch folder, apart from any workspace: the same supervised steps, no journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import assert_never

from agent.core.failure.diagnose import Failure
from agent.core.failure.record import ExitRecord
from agent.core.journal.kinds import Step
from agent.edges.run.choose_runner import runner_for
from agent.edges.run.prepare_step import Equipment, StepRequest, prepare_step
from agent.edges.run.reading import EndedStep, StepReading, read_step
from agent.edges.run.runner import Exited, Runner
from agent.edges.run.step_folder import StepSpec
from agent.edges.run.wait import StepPatience, wait
from agent.edges.template.load import Template
from agent.edges.workspace.layout import Workspace

__all__ = ["Trial", "run_trial"]


@dataclass(frozen=True, slots=True)
class Trial:
    """Results of one seed, or the failure that ended it."""

    # Seed that the experiment was started with.
    seed: int
    # Folder that the experiment wrote.
    outputs: Path
    # Declared metrics and controls by name.
    values: dict[str, float] = field(default_factory=dict)
    # The whole object, null for NaN.
    final_info: dict[str, object] = field(default_factory=dict)
    # The whole object, null for NaN.
    evaluation: dict[str, object] = field(default_factory=dict)
    # Wall time by step.
    seconds: dict[Step, float] = field(default_factory=dict)
    # Step that ended it, for the reason in `failure`.
    failed: Step | None = None
    # Why the step in `failed` failed; None if all went well.
    failure: Failure | None = None


def run_trial(
    scratch: Path,
    template: Template,
    code: Mapping[str, str],
    equipment: Equipment,
    *,
    seed: int,
    steps: Sequence[Step] = (Step.RUN, Step.EVALUATE),
    sleep: Callable[[float], None] = time.sleep,
) -> Trial:
    """Run `code` with SCIENTIST_SEED=`seed` in the new folder `scratch`, its outputs in run_<seed>, and evaluate it.

    Steps are taken in the order of `steps`, an evaluation only if the template has one. The first that fails is the
    last. At return, or if the call is interrupted, no process of a step is left.
    """
    runner, workspace = runner_for(None), Workspace(scratch)
    due = [step for step in steps if step is not Step.EVALUATE or template.spec.evaluate]
    names = {step: f"run_{seed}.1" + ("" if step is Step.RUN else f".{step.value}") for step in due}
    ran = workspace.step_folder(names.get(Step.RUN, names[due[0]])) / "work" / f"run_{seed}"
    own = [file for file in code if file.endswith(".py")]
    trial = Trial(seed, ran)
    for step, name in names.items():
        request = StepRequest(step, name, seed, code, ran if step is Step.EVALUATE else None)
        spec = prepare_step(workspace, template, request, equipment)
        folder = workspace.step_folder(name)
        record = _supervise(runner, folder, spec, StepPatience(sleep, is_stopped=workspace.stop_file.exists))
        known = {name for row in template.baselines for name in row.values}
        reading = read_step(runner, EndedStep(folder, step, seed, record), template, own=own, known=known)
        trial = _add(trial, step, record, reading)
        if trial.failure:
            break
    return trial


def _add(trial: Trial, step: Step, record: ExitRecord, reading: StepReading) -> Trial:
    """The trial with the results of the ended step, or with its failure."""
    trial = replace(trial, seconds=trial.seconds | {step: record.wall_s})
    if reading.failure:
        return replace(trial, failed=step, failure=reading.failure)
    trial = replace(trial, values=trial.values | reading.measured.values)
    match step:
        case Step.EVALUATE:
            return replace(trial, evaluation=reading.data)
        case Step.RUN | Step.SMOKE:
            return replace(trial, final_info=reading.data)
        case Step.PLOT:
            return trial
        case _:
            assert_never(step)


def _supervise(runner: Runner, folder: Path, spec: StepSpec, patience: StepPatience) -> ExitRecord:
    """Start the step and wait for its end. If this call is ended, nothing of the step stays behind."""
    try:
        runner.start(folder, spec)
        end = wait(runner, folder, patience)
    except BaseException:  # Ctrl-C too
        runner.kill(folder)
        raise
    return end.record if isinstance(end, Exited) else ExitRecord.lost(end.reason, spec.deadline_s)
