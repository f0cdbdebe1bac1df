"""scientist ideas: the idea files and what is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.app import app
from agent.cli.options import Json


@app.command()
def ideas(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[IDEAS.json...]", help="Default: ideas/*.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the ideas of a file, or of all files in ./ideas."""
    from agent.cli.commands.launch import read_ideas

    paths = files or sorted(Path("ideas").glob("*.json"))
    found = {str(path): read_ideas(path) for path in paths}
    if as_json:
        listed = [
            {"file": path, "number": n, "name": i.slug, "title": i.Title}
            for path, ideas_ in found.items()
            for n, i in enumerate(ideas_, start=1)
        ]
        typer.echo(json.dumps({"schema_version": 1, "ideas": listed}, indent=2, ensure_ascii=False))
        return
    for path, ideas_ in found.items():
        typer.echo(path)
        for number, idea in enumerate(ideas_, start=1):
            typer.echo(f"  {number}. {idea.slug}: {idea.Title}")
