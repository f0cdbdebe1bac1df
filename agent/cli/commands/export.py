"""scientist export: one file of an idea or a batch, to be sent to somebody."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.terminal import read_redactor, say
from agent.core.journal.state import State
from agent.edges.workspace.archive import MOST_GIB, find_private, measure, pack
from agent.edges.workspace.layout import (
    BATCH_FILE,
    GONE,
    Workspace,
    find_missing,
    find_template_copy,
    find_workspaces,
    open_workspace,
    read_state,
)
from agent.edges.workspace.lock import read_holder, wait_for
from agent.errors import Locked, UsageError
from agent.report.spending import say_size

MOST_NAMED = 5


def export(
    path: Annotated[Path, typer.Argument(metavar="WS|BATCH", help="One idea, or all of a batch.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default: here, NAME.tar.gz.")] = None,
) -> None:
    """Pack an idea or a batch into one file, to send to somebody.

    It holds all that show, diff, history, logs and verify read, and no working folders of steps.
    """
    if out:
        check_target(out)
    batch = path if (path / BATCH_FILE).is_file() else None
    found = find_workspaces(path) if batch else [open_workspace(path)]
    if not found:
        raise UsageError(str(path), "lists no workspace that is there", "see: scientist status")
    states = [read_idle(workspace) for workspace in found]
    root = found[0].path.parent
    target = out or Path(f"{(root if batch else found[0].path).name}.tar.gz")
    check_target(target)
    if (size := measure(found)) > MOST_GIB << 30:
        raise UsageError(
            str(path), f"holds {size / 2**30:.0f} GiB, of at most {MOST_GIB}", "export its ideas one by one"
        )
    templates = {find_template_copy(one, state.launched) for one, state in zip(found, states, strict=True)}
    try:
        pack(target, root.name, found, sorted(templates))
    except OSError as error:
        where = error.filename or str(target)
        raise UsageError(str(target), f"{where}: {error.strerror}", "name another file with --out") from error
    for missing in find_missing(path) if batch else ():
        say(f"scientist: {missing}: {GONE}")
    typer.echo(f"wrote {target} ({say_size(target.stat().st_size)})")
    if private := list(find_private(found, sorted(templates), read_redactor())):
        more = f" and {len(private) - MOST_NAMED} more" if len(private) > MOST_NAMED else ""
        say(f"scientist: look before you send it: it holds {', '.join(private[:MOST_NAMED])}{more}, perhaps secret")
    inside = root.name if batch else f"{root.name}/{found[0].path.name}"
    typer.echo(f"to read it: tar -xzf {shlex.quote(target.name)} && scientist show {shlex.quote(inside)}")


def check_target(target: Path) -> None:
    """Raises: UsageError if the file is there, or cannot be."""
    if target.exists():
        raise UsageError(str(target), "is there already", "name another file with --out")
    if not target.parent.is_dir():
        raise UsageError(str(target), "lies in a folder that is not there", "make it, or name another file with --out")


def read_idle(workspace: Workspace) -> State:
    """The state of a workspace.

    Raises: Locked if somebody works on it, so that its files would be of different times.
    """
    holder = read_holder(workspace.agent)
    if holder is not None and holder.is_alive() is not False:
        raise Locked(workspace.path, str(holder), wait_for(workspace.path))
    return read_state(workspace)
