"""Kill, Ctrl-C once and twice, and stop: the run goes on or ends as promised, and resume reaches the same end."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.cli import drive
from agent.cli.app import say_resume
from agent.cli.settings import CALL
from agent.core.journal.action_results import Opened
from agent.core.journal.events import Event, Finished
from agent.core.journal.kinds import Step
from agent.core.journal.state import State
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import Runner, Running, StepStatus
from agent.edges.workspace.layout import Workspace
from agent.errors import JournalCorrupt
from tests.cli.conftest import SCIENTIST, Scientist, environment, only_workspace
from tests.overlays import held_quadratic, let_go

LAUNCH = ("launch", "ideas.json", "--idea", "1", "--template", "./held", "--profile", "slow", "--max-runs", "1")
Begin = Callable[..., subprocess.Popen[str]]
A_MOMENT_S = 0.5  # in which a resume has come to wait for the run


@pytest.fixture(autouse=True)
def held(folder: Path) -> None:
    held_quadratic(folder / "held")


def wait_for(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def status_of(folder: Path, step: str = "run_1.1") -> StepStatus | None:
    found = list(folder.glob(f"workspaces/*/momentum/.agent/attempts/{step}"))
    return LocalRunner().poll(found[0]) if found else None


def wait_for_run(folder: Path) -> None:
    wait_for(lambda: isinstance(status_of(folder), Running))


def runs_opened(workspace: Path) -> list[str]:
    results = [e.result for e in Workspace(workspace).journal().events if isinstance(e, Finished)]
    return [r.folder for r in results if isinstance(r, Opened) and r.step is Step.RUN]


def state_of(scientist: Scientist) -> str:
    return str(json.loads(scientist("status", "--json").stdout)["workspaces"][0]["state"])


def test_a_run_outlives_its_killed_orchestrator_and_is_adopted(
    begin: Begin, scientist: Scientist, folder: Path
) -> None:
    """A second resume names the holder while that lives. A change by hand during the run is refused and kept."""
    process = begin(*LAUNCH)
    wait_for_run(folder)
    refused = scientist("resume", only_workspace(folder))
    assert refused.returncode == 5 and f"process {process.pid} on" in refused.stderr
    assert state_of(scientist) == "running"
    process.kill()
    process.communicate()
    assert isinstance(status_of(folder), Running)
    assert state_of(scientist) == "interrupted"
    let_go(only_workspace(folder), A_MOMENT_S)
    resumed = scientist("resume", "--all")
    assert resumed.returncode == 0, resumed.stderr
    assert runs_opened(only_workspace(folder)) == ["run_1.1"]


def test_one_interrupt_leaves_the_run_going(begin: Begin, scientist: Scientist, folder: Path) -> None:
    process = begin(*LAUNCH)
    wait_for_run(folder)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert time.monotonic() - begun < 4.0  # promised within 2 s on an idle machine
    assert process.returncode == 130
    assert "run_1.1 goes on" in told and "scientist resume" in told and "scientist stop" in told
    assert isinstance(status_of(folder), Running)
    let_go(only_workspace(folder), A_MOMENT_S)
    assert scientist("resume", "--all").returncode == 0
    assert runs_opened(only_workspace(folder)) == ["run_1.1"]


def test_a_second_interrupt_kills_the_run(begin: Begin, scientist: Scientist, folder: Path) -> None:
    process = begin(*LAUNCH)
    wait_for_run(folder)
    process.send_signal(signal.SIGINT)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    wait_for(lambda: not isinstance(status_of(folder), Running))
    assert scientist("resume", "--all").returncode == 0
    assert state_of(scientist) == "completed"


def test_stop_ends_orchestrator_and_run_and_resume_goes_on(begin: Begin, scientist: Scientist, folder: Path) -> None:
    process = begin(*LAUNCH)
    wait_for_run(folder)
    asked = scientist("stop", only_workspace(folder))
    assert asked.returncode == 0 and "scientist resume" in asked.stdout
    _, told = process.communicate(timeout=20)
    assert process.returncode == 3 and "stopped by request" in told
    assert state_of(scientist) == "paused"
    resumed = begin("resume", "--all")
    time.sleep(0.1)  # long before it has read its arguments
    (only_workspace(folder) / ".agent" / "stop").touch()
    resumed.communicate(timeout=20)
    assert resumed.returncode == 3 and state_of(scientist) == "paused", "a request that came after it began counts"
    assert scientist("resume", "--all").returncode == 0
    assert runs_opened(only_workspace(folder)) == ["run_1.1", "run_1.2"]
    shown = json.loads(scientist("show", only_workspace(folder), 1, "--json").stdout)
    assert shown["attempts"] == 1  # what the user stopped spends no attempt


def test_stopping_a_batch_keeps_its_later_ideas_from_starting(begin: Begin, scientist: Scientist, folder: Path) -> None:
    process = begin("launch", "ideas.json", "--template", "./held", "--profile", "slow", "--max-runs", "1")
    wait_for_run(folder)
    scientist("stop", only_workspace(folder).parent)
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert not list(only_workspace(folder, "rates").glob(".agent/attempts/*"))


def test_an_idea_that_never_began_is_pending_and_begins_with_a_resume(
    scientist: Scientist, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_interrupted(watch: object, event: Event, state: State) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(drive, "show_event", be_interrupted)
        assert scientist("launch", "ideas.json", "--template", "./held", "--max-runs", 1).returncode == 130
    assert states(scientist) == {"momentum": "interrupted", "rates": "pending"}
    begun = scientist("resume", "--all", "--pause-before", "run")
    assert begun.returncode == 3, begun.stderr
    assert states(scientist) == {"momentum": "paused", "rates": "paused"}
    for name in ("momentum", "rates"):
        events = Workspace(only_workspace(folder, name)).journal().events
        assert "applied" in [e.result.type for e in events if isinstance(e, Finished)], "planned and edited"


def states(scientist: Scientist) -> dict[str, str]:
    return {w["name"]: w["state"] for w in json.loads(scientist("status", "--json").stdout)["workspaces"]}


@pytest.mark.slow  # quick: the test before it
def test_ideas_that_never_began_are_pending_and_resumed(begin: Begin, scientist: Scientist, folder: Path) -> None:
    process = begin("launch", "ideas.json", "--template", "./held", "--profile", "slow", "--max-runs", "1")
    wait_for_run(folder)
    process.kill()
    process.communicate()
    assert states(scientist) == {"momentum": "interrupted", "rates": "pending"}
    let_go(only_workspace(folder), A_MOMENT_S)
    assert scientist("resume", "--all").returncode == 0
    assert states(scientist) == {"momentum": "completed", "rates": "completed"}


def test_a_request_to_end_gives_the_lock_back_and_leaves_the_run_going(
    begin: Begin, scientist: Scientist, folder: Path
) -> None:
    process = begin(*LAUNCH)
    wait_for_run(folder)
    process.terminate()
    _, told = process.communicate(timeout=20)
    assert process.returncode == 143 and "scientist resume" in told
    assert not (only_workspace(folder) / ".agent" / "holder.json").exists()
    assert isinstance(status_of(folder), Running)
    (only_workspace(folder) / "notes.txt").unlink()
    refused = scientist("resume", "--all")
    assert refused.returncode == 6 and "notes.txt: was changed by hand" in refused.stderr
    let_go(only_workspace(folder))


def test_a_launch_outlives_its_terminal_if_it_was_started_to_ignore_that(folder: Path) -> None:
    """As after nohup, with a log that nobody reads any more; interrupts are ignored as in a script's background."""
    command = shlex.join([str(SCIENTIST), *map(str, LAUNCH)])
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' HUP INT; exec {command} 2>&1"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    wait_for_run(folder)
    for number in (signal.SIGHUP, signal.SIGINT):
        os.killpg(process.pid, number)
    let_go(only_workspace(folder), A_MOMENT_S)
    assert process.wait(60) == 0
    assert runs_opened(only_workspace(folder)) == ["run_1.1"]


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        # Further ends of a stream: tests/edges/system/test_streams.py
        pytest.param("templates | head -c0", 0, "", marks=pytest.mark.slow),
        ("templates > /dev/full", 1, "scientist: standard output: cannot be written: No space left on device\n"),
        pytest.param("templates >&- 2>&-", 0, "", marks=pytest.mark.slow),
    ],
)
def test_output_that_cannot_be_written_is_told_in_a_line_and_a_reader_that_left_is_no_error(
    line: str, code: int, told: str, folder: Path
) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {SCIENTIST} {line}"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, told)


