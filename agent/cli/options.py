"""Options that several commands share, and the settings of a launch as one value."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from agent.cli.places import complete_ideas, complete_templates
from agent.cli.table import DEFAULT_WORKSPACES
from agent.cli.terminal import VOICE
from agent.core.journal.budget import Limits, change_limits
from agent.errors import UsageError

WorkspacesDir = Annotated[
    Path, typer.Option("--workspaces", envvar="SCIENTIST_WORKSPACES", help="Folder of all batches.")
]
IdeasArg = Annotated[
    str,
    typer.Argument(
        metavar="IDEAS",
        autocompletion=complete_ideas,
        help="File of one idea or a list of them, or a name: see scientist ideas.",
    ),
]
TemplateArg = Annotated[
    str, typer.Argument(metavar="TEMPLATE", autocompletion=complete_templates, help="Name or folder of the template.")
]
WorkspaceArg = Annotated[Path, typer.Argument(metavar="WS", help="Folder of one idea.")]
PythonOption = Annotated[
    Path | None, typer.Option("--python", help="Interpreter of the experiment, instead of the template's own.")
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder that the experiment finds as ./data.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON with a schema_version.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A template with the options that were given for its runs, to be given again in commands that are proposed."""

    template: str
    profile: str = ""
    python: Path | None = None
    data: Path | None = None

    @property
    def options(self) -> str:
        """Each option with a space before it."""
        given = (("--profile", self.profile), ("--python", self.python), ("--data", self.data))
        return "".join(f" {name} {shlex.quote(str(value))}" for name, value in given if value)

    def say(self, command: str) -> str:
        """`scientist baseline NAME ...` and the like, as it is typed."""
        return f"scientist {command} {shlex.quote(self.template)}{self.options}"


def choose_voice(context: typer.Context, parameter: typer.CallbackParam, wanted: bool) -> bool:
    """Take --quiet or --verbose, in any order. The one that is typed counts more than one of scientist.toml.

    Raises: UsageError if both were typed, or both stand in scientist.toml.
    """
    if wanted and parameter.name:
        source = context.get_parameter_source(parameter.name)
        VOICE.asked[parameter.name] = source is not None and source.name == "COMMANDLINE"
    typed = {name for name, is_typed in VOICE.asked.items() if is_typed}
    chosen = typed or set(VOICE.asked)
    if len(chosen) > 1:
        raise UsageError("options", "--quiet or --verbose, not both", "leave one out")
    VOICE.quiet, VOICE.verbose = "quiet" in chosen, "verbose" in chosen
    return wanted


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=choose_voice, help="Print only problems and each idea's last line.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", callback=choose_voice, help="Print more: template, interpreter, each step.")
]


class PauseBefore(StrEnum):
    """Points at which an idea waits for a person."""

    NONE = "none"
    RUN = "run"
    PLAN = "plan"

    @property
    def setting(self) -> str:
        """As a launch stores it."""
        return "" if self is PauseBefore.NONE else self.value


class Editor(StrEnum):
    """Program that makes edits of a model's words."""

    BLOCKS = "blocks"
    AIDER = "aider"


