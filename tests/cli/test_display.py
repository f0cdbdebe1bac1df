"""How much a launch says, the line that moves at a terminal's foot, and `scientist` alone."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.text import Text

from agent.cli.commands.status import Board, Sighted, open_screen
from agent.cli.display import RemarkPrinter, Watch, choose_spinner, is_live, say_batch
from agent.cli.terminal import clean_streams
from agent.core.journal.action_results import Linted, Opened
from agent.core.journal.budget import Limits
from agent.core.journal.kinds import Step
from agent.core.text.remark import Remark
from agent.edges.workspace.layout import Workspace
from agent.report.foot import Pace
from agent.report.status import WorkState
from tests.cli.conftest import LIMIT_S, SCIENTIST, Launched, Scientist, environment, only_workspace
from tests.cli.screens import terminal
from tests.cli.test_status_lines import DONE
from tests.core.journal_by_hand import Story
from tests.overlays import held_quadratic
from tests.paths import QUADRATIC

LAUNCH = ("launch", "ideas.json", "--idea", "momentum", "--template", QUADRATIC, "--max-runs", "1")
SPINNER = re.compile("[\u2801-\u28ff] ")
TALKS = """
        for step in range(int(profile.get("pause_s", 0.0) * 10)):
            print(f"step {step} \\x1b[2J\\u202eloss 0.5 " + "\U0001f600" * 99, flush=True)
            time.sleep(0.1)
