"""scientist history and diff: every edit of an idea, its outcome, and the code between two runs."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from agent.cli.options import Json, WorkspaceArg
from agent.cli.places import open_idea
from agent.core.journal.events import Launched, Told
from agent.edges.git.repo import Repo
from agent.edges.workspace.layout import read_state
from agent.errors import UsageError
from agent.report.history import EditRow, edit_rows, outcomes


def history(path: WorkspaceArg, as_json: Json = False) -> None:
    """Show every edit of an idea and its outcome."""
    workspace = open_idea(path, "history")
    journal = workspace.journal()
    events = journal.events
    words = [(line.time, line.event) for line in journal.lines if isinstance(line.event, Told)]
    rows = edit_rows(workspace.repo().log(), outcomes(events))
    if as_json:
        edits = [_to_json(row) for row in rows]
        told = [{"time": stamp, "id": word.id, "text": word.text} for stamp, word in words]
        found = {"schema_version": 1, "workspace": str(workspace.path), "edits": edits, "told": told}
        typer.echo(json.dumps(found, indent=1))
        return
    for row in rows:
        while words and words[0][0] < row.commit.time:
            print_word(*words.pop(0))
        stamp = time.strftime("%H:%M:%S", time.localtime(row.commit.time))
        size = f"+{row.commit.insertions} -{row.commit.deletions}"
        typer.echo(f"{row.commit.sha[:10]} {stamp} {size:>9}  {row.commit.subject}")
        said = row.outcome.failure or " ".join(f"{k}={v:.4g}" for k, v in row.outcome.metrics.items())
        if row.outcome.outcome in ("failed", "completed"):
            typer.echo(f"{'':>31}{row.outcome.outcome}: {said}")
    for when, word in words:
        print_word(when, word)
    control = next((e.remark for e in events if isinstance(e, Launched)), "")
    typer.echo(control, nl=bool(control))


def print_word(stamp: float, word: Told) -> None:
    """Print a message of the researcher between the edits."""
    when = time.strftime("%H:%M:%S", time.localtime(stamp))
    typer.echo(f"{'told':<10} {when} {'':>9}  {' '.join(word.text.split())}")


def _to_json(row: EditRow) -> dict[str, Any]:
    return {
        "commit": row.commit.sha,
        "time": row.commit.time,
        "run": row.run,
        "attempt": row.attempt,
        "subject": row.commit.subject,
        "files": list(row.commit.files),
        "insertions": row.commit.insertions,
        "deletions": row.commit.deletions,
        "model": row.model,
        "outcome": row.outcome.outcome,
        "metrics": row.outcome.metrics,
        "failure": row.outcome.failure,
    }


SHORTEST_HASH = 7


def diff(
    path: WorkspaceArg,
    a: Annotated[str, typer.Argument(metavar="A", help="Run number, tag or commit; 'start' is the template.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same; by default the newest commit.")] = "HEAD",
) -> None:
    """Show the code difference between two runs or commits."""
    workspace = open_idea(path, "diff", a, *([b] if b != "HEAD" else []))
    repo = workspace.repo()
    first = read_state(workspace).launched.commit
    typer.echo(repo.diff(_commit(repo, a, first), _commit(repo, b, first)), nl=False)


def _commit(repo: Repo, name: str, first: str) -> str:
    if name == "start":
        return first
    is_run = name.isdigit() and len(name) < SHORTEST_HASH  # a commit's hash may be all digits
    found = repo.resolve(f"run/{name}" if is_run else name)
    if found is None:
        problem = "is no completed run, tag or commit of this workspace"
        raise UsageError(name or repr(name), problem, "see: scientist history")
    return found
