"""scientist logs: what a run printed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.app import app
from agent.cli.options import WorkspaceArg
from agent.errors import UsageError


@app.command()
def logs(
    path: WorkspaceArg,
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="Run number or attempt folder, as 3 or run_3.2.smoke.")
    ] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as the log grows.")] = False,
) -> None:
    """Print the log of a run; by default of the newest step."""
    from agent.edges.runner import LocalRunner, Running
    from agent.edges.workspace import open_workspace

    log = _find_log(open_workspace(path).path, run)
    with log.open("rb") as file:
        while True:
            chunk = file.read(1 << 16)
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            if not chunk:
                if not follow or not isinstance(LocalRunner().poll(log.parent), Running):
                    return
                time.sleep(0.3)


def _find_log(workspace: Path, run: str) -> Path:
    attempts = workspace / ".agent" / "attempts"
    if run and (workspace / f"run_{run}" / "log.txt").is_file():
        return workspace / f"run_{run}" / "log.txt"
    pattern = f"run_{run}.*/log.txt" if run.isdigit() else f"{run or '*'}/log.txt"
    found = sorted(attempts.glob(pattern), key=lambda p: p.stat().st_mtime)
    if not found:
        known = ", ".join(sorted(p.name for p in attempts.iterdir() if (p / "log.txt").exists())) or "none yet"
        raise UsageError(f"{workspace}: run {run or '-'}", "has no log", f"there are: {known}")
    return found[-1]