"""


@pytest.fixture
def talking(folder: Path) -> Path:
    """A template whose run prints a line of odd letters ten times a second, for 1.5 s."""
    template = shutil.copytree(QUADRATIC, folder / "talking")
    script, profile = template / "experiment.py", template / "profiles" / "slow.json"
    pause = '        time.sleep(profile.get("pause_s", 0.0))\n'
    script.write_text(script.read_text().replace(pause, TALKS.lstrip("\n")))
    profile.write_text(profile.read_text().replace("4.0", "1.5"))
    return template


@pytest.mark.parametrize(
    "columns", [80, pytest.param(100, marks=pytest.mark.slow), pytest.param(160, marks=pytest.mark.slow)]
)
def test_a_launch_has_one_moving_line_below_whole_ones_and_ends_with_a_table(
    columns: int, folder: Path, talking: Path
) -> None:
    plain = {"NO_COLOR": "1"} if columns == 80 else {}
    with terminal(columns, 40) as seen:
        seen.start(folder, "launch", "ideas.json", "--template", talking, "--profile", "slow", "--max-runs", 1, **plain)
        assert seen.end() == 0
        left, frames, moved = seen.everything(), seen.frames, seen.written.count(b"\x1b[2K")
        assert bool(re.search(rb"\x1b\[[0-9;]*3[0-9]m", seen.written)) is not bool(plain)
    assert moved > 20 and not [line for line in left if SPINNER.match(line)], "no frame of the spinner stays"
    moving = [[line for line in frame if SPINNER.match(line)] for frame in frames]
    assert all(len(lines) <= 1 for lines in moving), "it is one line at every time"
    words = {line[2:] for lines in moving for line in lines}
    place, run = ("{}/2", "run 1/1") if columns < 90 else ("idea {} of 2", "run 1 of 1")
    assert any(
        re.match(rf"{place.format(1)} momentum: {run}, training 0:0\d \| step \d+ loss 0.5 \U0001f600", line)
        for line in words
    )
    left_in = re.compile(rf"{place.format(2)} rates: {run}, training 0:0\d, (~|about )\d+ s left.* \| step \d+ loss")
    assert any(map(left_in.match, words)), "time left is known once a run has ended"
    text = "\n".join(left)
    verdict = r"run 1 completed: score=\S+ \((better|worse|no difference), [+-]\S+ from 0.6782\)"
    assert re.search(verdict, " ".join(text.split()))
    assert str(folder) not in text.partition("batch ")[2], "paths are relative"
    table = left[left.index("2 ideas: 2 completed") :]
    assert sum(line.endswith(("/momentum", "/rates")) for line in table[2:-2]) == 2
    assert table[-2].startswith("look: scientist show workspaces/") and table[-1].endswith("-ideas")


def test_ctrl_c_leaves_a_clean_screen_and_status_and_watch_tell_the_truth(folder: Path) -> None:
    held_quadratic(folder / "held")
    options = ("--idea", "1", "--template", "./held", "--profile", "slow", "--max-runs", 1)
    with terminal(100) as launch, terminal(100, 12) as watch:
        launch.start(folder, "launch", "ideas.json", *options)
        launch.wait_for(lambda lines: any("training 0:0" in line for line in lines))
        watch.start(folder, "status", "--watch")
        (line,) = [line for line in watch.wait_for(lambda lines: any("1/1" in x for x in lines)) if "1/1" in line]
        assert line.startswith("running  ") and line.endswith("/momentum")
        launch.press(b"\x03")
        said = launch.wait_for(lambda lines: any("Ctrl-C again" in line for line in lines))
        assert any(line.startswith("interrupted; run_1.1 goes on") for line in said)
        launch.press(b"\x03")
        assert launch.end() == 130
        told = launch.lines()
        assert told[-1].startswith("killed run_1.1; go on: scientist resume workspaces/")
        assert not [line for line in told if SPINNER.search(line)]
        assert watch.end() == 0, "nothing is at work any more"
        assert max(map(len, watch.frames)) <= 12 and watch.written.count(b"\x1b[?1049h") == 1
        after = watch.everything()
    assert after[1].startswith("interrupted") and "nothing is running" in " ".join(after)
    assert sum("path" in line for line in after) == 1, "one table stays, below what stood there before"
    with terminal(80) as seen:
        seen.start(folder, "status")
        assert seen.end() == 0 and "nothing is running" in " ".join(seen.lines())
        assert "brown" in seen.colours(1), "yellow"
    with terminal(80) as plain:
        plain.start(folder, "status", NO_COLOR="1")
        assert plain.end() == 0 and plain.lines() == seen.lines() and plain.colours(1) == {"default"}


def test_a_watch_ends_with_the_work_or_with_ctrl_c_and_shows_as_much_as_the_screen_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    going, pending = replace(DONE, state=WorkState.RUNNING, at_work=True), replace(DONE, state=WorkState.PENDING)
    slept: list[float] = []
    board = Board(Path("ws"), False, (), sleep=slept.append)
    page = board.page(Sighted([going, *[DONE] * 40], ["ws/b: is gone"]), 100, 10)
    assert len(page) == 10 and str(page[1]) == "ws/b: is gone"
    assert re.fullmatch(r"and \d+ lines below; scientist status \| less", str(page[-1]))
    assert str(page[0]).endswith("  41 ideas: 40 completed, 1 running")
    stalled, paused = (replace(DONE, state=state) for state in (WorkState.STALLED, WorkState.PAUSED))
    assert board.is_over(Sighted([stalled, paused, DONE], [])) and not board.is_over(Sighted([going, stalled], []))
    assert board.is_over(Sighted([], [])) and slept == []
    for next_look, is_over in ((going, False), (pending, True)):  # one idea has ended, the next has not begun
        monkeypatch.setattr(Board, "read", lambda self, look=next_look: Sighted([DONE, look], []))
        assert board.is_over(Sighted([DONE, pending], [])) is is_over

    def press(seconds: float) -> None:
        raise KeyboardInterrupt

    found = Sighted([going], [])
    assert Board(Path("ws"), False, (), sleep=press).redraw(found) is found
    assert "\x1b" not in capsys.readouterr().err


def test_a_watch_in_a_pipe_ends_and_status_shows_a_part_if_it_is_asked_for(
    launched: Launched, scientist: Scientist, folder: Path
) -> None:
    launched("--idea", "momentum", "--max-runs", 2)
    piped = scientist("status", "--watch")
    assert piped.returncode == 0 and piped.stdout == scientist("status").stdout and "\x1b" not in piped.stdout
    _, line, *_ = piped.stdout.splitlines()
    assert line.startswith("completed ") and Path(folder, line.split()[-1]) == only_workspace(folder)
    assert scientist("show", line.split()[-1]).returncode == 0
    assert scientist("status", "--only", "completed", "--only", "waiting").stdout == piped.stdout
    none = scientist("status", "--only", "waiting")
    assert none.returncode == 0 and none.stdout == "workspaces: none of 1 ideas is waiting\n"
    assert json.loads(scientist("status", "--json", "--only", "waiting").stdout)["workspaces"] == []
    (row,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert row["best"]["delta"] == row["best"]["value"] - row["best"]["baseline"] and row["at_work"] is False
    assert row["path"] == str(only_workspace(folder)) and row["batch"] == only_workspace(folder).parent.name
    assert "'lost' is not one of" in scientist("status", "--only", "lost").stderr


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
    with terminal(100) as seen:
        seen.start(folder, *LAUNCH, **({"TERM": "xterm", "CI": ""} | variables))
        assert seen.end() == 0 and b"\x1b" not in seen.written


LIBRARY = """
import sys, time
from agent.cli.display import open_foot
from agent.cli.terminal import clean_streams, put, say
with clean_streams(), open_foot() as foot:
    foot.update("at work with canary-90d4c1b7aa \\x1b[2J")
    time.sleep(0.3)
    say("a line")
    print("a library", "prints", file=sys.stderr)
    print("to standard output")
    sys.stderr.write("half a line, ")
    time.sleep(0.3)
    sys.stderr.write("and the rest\\n")
    put("a result")
    sys.stdout.write("no end")
    time.sleep(0.3)
    foot.update("Collecting torch " * 40)
    time.sleep(0.3)
