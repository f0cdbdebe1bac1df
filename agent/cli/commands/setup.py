"""scientist setup: build a template's environment and prepare its data, or build aider's, ahead of the first launch."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.environment import check_python, check_variables, choose_interpreter, prepare
from agent.cli.models import build_aider
from agent.cli.options import PythonOption
from agent.cli.places import template_roots
from agent.edges.template.load import find_template, load_template
from agent.errors import UsageError


def setup(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Name or folder of the template, or: aider.")],
    profile: Annotated[
        str, typer.Option("--profile", envvar="SCIENTIST_PROFILE", help="Profile: the scale of the runs.")
    ] = "",
    python: PythonOption = None,
) -> None:
    """Build a template's environment and prepare its data.

    The interpreter is printed.

    `scientist setup aider` builds the environment of --editor aider instead, and prints the command.
    """
    if template == "aider":
        if python:
            raise UsageError(f"--python {python}", "aider gets an environment of its own", "leave the option out")
        typer.echo(str(build_aider()))
        return

    check_variables()
    found = load_template(find_template(template, template_roots()), profile)
    interpreter = check_python(python) if python else choose_interpreter(found)
    prepare(found, interpreter)
    typer.echo(str(interpreter))
