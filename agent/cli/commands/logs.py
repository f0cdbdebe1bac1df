"""scientist logs: print the output of a run."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import WorkspaceArg
from agent.cli.terminal import read_redactor
from agent.core.failure.folding import last_states
from agent.core.text.wording import say_known
from agent.edges.run.choose_runner import runner_for
from agent.edges.run.runner import Runner, Running
from agent.edges.workspace.layout import Workspace, open_workspace, read_state
from agent.errors import IntegrityError, UsageError

CHUNK = 1 << 16
LONGEST_LINE = 1 << 20


def logs(
    path: WorkspaceArg,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run number or attempt folder, as 3 or run_3.2.smoke.")
    ] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as the log grows.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="As the run wrote it, with what a terminal obeys.")] = False,
) -> None:
    """Print the log of a run, by default of the newest step."""
    workspace = open_workspace(path)
    log = _find_log(workspace.path, run)
    runner = _runner_of(workspace) if follow else None
    put = _put_raw if raw else _put_lines
    with log.open("rb") as file:
        rest = b""
        while True:
            is_going = runner is not None and isinstance(runner.poll(log.parent), Running)
            chunk = file.read(CHUNK)
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            put(lines + newline)
            if len(rest) > LONGEST_LINE or not (chunk or is_going):
                put(rest)
                rest = b""
            if not chunk:
                if not is_going:
                    return
                time.sleep(0.3)


def _runner_of(workspace: Workspace) -> Runner:
    """Runner of the workspace's steps. If the journal cannot be read, this machine's, so that the log is shown."""
    try:
        return runner_for(read_state(workspace).launched)
    except IntegrityError:
        return runner_for(None)


def _put_lines(content: bytes) -> None:
    """Print text without control characters. Of a line that carriage returns overwrote, print the last state."""
    text = content.decode("utf-8", "replace")
    lines = text.removesuffix("\n").split("\n") if text else []
    typer.echo("".join(f"{state}\n" for line in lines for state in last_states(line)), nl=False)


def _put_raw(content: bytes) -> None:
    """The bytes, but no keys."""
    sys.stdout.flush()
    text = read_redactor()(content.decode("utf-8", "surrogateescape"))
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _find_log(workspace: Path, run: str) -> Path:
    attempts = workspace / ".agent" / "attempts"
    if run and (workspace / f"run_{run}" / "log.txt").is_file():
        return workspace / f"run_{run}" / "log.txt"
    logs = {path.parent.name: path for path in attempts.glob("*/log.txt")}
    fitting = [name for name in logs if name == run or not run or (run.isdigit() and name.startswith(f"run_{run}."))]
    found = sorted((logs[name] for name in fitting), key=lambda p: p.stat().st_mtime)
    if not found:
        known = say_known(sorted(logs)) or "none yet"
        place = f"{workspace}: run {run}" if run else str(workspace)
        raise UsageError(place, "has no log", f"there are: {known}")
    return found[-1]