@pytest.mark.parametrize("presses", [1, 2])
def test_one_interrupt_is_told_for_all_ideas_at_work_and_a_second_kills_all_their_runs(
    presses: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed, waited = [], []

    def press(seconds: float) -> None:
        waited.append(seconds)
        if presses == 2:
            raise KeyboardInterrupt

    class Killing(LocalRunner):
        def kill(self, folder: Path) -> None:
            killed.append(folder.parent.name)

    def find(workspace: Workspace) -> tuple[Runner, Path] | None:
        if workspace.path.name == "damaged":
            raise JournalCorrupt(tmp_path, 1, "damaged")
        return None if workspace.path.name == "idle" else (Killing(), workspace.path / "run_1.1")

    monkeypatch.setattr(drive, "find_going", find)
    monkeypatch.setattr(time, "sleep", press)
    drive.interrupt([Workspace(tmp_path / name) for name in ("a", "idle", "damaged", "b")])
    told = capsys.readouterr().err
    assert told.count("run_1.1 goes on") == 2 and told.count("nothing is running") == 1 and waited == [1.5]
    assert killed == (["a", "b"] if presses == 2 else []) and told.count("killed run_1.1") == len(killed)


@pytest.mark.parametrize(
    ("given", "said"),
    [("workspaces", "scientist resume --all"), ("my ideas", "scientist resume --all --workspaces 'my ideas'")],
)
def test_the_way_on_after_a_request_to_end_names_the_folder(
    given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CALL, "context", SimpleNamespace(params={"workspaces": Path(given)}))
    assert say_resume() == said
