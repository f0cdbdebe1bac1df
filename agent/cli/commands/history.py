"""scientist history: every edit of an idea and its outcome."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import typer
from rich.text import Text

from agent.cli.display import columns_of, write_lines
from agent.cli.options import Json, WorkspaceArg
from agent.cli.places import open_idea
from agent.core.journal.events import Launched, Told
from agent.core.text.plain import plain_line
from agent.report.cells import wrap
from agent.report.history import EditRow, edit_rows, outcomes
from agent.report.one_idea.metrics import is_identity, say_metrics


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
    launched = next(event for event in events if isinstance(event, Launched))
    width = columns_of(sys.stdout)
    lines: list[Text] = []
    for row in rows:
        while words and words[0][0] < row.commit.time:
            lines += word_lines(*words.pop(0), width)
        lines += edit_lines(row, launched.primary, width)
    for when, word in words:
        lines += word_lines(when, word, width)
    lines += [Text(line) for line in wrap(launched.remark, width)] if launched.remark else []
    write_lines(lines, sys.stdout)


def edit_lines(row: EditRow, primary: str, width: int | None) -> list[Text]:
    """An edit, and below it what came of it: the primary metric first."""
    size = f"+{row.commit.insertions} -{row.commit.deletions}"
    lines = [Text(line) for line in _columns(row.commit.sha[:10], row.commit.time, size, row.commit.subject, width)]
    outcome, values = row.outcome.outcome, row.outcome.metrics
    if outcome in ("failed", "completed"):
        names = sorted(values, key=lambda name: (name != primary, is_identity(name)))
        said = f"{outcome}: {row.outcome.failure or say_metrics(values, names, METRICS_SHOWN)}"
        style = "red" if outcome == "failed" else "bold"
        lines += [Text(line, style) for line in wrap(plain_line(said), width, MARGIN, MARGIN + "  ")]
    return lines


def word_lines(stamp: float, word: Told, width: int | None) -> list[Text]:
    """A message of the researcher between the edits."""
    return [Text(line, "cyan") for line in _columns("told", stamp, "", " ".join(word.text.split()), width)]


def _columns(name: str, stamp: float, size: str, text: str, width: int | None) -> list[str]:
    when = time.strftime("%H:%M:%S", time.localtime(stamp))
    return wrap(plain_line(text), width, f"{name:<10} {when} {size:>9}  ", MARGIN)


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


METRICS_SHOWN = 6
MARGIN = " " * 31  # hash, time and size of an edit
