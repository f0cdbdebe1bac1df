"""scientist verify: whether workspaces agree with their journals."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.environment import require_git
from agent.cli.options import Json
from agent.cli.places import without_lists
from agent.cli.terminal import say
from agent.core.evidence.audit import Disagreement
from agent.edges.verify import Report
from agent.edges.verify import verify as verify_workspace
from agent.edges.workspace.layout import BATCH_FILE, Workspace, find_missing, find_workspaces
from agent.errors import UsageError


def verify(
    paths: Annotated[list[Path], typer.Argument(metavar="WS...", help="Workspaces or batches.")],
    as_json: Json = False,
) -> None:
    """Check that journals, commits and results agree.

    Blobs, tags and runs are compared too. Nothing is changed. Exit code 6: something disagrees.
    """
    require_git()
    places = without_lists(paths)
    found = unique(workspace for path in places for workspace in find(path))
    reports = [report for path in dict.fromkeys(places) for report in report_missing(path)]
    for workspace in found:
        reports.append(verify_workspace(workspace))
    if not as_json:
        for report in reports:
            print_report(report)
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "workspaces": [to_json(report) for report in reports]}, indent=2))
    raise typer.Exit(6 if any(report.disagreements for report in reports) else 0)


def unique(workspaces: Iterable[Workspace]) -> list[Workspace]:
    """Each workspace once, though it is named by itself and by its batch."""
    return list({workspace.path: workspace for workspace in workspaces}.values())


def find(path: Path) -> list[Workspace]:
    """The workspaces at or below a folder. A workspace without its journal counts too.

    Raises: UsageError if there are none.
    """
    found = find_workspaces(path)
    if not found and (path / ".agent").is_dir():
        found = [Workspace(path.resolve())]
    if not found and not find_missing(path):
        raise UsageError(str(path), "holds no workspace", "see: scientist status")
    return found


def report_missing(path: Path) -> list[Report]:
    """A report for each workspace that a batch lists and that is gone."""
    remedy = f"put it back from a copy, or take its name out of {BATCH_FILE}"
    gone = Disagreement(BATCH_FILE, "lists this workspace, and it is gone", remedy)
    return [Report(missing, disagreements=(gone,)) for missing in find_missing(path)]


def print_report(report: Report) -> None:
    for problem in report.disagreements:
        typer.echo(printable(f"{report.path}: {problem}"))
    if not report.disagreements:
        counts = {
            "event": report.events,
            "blob": report.blobs,
            "commit": report.commits,
            "run": report.runs,
        }
        said = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
        typer.echo(printable(f"{report.path}: ok: {said}"))
    for remark in report.remarks:
        say(printable(f"{report.path}: remark: {remark}"))


def to_json(report: Report) -> dict[str, Any]:
    return {**asdict(report), "path": str(report.path), "ok": not report.disagreements}


def printable(text: str) -> str:
    """One line without control characters. Names and subjects are text that anybody may have written."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
