"""template.toml as people write it, checked field by field."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Direction = Literal["higher", "lower", "unknown"]
Source = Literal["final_info", "evaluation"]
Constant = bool | int | float | str

# "{out_dir}"
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
PLACEHOLDERS = frozenset({"out_dir", "sealed", "evaluation", "profile", "store"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_name(name: str) -> str:
    if name.startswith("/") or not name or any(part in ("..", ".git", ".agent", "") for part in name.split("/")):
        raise ValueError(f"{name!r} is no path inside the template")
    return name


def _check_command(command: str) -> str:
    unknown = set(_PLACEHOLDER.findall(command)) - PLACEHOLDERS
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
        raise ValueError(f"{{{min(unknown)}}} is unknown; there are {known}")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"cannot be divided into words: {error}") from error
    if not words:
        raise ValueError("is empty")
    return command


def _check_plot(command: str) -> str:
    return _check_command(command) if command else ""


def _check_variable(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise ValueError(f"{name!r} is no name of a variable")
    return name


def _check_text(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a zero byte")
    return value


def _check_absolute(path: str) -> str:
    if not path.startswith("/") or path == "/":
        raise ValueError(f"{path!r} is no absolute path below /")
    return path


def _check_constant(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no name of a constant")
    return name


def _check_varied(name: str) -> str:
    return _check_constant(name) if name else ""


def _check_value(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("is no number, no text, and neither true nor false")
    return value


def _check_count(value: object) -> object:
    if isinstance(value, list):
        raise ValueError(f"is a list; write how many there are to be, as {max(1, len(value))}: they count from 1001")
    return value


def _check_sections(value: object) -> object:
    if isinstance(value, dict):
        raise ValueError("is one section; write its name in double brackets, as [[metrics]]")
    return value


def _check_label(name: str) -> str:
    if not name.strip() or any(c < " " or c == "\x7f" for c in name):
        raise ValueError("is no name of one line")
    return name


FileName = Annotated[str, AfterValidator(_check_name)]
Command = Annotated[str, AfterValidator(_check_command)]
ConstantName = Annotated[str, AfterValidator(_check_constant)]
KeyPath = Annotated[tuple[str, ...], Field(min_length=1)]
Label = Annotated[str, AfterValidator(_check_label)]
Value = Annotated[Constant, BeforeValidator(_check_value)]
Count = Annotated[int, BeforeValidator(_check_count), Field(ge=1, le=1000)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0)]
Sections = BeforeValidator(_check_sections)


class Metric(_Strict):
    """A number that a run reports."""

    # As notes, plans and verdicts name it.
    name: Label
    # The file that holds it: final_info.json or evaluation.json.
    source: Source = "final_info"
    # The keys that lead to it in that file.
    path: KeyPath
    # Whether a higher or a lower value is better.
    direction: Direction = "unknown"
    # Printed beside its values, empty if it has none.
    unit: str = ""
    # Smaller differences mean nothing.
    resolution: Annotated[Number, Field(ge=0)] = 0.0
    # The value to reach, if there is one.
    target: Number | None = None
    # A sentence for the model on how to read it.
    reading: str = ""
    # Whether runs are judged by it. One metric is.
    primary: bool = False
    # Whether it may be null or absent.
    optional: bool = False
    # The profiles that report it, all if empty.
    profiles: tuple[str, ...] = ()


class Control(_Strict):
    """A number that must equal the baseline's, within `tolerance` of it (relative), for a comparison to be fair."""

    name: Label
    source: Source = "final_info"
    path: KeyPath
    tolerance: Annotated[Number, Field(ge=0)] = 0.0
    profiles: tuple[str, ...] = ()


class Warn(_Strict):
    """Bounds outside which a diagnostic is out of order. Without a bound there is no warning."""

    below: Number | None = None
    above: Number | None = None


class Diagnostic(_Strict):
    """A number that tells how a run went inside, as dead latents. It is shown, but runs are not ranked by it."""

    # As the model is shown it.
    name: Label
    # The file that holds it: final_info.json or evaluation.json.
    source: Source = "final_info"
    # The keys that lead to it in that file.
    path: KeyPath
    # A sentence for the model on how to read it.
    reading: str = ""
    # Bounds outside which it is marked as out of order.
    warn: Warn = Warn()
    # The profiles that report it, all if empty.
    profiles: tuple[str, ...] = ()


class StepLimits(_Strict):
    """Limits of a supervised step."""

    # Wall-clock seconds of a run.
    run_s: Positive = 1800.0
    # Wall-clock seconds of a smoke run.
    smoke_s: Positive = 120.0
    # Wall-clock seconds of an evaluation.
    evaluate_s: Positive = 600.0
    # Wall-clock seconds of a plot.
    plot_s: Positive = 300.0
    # The size at which a log is cut.
    log_mib: Positive = 16.0
    # Of all its processes together. None stands for nine tenths of the machine's memory.
    memory_gib: Positive | None = None
    # With their threads.
    processes: Annotated[int, Field(gt=0)] = 4096
    # Of one file.
    file_gib: Positive = 32.0
    # Of all files that the step writes, temporary ones included.
    disk_gib: Positive = 64.0

    def describe(self, *, smoke: bool) -> str:
        """The limits that are met most, in a few words. smoke: whether there is a smoke test."""
        memory = f"{self.memory_gib:g} GiB" if self.memory_gib else "nine tenths of the machine's"
        tests = f", smoke test {self.smoke_s:,.0f} s" if smoke else ""
        return f"run {self.run_s:,.0f} s{tests}, memory {memory}"


