"""scientist diff: what changed between two runs or commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.app import app
from agent.cli.options import WorkspaceArg
from agent.errors import UsageError

if TYPE_CHECKING:
    from agent.edges.git.repo import Repo

SHORTEST_HASH = 7


@app.command()
def diff(
    path: WorkspaceArg,
    a: Annotated[str, typer.Argument(metavar="A", help="Run number, tag or commit; 'start' is the template.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same; by default the newest commit.")] = "HEAD",
) -> None:
    """Show the code difference between two runs or commits."""
    from agent.edges.workspace.layout import open_workspace, read_state

    workspace = open_workspace(path)
    repo = workspace.repo()
    first = read_state(workspace).launched.commit
    typer.echo(repo.diff(_commit(repo, a, first), _commit(repo, b, first)), nl=False)


def _commit(repo: Repo, name: str, first: str) -> str:
    if name == "start":
        return first
    is_run = name.isdigit() and len(name) < SHORTEST_HASH  # a commit's hash may be all digits
    found = repo.resolve(f"run/{name}" if is_run else name)
    if found is None:
        raise UsageError(name, "is no completed run, tag or commit of this workspace", "see: scientist history")
    return found
