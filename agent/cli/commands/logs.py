"""scientist logs: print the output of a run, or follow an idea from step to step."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.next_step import state_of
from agent.cli.options import WorkspaceArg
from agent.cli.places import open_idea
from agent.cli.terminal import read_redactor, say
from agent.core.failure.folding import last_states
from agent.core.text.wording import say_known
from agent.edges.run.choose_runner import runner_for
from agent.edges.run.runner import Queued, Runner, Running
from agent.edges.workspace.layout import Workspace, read_state
from agent.errors import IntegrityError, UsageError
from agent.report.one_idea.steps import StepName, order_steps, read_run
from agent.report.standings import nearby

CHUNK = 1 << 16
LONGEST_LINE = 1 << 20
POLL_S = 0.3
LATEST = 8  # steps whose logs may still grow
# Why nothing more comes from an idea for now.
WAITS = {
    "paused": "the idea is paused",
    "interrupted": "no orchestrator works on it",
    "pending": "it has not begun; other ideas of its batch may come first",
}
Put = Callable[[bytes], None]


def logs(
    path: WorkspaceArg,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run number or attempt folder, as 3 or run_3.2.smoke.")
    ] = "",
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on as logs grow, from step to step, until the idea ends.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Every byte as the run wrote it, with control characters.")
    ] = False,
) -> None:
    """Print the log of a run, by default of the newest step.

    Steps that printed nothing are passed over.
    """
    workspace = open_idea(path, "logs", *([run] if run else []), *(["-f"] if follow else []))
    put, number = _put_raw if raw else _put_lines, read_run(run)
    if follow and number is not None and is_over(workspace, number):
        follow = False
    if not follow or (run and number is None):  # of one step: the folder says that it has ended
        print_log(_find_log(workspace, run), put, _runner_of(workspace) if follow else None)
        return
    try:
        follow_idea(Tail(workspace, number, put))
    except KeyboardInterrupt:  # the way to leave
        raise typer.Exit(130) from None


def print_log(log: Path, put: Put, runner: Runner | None) -> None:
    """Print a log to its end. With a runner, to the end of its step."""
    with log.open("rb") as file:
        rest = b""
        while True:
            is_going = runner is not None and isinstance(runner.poll(log.parent), Queued | Running)
            chunk = file.read(CHUNK)
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            put(lines + newline)
            if len(rest) > LONGEST_LINE or not (chunk or is_going):
                put(rest)
                rest = b""
            if not chunk:
                if not is_going:
                    return
                time.sleep(POLL_S)


@dataclass(slots=True)
class Tail:
    """The logs of an idea's steps in their order, each read once as it grows, under a header with its name."""

    # The idea.
    workspace: Workspace
    # Only the steps of this run; None: those of all.
    run: int | None
    # Prints whole lines.
    put: Put
    # Bytes that were read of each log.
    read: dict[str, int] = field(default_factory=dict)
    # The last line of the step at work, which is not whole yet.
    rest: bytes = b""
    # The step whose lines were printed last.
    shown: str = ""

    def steps(self) -> list[StepName]:
        found = find_logged(self.workspace)
        return found if self.run is None else [step for step in found if step.run == self.run]

    def skip_old(self) -> None:
        """Leave out steps that lie before the newest that printed something."""
        steps = self.steps()
        sizes = {step.folder: _size(self._log(step)) for step in steps}
        newest = max((n for n, step in enumerate(steps) if sizes[step.folder]), default=0)
        self.read = {step.folder: sizes[step.folder] for step in steps[:newest]}

    def print_new(self) -> bool:
        """Print what came since the last call. False if there was nothing."""
        came = False
        for step in self.steps()[-LATEST:]:
            for chunk in self._new_of(step):
                came = True
                self._print(step, chunk)
        return came

    def end(self) -> None:
        """Print a last line without its end."""
        if self.rest:
            self.put(self.rest + b"\n")
        self.rest = b""

    def _log(self, step: StepName) -> Path:
        return self.workspace.step_folder(step.folder) / "log.txt"

    def _new_of(self, step: StepName) -> Iterator[bytes]:
        with contextlib.suppress(FileNotFoundError), self._log(step).open("rb") as file:  # of a reply set aside
            file.seek(self.read.get(step.folder, 0))
            while chunk := file.read(CHUNK):
                self.read[step.folder] = file.tell()
                yield chunk

    def _print(self, step: StepName, chunk: bytes) -> None:
        if step.folder != self.shown:
            self.end()
            typer.echo(f"{chr(10) if self.shown else ''}==> {step.folder}: {step.title} <==")
            self.shown = step.folder
        lines, newline, self.rest = (self.rest + chunk).rpartition(b"\n")
        self.put(lines + newline)
        if len(self.rest) > LONGEST_LINE:
            self.put(self.rest)
            self.rest = b""


