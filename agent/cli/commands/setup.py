"""scientist setup: build a template's environment and prepare its data, or build aider's, ahead of the first launch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.app import app
from agent.cli.options import template_roots
from agent.errors import UsageError


@app.command()
def setup(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Name or folder of the template, or: aider.")],
    profile: Annotated[str, typer.Option("--profile", envvar="SCIENTIST_PROFILE", help="Scale to run at.")] = "",
    python: Annotated[
        Path | None, typer.Option("--python", help="Interpreter of the experiment, instead of the template's own.")
    ] = None,
) -> None:
    """Build a template's environment, prepare the profile's data, and print the interpreter.

    `scientist setup aider` builds the environment of --editor aider instead, and prints the command.
    """
    if template == "aider":
        from agent.cli.aider import build_aider

        if python:
            raise UsageError("--python", "aider gets an environment of its own", "leave the option out")
        typer.echo(str(build_aider()))
        return
    from agent.cli.commands.launch import choose_interpreter
    from agent.cli.environment import check_python, prepare
    from agent.edges.template.load import find_template, load_template

    found = load_template(find_template(template, template_roots()), profile)
    interpreter = check_python(python) if python else choose_interpreter(found)
    prepare(found, interpreter)
    typer.echo(str(interpreter))
