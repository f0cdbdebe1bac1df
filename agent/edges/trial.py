"""One run of an experiment in a scratch folder, apart from any workspace: the same supervised steps, no journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.core.events import Step
from agent.core.failure import ExitRecord, Failure, as_smoke, bad_results, diagnose, no_results
from agent.core.results import ResultsProblem, means_metrics, parse_results, read_number
from agent.core.spec import Source
from agent.edges.attempt import EVALUATION, prepare_step, read_output
from agent.edges.prepare import Prepared
from agent.edges.runner import Exited, LocalRunner, Lost, Runner, Running
from agent.edges.template import Template
from agent.edges.untrusted import Untrusted
from agent.edges.workspace import Workspace

__all__ = ["Trial", "run_trial"]

STREAM_CAP_BYTES = 2 << 20
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Trial:
    """What one seed came to; `failed` is the step that ended it, for the reason in `failure`.

    values: declared metrics and controls by name. final_info, evaluation: the whole objects, null for NaN. outputs: the
    folder that the experiment wrote. seconds: wall time by step.
    """

    seed: int
    outputs: Path
    values: dict[str, float] = field(default_factory=dict)
    final_info: dict[str, object] = field(default_factory=dict)
    evaluation: dict[str, object] = field(default_factory=dict)
    seconds: dict[Step, float] = field(default_factory=dict)
    failed: Step | None = None
    failure: Failure | None = None


def run_trial(
    scratch: Path,
    template: Template,
    code: Mapping[str, str],
    *,
    seed: int,
    interpreter: Path,
    inherited: Mapping[str, str],
    data: Path | None = None,
    prepared: Prepared | None = None,
    steps: Sequence[Step] = (Step.RUN, Step.EVALUATE),
    runner: Runner | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Trial:
    """Run `code` with SCIENTIST_SEED=`seed` in the new folder `scratch`, its outputs in run_<seed>; evaluate it.

    `steps` in this order; an evaluation only where the template has one. The first that fails is the last. Whatever
    ends this call, no process of the step stays behind.
    """
    runner = runner or LocalRunner()
    workspace = Workspace(scratch)
    names = {step: f"run_{seed}.1" + ("" if step is Step.RUN else f".{step.value}") for step in steps}
    ran = workspace.step_folder(names.get(Step.RUN, names[steps[0]])) / "work" / f"run_{seed}"
    trial = Trial(seed, ran)
    for step, name in names.items():
        if step is Step.EVALUATE and template.spec.evaluate is None:
            continue
        spec = prepare_step(
            workspace,
            template,
            step,
            name,
            code,
            run=seed,
            interpreter=interpreter,
            inherited=inherited,
            run_outputs=ran if step is Step.EVALUATE else None,
            data=data,
            prepared=prepared,
        )
        folder = workspace.step_folder(name)
        try:
            runner.start(folder, spec)
            record = _wait(runner, folder, sleep)
        except BaseException:  # Ctrl-C too
            runner.kill(folder)
            raise
        trial = replace(trial, seconds=trial.seconds | {step: record.wall_s})
        trial = _read(trial, template, step, runner, folder, record, [n for n in code if n.endswith(".py")])
        if trial.failure:
            break
    return trial


def _wait(runner: Runner, folder: Path, sleep: Callable[[float], None]) -> ExitRecord:
    while True:
        status = runner.poll(folder)
        match status:
            case Exited():
                return status.record
            case Running():
                sleep(POLL_S)
            case _:
                runner.kill(folder)
                reason = status.reason if isinstance(status, Lost) else "it has no supervisor"
                return ExitRecord(None, None, False, False, 0.0, 0.0, None, reason)


def _read(
    trial: Trial, template: Template, step: Step, runner: Runner, folder: Path, record: ExitRecord, own: Sequence[str]
) -> Trial:
    """The trial with what the ended step left, or with its failure."""
    stdout, stderr = runner.read_streams(folder, STREAM_CAP_BYTES)

    def fail(failure: Failure) -> Trial:
        return replace(trial, failed=step, failure=as_smoke(failure) if step is Step.SMOKE else failure)

    if record.exit_code != 0 or record.timed_out or record.stopped or record.error:
        return fail(diagnose(record, stdout, stderr, own_files=own, gpu_expected=Path("/dev/nvidiactl").exists()))
    if step is Step.PLOT:
        return trial
    source: Source = "evaluation" if step is Step.EVALUATE else "final_info"
    parts = (EVALUATION,) if step is Step.EVALUATE else (f"run_{trial.seed}", "final_info.json")
    text = read_output(folder / "work", *parts)
    if text is None:
        return fail(no_results(record, stdout, stderr, "/".join(parts), own_files=own))
    if isinstance(text, Untrusted):
        return fail(bad_results(record, stdout, stderr, [f"{'/'.join(parts)} {text.problem}"], own_files=own))
    spec = template.spec
    results = parse_results(text, spec.metrics, source)
    if isinstance(results, ResultsProblem):
        return fail(bad_results(record, stdout, stderr, results.problems, own_files=own))
    values = trial.values | results.values | (means_metrics(results.data) if template.foreign else {})
    for control in spec.controls:
        value = read_number(results.data, control.path) if control.source == source else None
        if value is not None:
            values[control.name] = value
    if template.foreign and not values:
        return fail(bad_results(record, stdout, stderr, ["final_info.json has no number under `means`"], own_files=own))
    if source == "evaluation":
        return replace(trial, values=values, evaluation=results.data)
    return replace(trial, values=values, final_info=results.data)
