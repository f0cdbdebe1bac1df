"""How much a launch says, the line that moves at a terminal's foot, and `scientist` alone."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from agent.cli.display import Foot, choose_spinner, is_live
from agent.cli.terminal import VOICE, clean_streams, put, say
from tests.cli.conftest import LIMIT_S, SCIENTIST, Launched, Scientist, environment, only_workspace
from tests.paths import QUADRATIC

LAUNCH = ("launch", "ideas.json", "--idea", "momentum", "--template", QUADRATIC, "--max-runs", "1")
ERASE_LINE = "\x1b[2K"


def on_a_terminal(folder: Path, *arguments: object, **variables: str) -> str:
    """All that a command writes to a terminal of 100 columns."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [SCIENTIST, *map(str, arguments)],
        cwd=folder,
        env=environment(TERM="xterm", COLUMNS="100", CI="") | variables,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    written = b""
    while True:
        try:
            chunk = os.read(leader, 1 << 16)
        except OSError:  # Linux: the last writer closed the terminal
            break
        if not chunk:
            break
        written += chunk
    os.close(leader)
    assert process.wait(LIMIT_S) == 0
    return written.decode()


# A newline, a return to the line's start, a control sequence such as ESC[2K or ESC[1A, or text.
PIECES = re.compile(r"\n|\r|\x1b\[[0-9;?]*[A-Za-z]|[^\n\r\x1b]+")


def lines_left(written: str) -> list[str]:
    """Lines that a person sees at the end, on a terminal that knows the sequences of a moving line."""
    rows, row, column = [""], 0, 0
    for piece in PIECES.findall(written):
        if piece == "\n":
            row += 1
            rows += [""] * (row == len(rows))
        elif piece == "\r":
            column = 0
        elif piece == ERASE_LINE:
            rows[row] = ""
        elif piece.endswith("A"):
            row = max(0, row - int(piece[2:-1] or 1))
        elif not piece.startswith("\x1b"):
            rows[row] = rows[row][:column].ljust(column) + piece + rows[row][column + len(piece) :]
            column += len(piece)
    return [line for line in rows if line.strip()]


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, pytest.param({}, marks=pytest.mark.slow)])
def test_a_terminal_has_one_moving_line_and_whole_lines_above_it(folder: Path, variables: dict[str, str]) -> None:
    written = on_a_terminal(folder, *LAUNCH, **variables)
    left = lines_left(written)
    assert ERASE_LINE in written and "momentum: " in written
    assert "run 1 of 1, training" in written
    assert not [row for row in left if re.search("[⠁-⣿]", row)], "no frame of the spinner stays"
    said = [row for row in left if re.match(r"\[momentum\] \d\d:\d\d:\d\d ", row)]
    assert len(said) > 5 and "completed, 1 completed run" in "".join(left)
    if "NO_COLOR" in variables:
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", written)


@pytest.mark.parametrize(
    ("variables", "live"),
    [({}, True), ({"CI": "true"}, False), ({"TERM": "dumb"}, False), ({"TERM": ""}, False), ({"NO_COLOR": "1"}, True)],
)
def test_a_line_moves_on_a_terminal_that_is_not_dumb_and_not_of_ci(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], live: bool
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, value in ({"TERM": "xterm", "CI": ""} | variables).items():
        monkeypatch.setenv(name, value)
    assert is_live() is live


@pytest.mark.parametrize(("encoding", "spinner"), [("utf-8", "dots"), ("latin-1", "line"), ("ascii", "line")])
def test_the_line_moves_in_letters_that_the_terminal_has(
    encoding: str, spinner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding))
    assert choose_spinner() == spinner
    with clean_streams():
        assert choose_spinner() == spinner


@pytest.mark.slow  # quick: test_a_line_moves_on_a_terminal_that_is_not_dumb_and_not_of_ci
@pytest.mark.parametrize("variables", [{"CI": "true"}, {"TERM": "dumb"}])
def test_ci_and_a_dumb_terminal_see_plain_lines(folder: Path, variables: dict[str, str]) -> None:
    assert "\x1b" not in on_a_terminal(folder, *LAUNCH, **variables)


