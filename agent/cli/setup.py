"""scientist setup: build a template's environment ahead of the first launch."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.app import app
from agent.cli.options import environment_cache, template_roots


@app.command()
def setup(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Name or folder of the template.")],
) -> None:
    """Build a template's environment and print its interpreter."""
    import sys

    from agent.cli.environment import build
    from agent.edges.template import find_template, read_spec

    folder = find_template(template, template_roots())
    environment = read_spec(folder).environment
    python = build(environment, folder, environment_cache()) if environment.install else sys.executable
    typer.echo(str(python))
