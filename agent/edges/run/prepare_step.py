"""The folder of a supervised step: what the experiment finds there, and what it leaves."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_never

from agent.core.evidence.baseline import Baseline
from agent.core.inputs.spec import StepLimits
from agent.core.journal.events import Step
from agent.edges.run.step_folder import StepSpec
from agent.edges.run.step_walls import shut_in
from agent.edges.sandbox.choose import NO_SANDBOX, Sandbox
from agent.edges.sandbox.walls import Bounds
from agent.edges.system.untrusted import Untrusted, read_untrusted
from agent.edges.template.data import Prepared
from agent.edges.template.load import Template
from agent.edges.template.variables import resolve_command, run_environment
from agent.edges.workspace.layout import Workspace
from agent.errors import IntegrityError

EVALUATION = "evaluation.json"
RESULTS_CAP_BYTES = 64 << 20
FIGURES = (".png", ".pdf", ".svg")


def prepare_step(
    workspace: Workspace,
    template: Template,
    step: Step,
    folder: str,
    code: Mapping[str, str],
    *,
    run: int,
    interpreter: Path,
    inherited: Mapping[str, str],
    run_outputs: Path | None = None,
    data: Path | None = None,
    prepared: Prepared | None = None,
    sandbox: Sandbox = NO_SANDBOX,
) -> StepSpec:
    """Fill the step's new `work` folder and say what to run there, and what it may reach.

    `run_outputs` is the folder of the run that an evaluation reads. `prepared` is the profile's data: a run is told
    where to train, an evaluation also where its own lies. Published runs are linked.
    Raises: IntegrityError where the folder is there already.
    """
    place = workspace.step_folder(folder)
    work = place / "work"
    if os.path.lexists(work):  # what an earlier step left must not be taken for this one's
        raise IntegrityError(str(work), "is there already, and not of this step", "move it away, then resume")
    for part in (work, place / "home"):
        part.mkdir(parents=True, exist_ok=True)
    _write_inputs(work, template, step, code)
    _link_inputs(workspace, template, work, None if step is Step.PLOT else run, data)
    if run_outputs:
        _link(work / f"run_{run}", run_outputs)
    environment = run_environment(
        interpreter=interpreter,
        sealed=template.sealed,
        home=place / "home",
        seed=run,
        smoke=step is Step.SMOKE,
        extra=template.spec.environment.variables,
        inherited=inherited,
    ) | (_data_variables(step, prepared) if prepared else {})
    given = [path for path in (run_outputs, *_linked_in(work), *_folders_of(step, prepared)) if path]
    walls, changed = shut_in(
        sandbox, template, step, place, environment, interpreter, given=given, home=inherited.get("HOME", "")
    )
    limits = limits_of(template)
    return StepSpec(
        argv=resolve_command(command_of(template, step, run), interpreter),
        env=environment | changed,
        deadline_s=_deadline_s(limits, step),
        log_cap_mib=limits.log_mib,
        stop_file=workspace.stop_file,
        walls=walls,
        bounds=Bounds(limits.memory_gib or 0.0, limits.processes, limits.file_gib, limits.disk_gib),
    )


def _data_variables(step: Step, prepared: Prepared) -> dict[str, str]:
    training = {"SCIENTIST_TRAINING_DATA": str(prepared.training)}
    match step:
        case Step.SMOKE | Step.RUN:
            return training
        case Step.EVALUATE:
            return training | {"SCIENTIST_EVALUATION_DATA": str(prepared.evaluation)}
        case Step.PLOT:
            return {}


def _folders_of(step: Step, prepared: Prepared | None) -> tuple[Path, ...]:
    """The data that a step is told of, and no other's."""
    if prepared is None or step is Step.PLOT:
        return ()
    return (prepared.training, prepared.evaluation) if step is Step.EVALUATE else (prepared.training,)


def _linked_in(work: Path) -> list[Path]:
    return [path.readlink() for path in work.iterdir() if path.is_symlink()]


def command_of(template: Template, step: Step, run: int) -> str:
    """The step's command line, placeholders filled in."""
    spec = template.spec
    match step:
        case Step.SMOKE | Step.RUN:
            command = spec.command
        case Step.EVALUATE:
            assert spec.evaluate
            command = spec.evaluate.command
        case Step.PLOT:
            command = spec.plot
    fields = {"{out_dir}": f"run_{run}", "{sealed}": str(template.sealed or ""), "{evaluation}": EVALUATION}
    for field, value in fields.items():
        command = command.replace(field, shlex.quote(value))
    return command


def _write_inputs(work: Path, template: Template, step: Step, code: Mapping[str, str]) -> None:
    for name, text in code.items():
        target = work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8", "surrogateescape"))
    if template.profile_text:
        profile = template.profile_text if step is Step.EVALUATE else template.public_profile
        (work / "profile.json").write_text(profile, "utf-8")
    if step in (Step.EVALUATE, Step.PLOT):
        (work / "baselines.json").write_text(_baselines_json(template.baselines), "utf-8")


def _deadline_s(limits: StepLimits, step: Step) -> float:
    match step:
        case Step.SMOKE:
            return limits.smoke_s
        case Step.RUN:
            return limits.run_s
        case Step.EVALUATE:
            return limits.evaluate_s
        case Step.PLOT:
            return limits.plot_s
        case _:
            assert_never(step)


def limits_of(template: Template) -> StepLimits:
    """The limits of the template's profile, else the template's."""
    profile = template.spec.profiles.get(template.profile)
    return (profile and profile.limits) or template.spec.limits


def _baselines_json(baselines: Sequence[Baseline]) -> str:
    rows = [{"name": b.name, "seed": b.seed, "setting": b.setting, "metrics": b.values} for b in baselines]
    return json.dumps(rows, indent=1)


def _link_inputs(workspace: Workspace, template: Template, work: Path, run: int | None, data: Path | None) -> None:
    """Other published runs than `run`, and what an AI-Scientist's folder expects to find."""
    for published in sorted(workspace.path.glob("run_*")):
        if published.is_dir() and published.name != f"run_{run}":
            _link(work / published.name, published)
    if template.foreign and run != 0 and (template.folder / "run_0").is_dir():
        _link(work / "run_0", template.folder / "run_0")  # AI-Scientist's plot.py draws it as the baseline
    if data:
        _link(work / "data", data)
        _link(workspace.attempts / "data", data)  # AI-Scientist's experiments read ../../data


def _link(name: Path, target: Path) -> None:
    if not name.is_symlink() and not name.exists():
        name.symlink_to(target)


def read_output(work: Path, *parts: str) -> str | Untrusted | None:
    """A JSON file that a step left under `work`, as text; None where there is none."""
    content = read_untrusted(work.joinpath(*parts), RESULTS_CAP_BYTES, within=work)
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else content