def follow_idea(tail: Tail) -> None:
    """Print the logs of all steps as they grow, until the idea ends, or the run that was named."""
    workspace, told = tail.workspace, ""
    tail.skip_old()
    if not tail.steps() and state_of(workspace.agent) != "ended":
        say("waits for the first step; Ctrl-C leaves")
    while True:
        state = state_of(workspace.agent)
        is_last = state == "ended" or (tail.run is not None and is_past(workspace, tail.run))
        if tail.print_new():
            sys.stdout.flush()
            continue
        if is_last:
            tail.end()
            if not tail.shown:
                say("no step has printed anything")
            return
        if state != told and state in WAITS:
            way = f"scientist resume {shlex.quote(nearby(workspace.path))}"
            say(f"waits: {WAITS[state]}; to go on: {way} (Ctrl-C leaves this)")
        told = state
        time.sleep(POLL_S)


def is_over(workspace: Workspace, run: int) -> bool:
    """Whether no step of a run can come any more, or the idea has no run of that number."""
    if state_of(workspace.agent) == "ended" or is_past(workspace, run):
        return True
    try:
        return run > read_state(workspace).limits.max_runs
    except IntegrityError:
        return False


def is_past(workspace: Workspace, run: int) -> bool:
    """Whether a run is published, or a later step than its own has begun."""
    begun = order_steps(path.name for path in workspace.attempts.glob("*"))  # figures may be those of an earlier end
    return workspace.run_folder(run).is_dir() or any(step.run is not None and step.run > run for step in begun)


def find_logged(workspace: Workspace) -> list[StepName]:
    """Steps that have a log, the one that printed last at the end: an idea may go on after its figures."""
    stamps: dict[str, int] = {}
    for log in workspace.attempts.glob("*/log.txt"):
        with contextlib.suppress(FileNotFoundError):
            stamps[log.parent.name] = log.stat().st_mtime_ns
    return sorted(order_steps(stamps), key=lambda step: stamps[step.folder])


def _size(log: Path) -> int:
    return log.stat().st_size if log.is_file() else 0


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


def _find_log(workspace: Workspace, run: str) -> Path:
    """The log of a run or a step, else of the newest step that printed something.

    Raises: UsageError if there is none.
    """
    number = read_run(run)
    published = workspace.run_folder(number) / "log.txt" if number is not None else None
    if published and published.is_file():
        if not published.stat().st_size:
            say(f"run {number} has printed nothing")
        return published
    steps = find_logged(workspace)
    fitting = [s for s in steps if not run or s.folder == run or (number is not None and s.run == number)]
    logs = [workspace.step_folder(step.folder) / "log.txt" for step in fitting]
    if not logs:
        raise UsageError(*_say_missing(workspace, run, steps))
    newest = next((log for log in reversed(logs) if log.stat().st_size), logs[-1])
    step = next(s for s in fitting if s.folder == newest.parent.name)
    if not newest.stat().st_size:
        say(f"{step.folder} ({step.title}) has printed nothing" if run else "no step has printed anything")
    elif not run:
        say(f"{step.folder}: {step.title}")
    return newest


def _say_missing(workspace: Workspace, run: str, steps: Sequence[StepName]) -> tuple[str, str, str]:
    path = nearby(workspace.path)
    if run:
        known = say_known([step.folder for step in steps])
        return f"{path}: run {run}", "has no log", f"there are: {known}" if known else "no step has begun"
    return path, "has no log: no step has begun", f"wait for the first: scientist logs -f {shlex.quote(path)}"
