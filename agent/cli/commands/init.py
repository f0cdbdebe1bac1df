"""scientist init: copies of the templates and ideas that ship with the package, for a person to edit."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.places import IDEAS, TEMPLATES, find_ideas, list_ideas, shipped
from agent.edges.template.load import find_template, list_templates, read_spec
from agent.errors import UsageError


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to copy to; default: here.")] = Path(),
    template: Annotated[
        list[str] | None, typer.Option("--template", help="Copy this template; may be repeated.")
    ] = None,
    ideas: Annotated[list[str] | None, typer.Option("--ideas", help="Copy this ideas file; may be repeated.")] = None,
) -> None:
    """Copy the templates and ideas that ship, to edit them.

    Without options all of them are copied, to FOLDER/templates and FOLDER/ideas. A launch in FOLDER then takes these
    copies. Whatever is there already is left as it is.
    """
    everything = not template and not ideas
    templates = [find_template(name, [shipped(TEMPLATES)]) for name in template or []]
    files = [find_ideas(name, [shipped(IDEAS)]) for name in ideas or []]
    if everything:
        templates, files = list_templates([shipped(TEMPLATES)]), list(list_ideas([shipped(IDEAS)]).values())
    for source in templates:
        copy(source, folder / TEMPLATES / source.name, copy_folder)
    for source in files:
        copy(source, folder / IDEAS / source.name, shutil.copyfile)
    name = templates[0].name if templates else "sae"
    typer.echo(f"next: {describe_next(folder, files[0].stem if files else 'IDEAS', name)}")


def describe_next(folder: Path, ideas: str, template: str) -> str:
    """The command that launches the copies."""
    enter = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    chosen = "" if template == "sae" else f" --template {template}"
    return f"{enter}scientist launch {ideas}{chosen}"


def copy(source: Path, target: Path, how: Callable[[Path, Path], object]) -> None:
    """Copy a template or an ideas file if there is none of its name, and say so.

    Raises: UsageError if it cannot be written.
    """
    if os.path.lexists(target):
        typer.echo(f"kept    {target}, which was there already")
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        how(source, temporary)
        temporary.rename(target)
    except OSError as error:
        remove(temporary)
        raise UsageError(str(target), f"cannot be written: {error.strerror or error}", "name another folder") from error
    summary = f": {read_spec(target).summary}" if target.is_dir() else ""
    typer.echo(f"copied  {target}{summary}")


def remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def copy_folder(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
