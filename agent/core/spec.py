"""template.toml as people write it, checked field by field."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Direction = Literal["higher", "lower", "unknown"]
Source = Literal["final_info", "evaluation"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_name(name: str) -> str:
    if name.startswith("/") or not name or any(part in ("..", ".git", ".agent", "") for part in name.split("/")):
        raise ValueError(f"{name!r} is no path inside the template")
    return name


def _check_placeholders(command: str) -> str:
    unknown = set(re.findall(r"\{(\w*)\}", command)) - {"out_dir", "sealed", "evaluation"}
    if unknown:
        raise ValueError(f"{{{min(unknown)}}} is unknown; there are {{out_dir}}, {{sealed}} and {{evaluation}}")
    return command


FileName = Annotated[str, AfterValidator(_check_name)]
Command = Annotated[str, AfterValidator(_check_placeholders)]
KeyPath = Annotated[tuple[str, ...], Field(min_length=1)]


class Metric(_Strict):
    """A number that a run reports: `path` leads to it through the keys of `source`.json."""

    name: str
    source: Source = "final_info"
    path: KeyPath
    direction: Direction = "unknown"
    unit: str = ""
    resolution: Annotated[float, Field(ge=0)] = 0.0
    target: float | None = None
    reading: str = ""
    primary: bool = False


class Control(_Strict):
    """A number that must equal the baseline's, within `tolerance` of it (relative), for a comparison to be fair."""

    name: str
    source: Source = "final_info"
    path: KeyPath
    tolerance: Annotated[float, Field(ge=0)] = 0.0


class StepLimits(_Strict):
    """Wall-clock limits of the supervised steps in seconds, and the size at which a log is cut in MiB."""

    run_s: Annotated[float, Field(gt=0)] = 1800.0
    smoke_s: Annotated[float, Field(gt=0)] = 120.0
    evaluate_s: Annotated[float, Field(gt=0)] = 600.0
    plot_s: Annotated[float, Field(gt=0)] = 300.0
    log_mib: Annotated[float, Field(gt=0)] = 16.0


class Environment(_Strict):
    """How the experiment's own interpreter is made; `install` is a list of pip argument lists."""

    python: str = ">=3.11"
    install: tuple[tuple[str, ...], ...] = ()
    check: str = ""
    variables: dict[str, str] = {}


class Evaluation(_Strict):
    """The sealed second step: `{sealed}`, `{out_dir}` and `{evaluation}` are filled in.

    `runs_experiment_code` says that the command executes code the model wrote: its results are then self-reported.
    """

    command: Command
    runs_experiment_code: bool


class Profile(_Strict):
    """One scale of the experiment; profiles/<name>.json is what the experiment reads."""

    summary: str = ""
    limits: StepLimits | None = None


class TemplateSpec(_Strict):
    """All of template.toml."""

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
    environment: Environment = Environment()
    evaluate: Evaluation | None = None
    metrics: tuple[Metric, ...] = ()
    controls: tuple[Control, ...] = ()
    profiles: dict[str, Profile] = {}