"""


@pytest.mark.parametrize("columns", [40, 100])
def test_lines_of_a_library_stand_above_the_moving_one(columns: int, folder: Path) -> None:
    with terminal(columns) as seen:
        seen.start(folder, "-c", LIBRARY, program=[sys.executable], X_API_KEY="canary-90d4c1b7aa")
        assert seen.end() == 0
    whole = ["a line", "a library prints", "to standard output", "half a line, and the rest", "a result", "no end"]
    assert seen.everything() == whole
    moving = [line for frame in seen.frames for line in frame if SPINNER.match(line)]
    assert moving and all(len(frame) <= len(whole) + 1 for frame in seen.frames), "it takes one line at any width"
    assert not any("canary" in line for line in moving) and any("Collecting torch" in line for line in moving)


def test_a_log_without_a_moving_line_hears_now_and_then_of_a_long_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    story, now = Story(Limits(max_runs=4)), [0.0]
    workspace = Workspace(tmp_path / "momentum")
    workspace.step_folder("run_1.1").mkdir(parents=True)
    (workspace.step_folder("run_1.1") / "log.txt").write_text("epoch 7 \x1b[2Jloss 0.5\n")
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    watch = Watch(workspace, 2, Pace(5), 0.0, every_s=600.0, clock=lambda: now[0])
    story.apply()
    story.tell(Linted(), Opened(step=Step.RUN, folder="run_1.1"))
    assert watch.follow(story.events[-1], story.state).idea == (2, 5)
    for _ in range(13):
        watch.sleep(100.0)
    said = [re.sub(r"\d\d:\d\d:\d\d", "TIME", line) for line in capsys.readouterr().err.splitlines()]
    assert said == [f"[momentum] TIME run 1 of 4, training {m}:00 | epoch 7 loss 0.5" for m in (10, 20)]


def test_a_screen_of_its_own_shows_letters_that_the_terminal_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    monkeypatch.setattr(out, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm-256color")
    with clean_streams(), open_screen() as draw:
        draw(Text("caf\u00e9 \u2026"))
    written = out.buffer.getvalue()  # type: ignore[attr-defined]
    assert written.startswith(b"\x1b[?1049h") and b"caf\\xe9 \\u2026" in written and b"\x1b[?1049l" in written


def test_a_batch_of_which_nothing_can_be_read_ends_without_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say_batch([Workspace(tmp_path / name) for name in ("one", "two")], 6) == 6
    assert capsys.readouterr().out == ""


def test_remarks_have_the_colour_of_their_level(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(said, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", said)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("CI", "")
    for colours in (True, False):
        said.seek(0)
        said.truncate()
        if not colours:
            monkeypatch.setenv("TERM", "dumb")
        with clean_streams():
            printer = RemarkPrinter()
            printer.add([Remark("FAIL", "git", "is not there \x1b[2J"), Remark("ok", "python", "3.11")])
        assert printer.faults == 1
        assert said.getvalue().startswith("FAIL  git: is not there \n"), (
            "what would steer is taken out, with its colour"
        )
        with clean_streams():
            printer.add([Remark("FAIL", "git", "is not there"), Remark("ok", "python", "3.11")])
        assert ("\x1b[1;31mFAIL" in said.getvalue(), "\x1b[32mok" in said.getvalue()) == (colours, colours)


def test_quiet_leaves_the_last_line_and_verbose_says_more(
    scientist: Scientist, launched: Launched, folder: Path
) -> None:
    usual = launched("--idea", "momentum", "--max-runs", 2)
    assert "interpreter" not in usual.stderr and "begins to apply" not in usual.stderr
    assert "-q" not in usual.stderr and "workspace " in usual.stderr
    quiet = scientist(*LAUNCH, "-q")
    assert quiet.returncode == 0 and quiet.stderr == ""
    assert quiet.stdout.count("\n") == 1 and "completed, 1 completed run" in quiet.stdout
    (folder / "scientist.toml").write_text("[launch]\nquiet = true\n")
    loud = scientist(*LAUNCH, "--verbose", "--workspaces", "more")  # what is typed counts more than the file
    (folder / "scientist.toml").unlink()
    assert re.search(r"\[momentum\] template .*, profile small\n", loud.stderr)
    assert "interpreter " in loud.stderr and "begins to apply the reply" in loud.stderr


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