class SandboxChoice(StrEnum):
    """Sandbox that a person may ask for."""

    AUTO = "auto"
    BWRAP = "bwrap"
    LANDLOCK = "landlock"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Limits that a launch sets and a resume may change. None leaves a limit as it is."""

    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=0, help="Tokens an idea may use, in and out; 0: no limit.")
    ] = None
    max_cost_usd: Annotated[
        float | None, typer.Option("--max-cost-usd", min=0, help="USD an idea's model calls may cost; 0: no limit.")
    ] = None
    batch_max_tokens: Annotated[
        int | None, typer.Option("--batch-max-tokens", min=0, help="Tokens for all ideas of the batch; 0: no limit.")
    ] = None
    batch_max_cost_usd: Annotated[
        float | None, typer.Option("--batch-max-cost-usd", min=0, help="USD for all ideas of the batch; 0: no limit.")
    ] = None
    run_s: Annotated[
        float | None, typer.Option("--run-s", min=0, help="Seconds that a run may take; 0: the template's limit.")
    ] = None
    smoke_s: Annotated[
        float | None, typer.Option("--smoke-s", min=0, help="Seconds that a smoke test may take; 0: the template's.")
    ] = None
    memory_gib: Annotated[
        float | None, typer.Option("--memory-gib", min=0, help="GiB of memory that a step may use; 0: the template's.")
    ] = None

    def change(self, limits: Limits) -> Limits:
        """The limits with those that were given in place of the old ones."""
        return change_limits(
            limits,
            max_tokens=self.max_tokens,
            max_cost_usd=self.max_cost_usd,
            batch_max_tokens=self.batch_max_tokens,
            batch_max_cost_usd=self.batch_max_cost_usd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings(Budgets):
    """Options of a launch: read by launch and doctor, from the command line, SCIENTIST_* or [launch]."""

    idea: Annotated[
        list[str] | None, typer.Option("--idea", help="Only this idea, by name or number; may be repeated.")
    ] = None
    template: Annotated[
        str,
        typer.Option(
            "--template",
            envvar="SCIENTIST_TEMPLATE",
            autocompletion=complete_templates,
            help="Name or folder of the template.",
        ),
    ] = "sae"
    from_: Annotated[
        str, typer.Option("--from", metavar="WS@RUN", help="Begin at the code of that run, as WS@run/4 or WS@best.")
    ] = ""
    profile: Annotated[
        str, typer.Option("--profile", envvar="SCIENTIST_PROFILE", help="Profile: the scale of the runs.")
    ] = ""
    model: Annotated[
        str, typer.Option("--model", envvar="SCIENTIST_MODEL", help="litellm name, offline/sweep, or replay/WS.")
    ] = "offline/sweep"
    fallback_model: Annotated[
        list[str] | None,
        typer.Option("--fallback-model", help="Asked if --model cannot answer; may be repeated, in their order."),
    ] = None
    editor_model: Annotated[
        str, typer.Option("--editor-model", help="Writes the edits that --model plans in prose.")
    ] = ""
    reviewer_model: Annotated[
        str, typer.Option("--reviewer-model", help="Judges the idea after each completed run, and may revise it.")
    ] = ""
    reflections: Annotated[
        int, typer.Option("--reflections", min=0, max=9, help="How often the reviewer may reconsider a review.")
    ] = 0
    editor: Annotated[
        Editor, typer.Option("--editor", help="What applies a model's edits: blocks (built in), or aider.")
    ] = Editor.BLOCKS
    max_runs: Annotated[int, typer.Option("--max-runs", min=1, max=9999, help="Runs an idea may use.")] = 10
    python: PythonOption = None
    patience_s: Annotated[
        float,
        typer.Option(
            "--patience-s",
            envvar="SCIENTIST_PATIENCE_S",
            min=0,
            help="Seconds for which a failed model call is tried again.",
        ),
    ] = 6 * 3600.0
    data: DataOption = None
    pause_before: Annotated[
        PauseBefore, typer.Option("--pause-before", help="Wait for a person before each run, or each run's plan.")
    ] = PauseBefore.NONE
    sandbox: Annotated[
        SandboxChoice, typer.Option("--sandbox", envvar="SCIENTIST_SANDBOX", help="Sandbox of the runs.")
    ] = SandboxChoice.AUTO
    workspaces: WorkspacesDir = DEFAULT_WORKSPACES
    quiet: Quiet = False
    verbose: Verbose = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeSettings(Budgets):
    """Options of a resume, also read from [resume]. None leaves a setting as the launch had it."""

    max_runs: Annotated[
        int | None,
        typer.Option("--max-runs", min=1, max=9999, help="New total of runs; an idea that has ended goes on."),
    ] = None
    tell: Annotated[
        str, typer.Option("--tell", metavar="TEXT", help="Words for the model, as those of scientist tell.")
    ] = ""
    pause_before: Annotated[
        PauseBefore | None,
        typer.Option("--pause-before", help="From now on, wait for a person before each run or plan, or never."),
    ] = None
    sandbox: Annotated[SandboxChoice | None, typer.Option("--sandbox", help="Sandbox of the runs from now on.")] = None
    discard_edits: Annotated[
        bool,
        typer.Option("--discard-edits", help="Go on without what was changed by hand; git keeps it under refs/rescue."),
    ] = False
    workspaces: WorkspacesDir = DEFAULT_WORKSPACES
    quiet: Quiet = False
    verbose: Verbose = False


def spread_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of its parameter `settings`, and collect them into that value."""
    hints = get_type_hints(command, include_extras=True)
    kind = hints["settings"]
    kinds = get_type_hints(kind, include_extras=True)
    ordered = sorted(fields(kind), key=lambda field: field.name not in kind.__annotations__)  # inherited ones last
    names = {field.name: field.default for field in ordered}

    @functools.wraps(command)
    def collect(**given: Any) -> None:
        command(settings=kind(**{name: given.pop(name) for name in names}), **given)

    options = [Parameter(n, Parameter.KEYWORD_ONLY, default=v, annotation=kinds[n]) for n, v in names.items()]
    own = [p for p in signature(command, eval_str=True).parameters.values() if p.name != "settings"]
    parameters = [*(p.replace(kind=Parameter.KEYWORD_ONLY) for p in own), *options]
    collect.__signature__ = Signature(parameters)  # type: ignore[attr-defined] # typer reads it
    collect.__annotations__ = {p.name: p.annotation for p in parameters}
    return collect
