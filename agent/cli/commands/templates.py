"""scientist templates and template: those to launch on, a new one from a training script, and a check of one."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.commands.template_check import check_template
from agent.cli.environment import check_python
from agent.cli.options import Chosen, DataOption, Json, PythonOption
from agent.cli.places import environment_cache, template_roots
from agent.cli.table import make_typer, require_command
from agent.core.inputs.spec import Environment
from agent.edges.template.authoring.new import make_template
from agent.edges.template.environment import environment_for
from agent.edges.template.interpreters import python_places
from agent.edges.template.load import environment_of, list_templates, read_spec
from agent.errors import UsageError

MOST_NAMED = 12  # files of a list


def templates(as_json: Json = False) -> None:
    """List the templates."""
    rows: list[dict[str, Any]] = []
    for folder in list_templates(template_roots()):
        spec = read_spec(folder)
        profiles = sorted(p.stem for p in (folder / "profiles").glob("*.json"))
        built = {name: is_built(environment_of(spec, name), folder) for name in (spec.default_profile, *profiles)}
        rows.append(
            {
                "name": folder.name,
                "summary": spec.summary,
                "folder": str(folder),
                "profiles": profiles,
                "environment_built": built[spec.default_profile],
                "ready_profiles": [name for name in profiles if built[name]],
            }
        )
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "templates": rows}, indent=2))
        return
    for row in rows:
        typer.echo(f"{row['name']}  {row['summary']}  [{say_ready(row)}]")


def is_built(environment: Environment, folder: Path) -> bool:
    return not environment.install or find_environment(environment, folder) is not None


def say_ready(row: dict[str, Any]) -> str:
    """The profiles, and for which of them the environment is built."""
    profiles, ready = row["profiles"], row["ready_profiles"]
    if not profiles or len(ready) in (0, len(profiles)):
        is_ready = bool(ready) if profiles else row["environment_built"]
        return f"{', '.join(profiles) or 'no profiles'}; {'ready' if is_ready else 'environment not built'}"
    missing = [name for name in profiles if name not in ready]
    return f"{', '.join(ready)}: ready; {', '.join(missing)}: environment not built"


def find_environment(environment: Environment, folder: Path) -> Path | None:
    """Interpreter of the environment. None if it is not built, or nothing says where it would be."""
    try:
        return environment_for(environment, folder, environment_cache(), python_places(os.environ))
    except UsageError:
        return None


template = make_typer(invoke_without_command=True)


@template.callback()
def group(context: typer.Context) -> None:
    """Make a template of your own, and check it."""
    require_command(context, "scientist template new NAME --from SCRIPT", "scientist template check NAME")


@template.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new template.")],
    source: Annotated[Path, typer.Option("--from", metavar="TRAIN.py", help="Your training script; it is copied.")],
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="Folder of the new template.")] = Path(
        "templates"
    ),
    python: Annotated[
        Path | None, typer.Option("--python", help="Interpreter with which the script works, for versions to pin.")
    ] = None,
) -> None:
    """Make a template from a training script, which is read and not run."""
    interpreter = check_python(python) if python else current_python()
    made = make_template(name, source, into, interpreter)
    typer.echo(f"made {made.folder} from {source}; versions are those of {interpreter}")
    pins = [f"{r.name}=={r.version}" if r.version else f"{r.name} (no version found)" for r in made.requirements]
    typer.echo(f"  requirements  {', '.join(pins) or 'none beyond Python'}")
    if made.copied:
        named = ", ".join(made.copied[:MOST_NAMED]) + (", ..." if len(made.copied) > MOST_NAMED else "")
        typer.echo(f"  copied        {named}: an idea may not change these, unless you add one to editable")
    for title, words in made.findings:
        typer.echo(f"  {title:<13} {words}")
    for line in made.notes:
        typer.echo(f"  opens         {line}")
    if not all(r.version for r in made.requirements):
        typer.echo("  --python PATH names the interpreter with which the script works: its versions are then pinned")
    typer.echo(f"to fill: {len(made.fills)}")
    for line in made.fills:
        typer.echo(f"  {line}")
    again = Chosen(str(made.folder), python=python, data=made.data).say("template check")
    typer.echo(f"and for the lines that the script lacks: {again}")


def current_python() -> Path:
    """The `python` that a shell would start here, else our own."""
    return Path(shutil.which("python") or shutil.which("python3") or sys.executable)


@template.command()
def check(
    path: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Folder or name of the template.")],
    python: PythonOption = None,
    profile: Annotated[
        str, typer.Option("--profile", help="Profile: the scale of the runs; default: the template's.")
    ] = "",
    data: DataOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder of the runs, and say where it is.")] = False,
) -> None:
    """Try a template without any model: files, lint, environment, smoke test, two seeds, evaluation."""
    raise typer.Exit(check_template(Chosen(path, profile, python, data), keep=keep))
