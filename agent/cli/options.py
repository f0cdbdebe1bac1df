"""Options that several commands share, and the folders that settings lead to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

WorkspacesDir = Annotated[
    Path, typer.Option("--workspaces", envvar="SCIENTIST_WORKSPACES", help="Folder of all batches.")
]
WorkspaceArg = Annotated[Path, typer.Argument(metavar="WS", help="Folder of one idea.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON with a schema_version.")]
DEFAULT_WORKSPACES = Path("workspaces")


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