def test_whole_lines_are_printed_around_the_moving_one_also_in_clean_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("X_API_KEY", "canary-5e8f2a71c0")
    with clean_streams():
        foot = Foot(Console(stderr=True, force_terminal=True, width=60))
        foot.start()
        monkeypatch.setattr(VOICE, "foot", foot)
        foot.update("at work with canary-5e8f2a71c0 \x1b[2J")
        say("a line")
        put("a result")
        foot.stop()
    written = terminal.getvalue()
    assert "canary" not in written and "\x1b[2J" not in written
    assert lines_left(written.replace("\n", "\r\n")) == ["a line", "a result"]


def test_quiet_leaves_the_last_line_and_verbose_says_more(
    scientist: Scientist, launched: Launched, folder: Path
) -> None:
    usual = launched("--idea", "momentum", "--max-runs", 2)
    assert "interpreter" not in usual.stderr and "ApplyReply" not in usual.stderr
    assert "-q" not in usual.stderr and "workspace " in usual.stderr
    quiet = scientist(*LAUNCH, "-q")
    assert quiet.returncode == 0 and quiet.stderr == ""
    assert quiet.stdout.count("\n") == 1 and "completed, 1 completed run" in quiet.stdout
    (folder / "scientist.toml").write_text("[launch]\nquiet = true\n")
    loud = scientist(*LAUNCH, "--verbose", "--workspaces", "more")  # what is typed counts more than the file
    (folder / "scientist.toml").unlink()
    assert re.search(r"\[momentum\] template .*, profile small\n", loud.stderr)
    assert "interpreter " in loud.stderr and "ApplyReply" in loud.stderr


def test_quiet_hides_no_problem(scientist: Scientist) -> None:
    assert "not found" in scientist("launch", "nowhere", "-q").stderr
    for order in (("-q", "-v"), ("-v", "-q")):
        both = scientist(*LAUNCH, *order)
        assert both.returncode == 2 and "--quiet or --verbose" in both.stderr


def test_scientist_alone_says_what_to_do_next(scientist: Scientist, launched: Launched, folder: Path) -> None:
    first = scientist()
    assert first.returncode == 0 and "scientist launch sae_synth" in first.stdout and first.stdout.count("\n") < 9
    launched("--idea", "momentum", "--max-runs", 2)
    workspace = only_workspace(folder)
    assert scientist().stdout.startswith("workspaces: 1 ended\n  look:    scientist status\n")
    journal = workspace / ".agent" / "journal.jsonl"
    whole = journal.read_text()
    journal.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    assert scientist().stdout.startswith("workspaces: 1 interrupted\n  go on:   scientist resume --all\n")
    journal.write_text("".join(whole.splitlines(keepends=True)[:-1]) + whole.splitlines()[-1][:40])
    assert scientist().stdout.startswith("workspaces: 1 interrupted\n"), "a crash tore off its last line"
    journal.write_text(whole.replace("completed", "completed " * 20_000))
    assert scientist().stdout.startswith("workspaces: 1 ended\n"), "its last line is longer than one read"
    journal.write_text("{")
    assert scientist().stdout.startswith("workspaces: 1 unreadable\n")
    moved = scientist(SCIENTIST_WORKSPACES="else where")
    assert "else where/ holds none" in moved.stdout


def completed(scientist: Path, folder: Path, words: str) -> list[str]:
    """The words that bash would be offered for the last one."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_SCIENTIST_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [scientist], cwd=folder, env=environment(**asked), capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.stderr == "", done.stderr
    return done.stdout.split()


def test_a_shell_completes_options_and_names(folder: Path) -> None:
    assert set(completed(SCIENTIST, folder, "scientist launch --max")) == {
        "--max-runs",
        "--max-tokens",
        "--max-cost-usd",
    }
    assert "sae_synth" in completed(SCIENTIST, folder, "scientist launch sae")


@pytest.mark.slow  # quick: the test before it
def test_a_shell_completes_commands_and_names_after_options(folder: Path) -> None:
    assert completed(SCIENTIST, folder, "scientist la") == ["launch"]
    assert completed(SCIENTIST, folder, "scientist launch --template s") == ["sae"]
    assert completed(SCIENTIST, folder, "scientist template n") == ["new"]


def test_the_completion_for_a_shell_is_shown_and_installed(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCIENTIST, *arguments], env=environment(**home), capture_output=True, text=True, timeout=LIMIT_S
        )

    assert "_SCIENTIST_COMPLETE=complete_bash" in run("--show-completion", "bash").stdout
    assert run("--install-completion", "bash").returncode == 0
    assert [p for p in tmp_path.rglob("*") if p.is_file() and "scientist" in p.read_text()]
