"""scientist diff: the code between two runs or commits, in git's colours and pager."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agent.cli.display import is_screen, write_lines
from agent.cli.options import WorkspaceArg
from agent.cli.places import open_idea
from agent.cli.terminal import clean, say
from agent.edges.git.repo import Repo
from agent.edges.workspace.layout import read_state
from agent.errors import UsageError
from agent.report.one_idea.steps import read_run
from agent.report.standings import nearby

# As git sets it: quit if all fits on a screen, keep colours, leave the text on the terminal.
LESS = "FRX"
SHORTEST_HASH = 7
CODE_ALONE = (":(top)", ":(top,exclude)notes.txt")
# By the begin of a line; the first that fits counts.
STYLES = {"diff ": "bold", "index ": "bold", "--- ": "bold", "+++ ": "bold", "@@": "cyan", "+": "green", "-": "red"}


def diff(
    path: WorkspaceArg,
    a: Annotated[str, typer.Argument(metavar="A", help="Run number, tag, commit, or start: the template.")] = "start",
    b: Annotated[str, typer.Argument(metavar="B", help="The same; by default the newest commit.")] = "HEAD",
    notes: Annotated[bool, typer.Option("--notes", help="Also what notes.txt says.")] = False,
) -> None:
    """Show the code difference between two runs or commits."""
    workspace = open_idea(path, "diff", *([a, b] if b != "HEAD" else [a] if a != "start" else []))
    repo = workspace.repo()
    first = read_state(workspace).launched.commit
    ends = [_commit(repo, name, first, workspace.path) for name in (a, b)]
    found = repo.diff(*ends, *([] if notes else CODE_ALONE))
    if not found:
        left = "notes.txt alone differs: see it with --notes" if not notes and repo.diff(*ends) else "nothing differs"
        say(f"{nearby(workspace.path)}: {left}")
    page_lines([paint(line) for line in found.removesuffix("\n").split("\n")] if found else [])


def paint(line: str) -> Text:
    """A line of a unified diff in git's colours."""
    return Text(line, next((style for start, style in STYLES.items() if line.startswith(start)), ""))


def _commit(repo: Repo, name: str, first: str, path: Path) -> str:
    if name == "start":
        return first
    run = None if len(name) >= SHORTEST_HASH and name.isdigit() else read_run(name)  # a hash may be all digits
    found = repo.resolve(name if run is None else f"run/{run}")
    if found is None:
        problem = "is no completed run, tag or commit of this workspace"
        raise UsageError(name or repr(name), problem, f"see: scientist history {shlex.quote(nearby(path))}")
    return found


def page_lines(lines: Sequence[Text]) -> None:
    """Print lines on standard output. On a terminal that they would overflow, show them in a pager."""
    pager = choose_pager() if is_screen(sys.stdout) and len(lines) >= shutil.get_terminal_size().lines else ""
    if not pager or not run_pager(pager, render(lines)):
        write_lines(lines, sys.stdout)


def choose_pager() -> str:
    """The shell command: GIT_PAGER, core.pager of one's own settings, PAGER, or git's default. "" for none."""
    try:  # outside any repository, whose settings anybody may have written
        done = subprocess.run(["git", "var", "GIT_PAGER"], cwd="/", capture_output=True, text=True, check=False)
    except OSError:
        return ""
    pager = done.stdout.strip()
    program = pager.split()[0] if pager else ""
    return "" if program == "cat" or not shutil.which(program) else pager


def render(lines: Sequence[Text]) -> bytes:
    """The lines as a terminal shows them, in colours unless NO_COLOR is set."""
    whole = "".join(f"{line.plain}\n" for line in lines)
    safe = clean(whole)
    if safe != whole or os.environ.get("NO_COLOR"):  # somebody put a key or a control character into a line
        return safe.encode("utf-8", "replace")
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    for line in lines:
        console.print(line)
    return drawn.getvalue().encode("utf-8", "replace")


def run_pager(pager: str, content: bytes) -> bool:
    """Show the content. False if the pager could not be started."""
    environment = {"LESS": LESS, "LV": "-c"} | dict(os.environ)
    sys.stdout.flush()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's: it ends a search
    try:
        done = subprocess.run(["sh", "-c", pager], input=content, env=environment, check=False)
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return done.returncode not in (126, 127)