class Reach(_Strict):
    """Things beyond its own folder that a step may reach: the network, and absolute paths to read."""

    network: bool = False
    read: tuple[Annotated[str, AfterValidator(_check_absolute)], ...] = ()


class Environment(_Strict):
    """How the experiment's own interpreter is made. `install` is a list of pip argument lists."""

    python: str = ">=3.11"
    install: tuple[tuple[str, ...], ...] = ()
    check: str = ""
    variables: dict[Annotated[str, AfterValidator(_check_variable)], Annotated[str, AfterValidator(_check_text)]] = {}


class Evaluation(_Strict):
    """The sealed second step: `{sealed}`, `{out_dir}` and `{evaluation}` are filled in.

    `runs_experiment_code` says that the command's own process executes code the model wrote. Its results are then
    self-reported, else verified, unless evaluation.json holds `self_reported`, a reason.
    """

    command: Command
    runs_experiment_code: bool


class Preparation(_Strict):
    """Makes a profile's data before its runs: `{sealed}`, `{profile}` and `{store}` are filled in."""

    command: Command
    deadline_s: Positive = 3600.0


class BaselineVariant(_Strict):
    """One line of the frontier: experiment.py with module-level constants set, one of them varied."""

    # As tables and verdicts name the baseline.
    name: Label
    # Set alike in all of its runs.
    constants: dict[ConstantName, Value] = {}
    # The constant that takes `values` in turn.
    vary: Annotated[str, AfterValidator(_check_varied)] = ""
    # Values of the constant that `vary` names, in order.
    values: tuple[Value, ...] = ()
    # Of all values but the middle one.
    seeds: Count = 3
    # Of the middle one of `values`.
    middle_seeds: Count = 5


class Profile(_Strict):
    """One scale of the experiment, which reads profiles/<name>.json."""

    # One line on its scale and purpose.
    summary: str = ""
    # The size of its data on disk.
    disk_gib: Annotated[Number, Field(ge=0)] = 0.0
    # How many it wants, 0 if the CPU will do.
    gpus: Annotated[int, Field(ge=0)] = 0
    # In place of the template's own.
    limits: StepLimits | None = None
    # In place of the template's own.
    environment: Environment | None = None
    # The runs that ideas are compared with.
    baselines: Annotated[tuple[BaselineVariant, ...], Sections] = ()


class TemplateSpec(_Strict):
    """All of template.toml."""

    # Version of this format of template.toml.
    schema_version: Literal[1] = 1
    # For lists, messages and the journal.
    name: str
    # One line, for lists of templates.
    summary: str = ""
    # Starts a run.
    command: Command = "python experiment.py --out_dir={out_dir}"
    # The code that the command uses. An edit of another file starts no run.
    run_files: tuple[FileName, ...] = ("experiment.py",)
    # The files that a model may change or create.
    editable: tuple[FileName, ...] = ("experiment.py", "plot.py", "notes.txt")
    # Whether a short smoke run comes before each run.
    smoke: bool = False
    # Makes the figures, "" for none.
    plot: Annotated[str, AfterValidator(_check_plot)] = "python plot.py"
    # Used if launch names no profile.
    default_profile: str = ""
    # Time, memory and disk of each supervised step.
    limits: StepLimits = StepLimits()
    # Network and paths that a sandboxed step may reach, too.
    sandbox: Reach = Reach()
    # Python and packages of the experiment.
    environment: Environment = Environment()
    # Makes the data of a profile, if there is any to make.
    prepare: Preparation | None = None
    # The sealed step after a run, if there is one.
    evaluate: Evaluation | None = None
    # The metric on whose logarithm baselines are interpolated, as l0. If empty, the first baseline counts.
    frontier: str = ""
    # Whether the experiment draws nothing at random: one run is then a baseline, and comparisons are exact.
    deterministic: bool = False
    # Numbers that a run reports and verdicts compare.
    metrics: Annotated[tuple[Metric, ...], Sections] = ()
    # Numbers that must equal the baseline's.
    controls: Annotated[tuple[Control, ...], Sections] = ()
    # Numbers that are shown and never ranked.
    diagnostics: Annotated[tuple[Diagnostic, ...], Sections] = ()
    # By name.
    profiles: dict[str, Profile] = {}

    def with_limits(self, **given: float) -> TemplateSpec:
        """The description with limits of steps by name, for each profile too. 0 leaves one as it is."""
        changes = {name: value for name, value in given.items() if value}
        profiles = {
            name: one.model_copy(update={"limits": one.limits.model_copy(update=changes)}) if one.limits else one
            for name, one in self.profiles.items()
        }
        return self.model_copy(update={"limits": self.limits.model_copy(update=changes), "profiles": profiles})

    def metric(self, name: str) -> Metric | None:
        """The declared metric of that name."""
        return next((metric for metric in self.metrics if metric.name == name), None)
