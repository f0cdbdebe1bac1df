"""Folder of a supervised step before it begins: code, inputs, limits, and the walls that it asks for."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from agent.core.evidence.baseline import Baseline, without_doubt
from agent.core.inputs.spec import StepLimits
from agent.core.journal.kinds import Step
from agent.edges.run.companions import put_companions
from agent.edges.run.step_folder import StepSpec
from agent.edges.sandbox.walls import Bounds, WantedWalls
from agent.edges.system.untrusted import Untrusted, read_untrusted
from agent.edges.template.data import Prepared
from agent.edges.template.load import Template
from agent.edges.template.variables import resolve_command, run_environment
from agent.edges.workspace.layout import Workspace
from agent.errors import IntegrityError

EVALUATION = "evaluation.json"
PLAN = "confine.json"
RESULTS_CAP_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class StepRequest:
    """Step to prepare."""

    # Its kind.
    step: Step
    # Name of its new folder.
    folder: str
    # Number of its run.
    run: int
    # Texts of the files of its commit.
    code: Mapping[str, str]
    # Folder of the run that an evaluation reads.
    run_outputs: Path | None = None
    # Seed of a replication. None: the number of the run.
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Equipment:
    """Interpreter, variables, sandbox and data that the steps of an idea are run with."""

    interpreter: Path
    # Environment that a step may draw from, by an allow-list.
    inherited: Mapping[str, str]
    # As --sandbox takes it. The machine that runs the step finds out whether it has it.
    sandbox: str = "off"
    # Folder that --data names.
    data: Path | None = None
    # The profile's data. A run is told the folder to train on, an evaluation also its own folder.
    prepared: Prepared | None = None


def prepare_step(workspace: Workspace, template: Template, request: StepRequest, equipment: Equipment) -> StepSpec:
    """Fill the step's new `work` folder, and describe its command and its walls. Published runs are linked.

    Raises: IntegrityError if the folder is there already.
    """
    place = workspace.step_folder(request.folder)
    work = place / "work"
    if os.path.lexists(work):  # files of an earlier step must not be taken for this one's
        raise IntegrityError(str(work), "is there already, and not of this step", "move it away, then resume")
    for part in (work, place / "home"):
        part.mkdir(parents=True, exist_ok=True)
    _write_inputs(work, template, request.step, request.code)
    run = None if request.step is Step.PLOT else request.run
    _link_inputs(workspace, template, work, run, equipment.data)
    opened = put_companions(template, work, request.step, request.code)
    if request.run_outputs:
        _link(work / f"run_{request.run}", request.run_outputs)
    environment = run_environment(
        interpreter=equipment.interpreter,
        sealed=template.sealed,
        home=place / "home",
        seed=request.run if request.seed is None else request.seed,
        smoke=request.step is Step.SMOKE,
        extra=template.spec.environment.variables,
        inherited=equipment.inherited,
    )
    limits = limits_of(template)
    return StepSpec(
        argv=resolve_command(command_of(template, request.step, request.run), equipment.interpreter),
        env=environment | _data_variables(request.step, equipment.prepared),
        deadline_s=deadline_of(limits, request.step),
        log_cap_mib=limits.log_mib,
        stop_file=workspace.stop_file,
        walls=_walls_of(template, request, equipment, place, opened),
        bounds=Bounds(limits.memory_gib or 0.0, limits.processes, limits.file_gib, limits.disk_gib),
    )


def _walls_of(
    template: Template, request: StepRequest, equipment: Equipment, place: Path, opened: Sequence[str]
) -> WantedWalls:
    """Walls around a step whose folder is `place`: of workspace and home it reads only files that it is given.

    opened: those of the template that it finds by links.

    An evaluator that runs none of the model's code may put code that it serves into a sandbox inside its own.
    """
    attempts, own, home = place.parent, template.spec.sandbox.read, equipment.inherited.get("HOME", "")
    given = [*([template.sealed] if template.sealed else []), *([request.run_outputs] if request.run_outputs else [])]
    given += [*_linked_in(place / "work"), *_folders_of(request.step, equipment.prepared)]
    data = [name for name in _data_names(attempts) if name.is_symlink()]
    evaluate = template.spec.evaluate
    serves = request.step is Step.EVALUATE and evaluate is not None and not evaluate.runs_experiment_code
    return WantedWalls(
        sandbox=equipment.sandbox,
        search=equipment.inherited.get("PATH", ""),
        interpreter=str(equipment.interpreter),
        read=tuple(dict.fromkeys((*map(str, given), *opened, *own))),
        served=tuple(own),
        write=(str(place / "work"), str(place / "home")),
        links=tuple((str(name), str(name.readlink())) for name in data),
        network=template.spec.sandbox.network,
        closed=(*([home] if home else []), str(attempts.parent.parent), str(template.folder)),
        inner_plan=str(place / PLAN) if serves and equipment.sandbox != "off" else "",
    )


def _data_variables(step: Step, prepared: Prepared | None) -> dict[str, str]:
    if prepared is None:
        return {}
    training = {"SCIENTIST_TRAINING_DATA": str(prepared.training)}
    match step:
        case Step.SMOKE | Step.RUN:
            return training
        case Step.EVALUATE:
            return training | {"SCIENTIST_EVALUATION_DATA": str(prepared.evaluation)}
        case Step.PLOT:
            return {}
        case _:
            assert_never(step)


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
        case _:
            assert_never(step)
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


def deadline_of(limits: StepLimits, step: Step) -> float:
    """Seconds that the step may take."""
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
    """The baselines that runs may be drawn beside."""
    sound = without_doubt(baselines)
    rows = [{"name": b.name, "seed": b.seed, "setting": b.setting, "metrics": b.values} for b in sound]
    return json.dumps(rows, indent=1)


def _link_inputs(workspace: Workspace, template: Template, work: Path, run: int | None, data: Path | None) -> None:
    """Link other published runs than `run`, and the data in the places where AI-Scientist's folders expect them."""
    for published in sorted(workspace.path.glob("run_*")):
        if published.is_dir() and published.name != f"run_{run}":
            _link(work / published.name, published)
    if template.reads_means and run != 0 and (template.folder / "run_0").is_dir():
        _link(work / "run_0", template.folder / "run_0")  # AI-Scientist's plot.py draws it as the baseline
    if data:
        for name in (work / "data", *_data_names(workspace.attempts)):
            _link(name, data)


def _data_names(attempts: Path) -> tuple[Path, ...]:
    """Names beyond a step's folder under which AI-Scientist's experiments look for data: ../../data from the template's
    own folder, ../../../data from an idea's.
    """
    return attempts / "data", attempts.parent / "data"


def _link(name: Path, target: Path) -> None:
    if not name.is_symlink() and not name.exists():
        name.symlink_to(target)


def read_output(work: Path, *parts: str) -> str | Untrusted | None:
    """A JSON file that a step left under `work`, as text. None: there is no such file."""
    content = read_untrusted(work.joinpath(*parts), RESULTS_CAP_BYTES, within=work)
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else content
