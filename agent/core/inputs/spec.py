"""template.toml as people write it, checked field by field."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Direction = Literal["higher", "lower", "unknown"]
Source = Literal["final_info", "evaluation"]
Constant = bool | int | float | str

PLACEHOLDERS = frozenset({"out_dir", "sealed", "evaluation", "profile", "store"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_name(name: str) -> str:
    if name.startswith("/") or not name or any(part in ("..", ".git", ".agent", "") for part in name.split("/")):
        raise ValueError(f"{name!r} is no path inside the template")
    return name


def _check_placeholders(command: str) -> str:
    unknown = set(re.findall(r"\{(\w*)\}", command)) - PLACEHOLDERS
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
        raise ValueError(f"{{{min(unknown)}}} is unknown; there are {known}")
    return command


def _check_absolute(path: str) -> str:
    if not path.startswith("/") or path == "/":
        raise ValueError(f"{path!r} is no absolute path below /")
    return path


def _check_constant(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no name of a constant")
    return name


FileName = Annotated[str, AfterValidator(_check_name)]
Command = Annotated[str, AfterValidator(_check_placeholders)]
ConstantName = Annotated[str, AfterValidator(_check_constant)]
KeyPath = Annotated[tuple[str, ...], Field(min_length=1)]


class Metric(_Strict):
    """A number that a run reports: `path` leads to it through the keys of `source`.json.

    `profiles` names those that report it, all if empty; an `optional` one may be null or absent.
    """

    name: str
    source: Source = "final_info"
    path: KeyPath
    direction: Direction = "unknown"
    unit: str = ""
    resolution: Annotated[float, Field(ge=0)] = 0.0
    target: float | None = None
    reading: str = ""
    primary: bool = False
    optional: bool = False
    profiles: tuple[str, ...] = ()


class Control(_Strict):
    """A number that must equal the baseline's, within `tolerance` of it (relative), for a comparison to be fair."""

    name: str
    source: Source = "final_info"
    path: KeyPath
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    profiles: tuple[str, ...] = ()


class Warn(_Strict):
    """Where a diagnostic is out of order; no bound, no warning."""

    below: float | None = None
    above: float | None = None


class Diagnostic(_Strict):
    """A number that tells how a run went inside, as dead latents; shown with its reading, never ranked."""

    name: str
    source: Source = "final_info"
    path: KeyPath
    reading: str = ""
    warn: Warn = Warn()
    profiles: tuple[str, ...] = ()


class StepLimits(_Strict):
    """What a supervised step may use: wall-clock seconds, the size at which a log is cut, and the machine's goods.

    memory_gib: of all its processes; nine tenths of the machine's where none is set. processes: with their threads.
    file_gib: of one file. disk_gib: of all that a step writes, its temporary files included.
    """

    run_s: Annotated[float, Field(gt=0)] = 1800.0
    smoke_s: Annotated[float, Field(gt=0)] = 120.0
    evaluate_s: Annotated[float, Field(gt=0)] = 600.0
    plot_s: Annotated[float, Field(gt=0)] = 300.0
    log_mib: Annotated[float, Field(gt=0)] = 16.0
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    processes: Annotated[int, Field(gt=0)] = 4096
    file_gib: Annotated[float, Field(gt=0)] = 32.0
    disk_gib: Annotated[float, Field(gt=0)] = 64.0


class Reach(_Strict):
    """What steps may reach beyond what each is given: the network, and absolute paths that they may read."""

    network: bool = False
    read: tuple[Annotated[str, AfterValidator(_check_absolute)], ...] = ()


class Environment(_Strict):
    """How the experiment's own interpreter is made; `install` is a list of pip argument lists."""

    python: str = ">=3.11"
    install: tuple[tuple[str, ...], ...] = ()
    check: str = ""
    variables: dict[str, str] = {}


class Evaluation(_Strict):
    """The sealed second step: `{sealed}`, `{out_dir}` and `{evaluation}` are filled in.

    `runs_experiment_code` says that the command's own process executes code the model wrote: its results are then
    self-reported. Where it does not they are verified, unless evaluation.json holds `self_reported`, a reason.
    """

    command: Command
    runs_experiment_code: bool


class Preparation(_Strict):
    """Makes a profile's data before its runs: `{sealed}`, `{profile}` and `{store}` are filled in."""

    command: Command
    deadline_s: Annotated[float, Field(gt=0)] = 3600.0


class BaselineVariant(_Strict):
    """One line of the frontier: experiment.py with module-level constants set, one of them varied.

    The middle one of `values` is run with `middle_seeds` seeds, the others with `seeds`.
    """

    name: Annotated[str, Field(min_length=1)]
    constants: dict[ConstantName, Constant] = {}
    vary: ConstantName | Literal[""] = ""
    values: tuple[Constant, ...] = ()
    seeds: Annotated[int, Field(ge=1, le=1000)] = 3
    middle_seeds: Annotated[int, Field(ge=1, le=1000)] = 5


class Profile(_Strict):
    """One scale of the experiment; profiles/<name>.json is what the experiment reads.

    disk_gib: what its data take on disk. gpus: how many it wants, 0 where the CPU will do.
    """

    summary: str = ""
    disk_gib: Annotated[float, Field(ge=0)] = 0.0
    gpus: Annotated[int, Field(ge=0)] = 0
    limits: StepLimits | None = None
    environment: Environment | None = None
    baselines: tuple[BaselineVariant, ...] = ()


class TemplateSpec(_Strict):
    """All of template.toml.

    `frontier` names the metric on whose logarithm baselines are interpolated, as l0; empty: the first baseline counts.
    """

    schema_version: Literal[1] = 1
    name: str
    summary: str = ""
    command: Command = "python experiment.py --out_dir={out_dir}"
    run_files: tuple[FileName, ...] = ("experiment.py",)
    editable: tuple[FileName, ...] = ("experiment.py", "plot.py", "notes.txt")
    smoke: bool = False
    plot: str = "python plot.py"
    default_profile: str = ""
    limits: StepLimits = StepLimits()
    sandbox: Reach = Reach()
    environment: Environment = Environment()
    prepare: Preparation | None = None
    evaluate: Evaluation | None = None
    frontier: str = ""
    metrics: tuple[Metric, ...] = ()
    controls: tuple[Control, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    profiles: dict[str, Profile] = {}

    def metric(self, name: str) -> Metric | None:
        """The declared metric of that name."""
        return next((metric for metric in self.metrics if metric.name == name), None)
