"""Options that several commands share, and the folders that settings lead to."""

from __future__ import annotations

import os
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agent.errors import UsageError

WorkspacesDir = Annotated[
    Path, typer.Option("--workspaces", envvar="SCIENTIST_WORKSPACES", help="Folder of all batches.")
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


def require_git() -> None:
    """Raises: UsageError where git is not installed."""
    if shutil.which("git") is None:
        raise UsageError("git", "is not installed, or not on PATH", "install it: every edit becomes a git commit")


def template_roots() -> list[Path]:
    """./templates, then the folders of SCIENTIST_TEMPLATES."""
    extra = os.environ.get("SCIENTIST_TEMPLATES", "")
    return [Path("templates"), *(Path(p) for p in extra.split(os.pathsep) if p)]


def data_cache() -> Path:
    """Where the data that templates prepared is kept, a folder for each template."""
    return environment_cache() / "data"


def data_limit_gib() -> float | None:
    """Size to which each template's data is held; None leaves it to the template.

    Raises: UsageError where SCIENTIST_DATA_MAX_GIB is no size.
    """
    text = os.environ.get("SCIENTIST_DATA_MAX_GIB", "").strip()
    if not text:
        return None
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise UsageError(f"SCIENTIST_DATA_MAX_GIB={text}", "is no size in GiB", "set it to a number such as 100")
    return limit


def environment_cache() -> Path:
    """Where the experiments' virtual environments are kept."""
    base = os.environ.get("SCIENTIST_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scientist"
