"""Options that several commands share, and the folders that settings lead to."""

from __future__ import annotations

import os
import shutil
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


def require_git() -> None:
    """Raises: UsageError where git is not installed."""
    if shutil.which("git") is None:
        raise UsageError("git", "is not installed, or not on PATH", "install it: every edit becomes a git commit")


def template_roots() -> list[Path]:
    """./templates, then the folders of SCIENTIST_TEMPLATES."""
    extra = os.environ.get("SCIENTIST_TEMPLATES", "")
    return [Path("templates"), *(Path(p) for p in extra.split(os.pathsep) if p)]


def environment_cache() -> Path:
    """Where the experiments' virtual environments are kept."""
    base = os.environ.get("SCIENTIST_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scientist"
