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
from agent.edges.run.runner import Exited, Lost, Runner
from agent.edges.run.step_folder import StepSpec
from agent.edges.run.wait import StepPatience, wait
from agent.edges.template.load import Template
from agent.edges.workspace.layout import Workspace

__all__ = ["Trial", "run_trial"]

TRIES = 3


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
    patience = StepPatience(sleep, is_stopped=workspace.stop_file.exists)
    own = [file for file in code if file.endswith(".py")]
    known = {name for row in template.baselines for name in row.values}
    trial = Trial(seed, _folder(workspace, Step.RUN, seed, 1) / "work" / f"run_{seed}")
    for step in steps:
        if step is Step.EVALUATE and not template.spec.evaluate:
            continue
        for serial in range(1, TRIES + 1):  # once more if the machine, not the code, ended it
            folder = _folder(workspace, step, seed, serial)
            outputs = trial.outputs if step is Step.EVALUATE else None
            request = StepRequest(step, folder.name, seed, code, outputs)
            end = _supervise(runner, folder, prepare_step(workspace, template, request, equipment), patience)
            if isinstance(end, Exited) and not end.record.was_killed:
                break
        record = end.record if isinstance(end, Exited) else ExitRecord.lost(end.reason)
        if step is Step.RUN or (step is not Step.EVALUATE and Step.RUN not in steps):
            trial = replace(trial, outputs=folder / "work" / f"run_{seed}")
        reading = read_step(runner, EndedStep(folder, step, seed, record), template, own=own, known=known)
        trial = _add(trial, step, record, reading)
        if trial.failure:
            break
    return trial


def _folder(workspace: Workspace, step: Step, seed: int, serial: int) -> Path:
    return workspace.step_folder(f"run_{seed}.{serial}" + ("" if step is Step.RUN else f".{step.value}"))


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


def _supervise(runner: Runner, folder: Path, spec: StepSpec, patience: StepPatience) -> Exited | Lost:
    """Start the step and wait for its end. If this call is ended, nothing of the step stays behind."""
    try:
        runner.start(folder, spec)
        return wait(runner, folder, patience)
    except BaseException:  # Ctrl-C too
        runner.kill(folder)
        raise
