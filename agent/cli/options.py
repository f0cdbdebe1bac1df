"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

WorkspacesDir = Annotated[
    Path, typer.Option("--workspaces", envvar="SCIENTIST_WORKSPACES", help="Folder of all batches.")
]
IdeasArg = Annotated[
    str, typer.Argument(metavar="IDEAS", help="File of one idea or a list of them, or a name: see scientist ideas.")
]
WorkspaceArg = Annotated[Path, typer.Argument(metavar="WS", help="Folder of one idea.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON with a schema_version.")]
DEFAULT_WORKSPACES = Path("workspaces")


class PauseBefore(StrEnum):
    """Where an idea waits for a person."""

    NONE = "none"
    RUN = "run"
    PLAN = "plan"

    @property
    def setting(self) -> str:
        """As a launch stores it."""
        return "" if self is PauseBefore.NONE else self.value


class Editor(StrEnum):
    """What makes edits of a model's words."""

    BLOCKS = "blocks"
    AIDER = "aider"


class SandboxChoice(StrEnum):
    """What holds a run to what it was given."""

    AUTO = "auto"
    BWRAP = "bwrap"
    LANDLOCK = "landlock"
    OFF = "off"


MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", min=0, help="Tokens an idea may use, in and out; 0: no limit.")
]
MaxCostUsd = Annotated[
    float | None, typer.Option("--max-cost-usd", min=0, help="USD an idea's model calls may cost; 0: no limit.")
]
BatchMaxTokens = Annotated[
    int | None, typer.Option("--batch-max-tokens", min=0, help="Tokens for all ideas of the batch; 0: no limit.")
]
BatchMaxCostUsd = Annotated[
    float | None, typer.Option("--batch-max-cost-usd", min=0, help="USD for all ideas of the batch; 0: no limit.")
]


def make_typer(**options: Any) -> typer.Typer:
    """A command or a group of commands; whatever goes wrong is told by agent.cli.app."""
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **options,
    )
