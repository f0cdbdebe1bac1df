"""A disk that is full or fails costs nothing but time: the idea pauses, and a resume comes to the same end."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.journal.budget import Limits
from agent.core.journal.events import Event
from agent.core.journal.kinds import PauseKind, Step
from agent.core.journal.state import State
from agent.edges.verify import verify
from agent.edges.workspace.layout import Workspace, read_state
from tests.cli.conftest import Scientist, only_workspace
from tests.faults.conftest import SmallDisk
from tests.faults.fault_idea import STORY, Faults, tale_of, whole_runner
from tests.loop.conftest import Study
from tests.loop.lines import NO_PLOT_EDIT, NOTES
from tests.paths import QUADRATIC

MakeStudy = Callable[..., Study]


def assert_same(study: Study, expected: dict[str, object]) -> None:
    assert tale_of(study.workspace) == expected
    assert verify(study.workspace).disagreements == ()


def test_a_full_disk_at_every_effect_costs_nothing(
    make_study: MakeStudy, small_disk: SmallDisk, expected: dict[str, object]
) -> None:
    study = make_study()
    faults = Faults(study, begin=small_disk.fill, end=small_disk.clear)
    assert faults.tell(whole_runner()).ended
    assert_same(study, expected)
    assert len(faults.said) > 12
    for said in faults.said:
        assert "No space left on device" in said or "bytes were written" in said, said
        assert "free space" in said and str(study.workspace.path) in said, said


@pytest.mark.slow  # quick: the test before it, and tests/edges/system/test_faults.py has the words
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_failing_disk_at_every_effect_costs_nothing(
    make_study: MakeStudy, expected: dict[str, object], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    study = make_study()
    real, broken = getattr(os, call), []

    def fail(descriptor: int, *rest: object) -> object:
        if broken and str(study.workspace.path) in os.readlink(f"/proc/self/fd/{descriptor}"):  # noqa: PTH115
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, *rest)

    monkeypatch.setattr(os, call, fail)
    faults = Faults(study, begin=lambda: broken.append(1), end=broken.clear)
    assert faults.tell(whole_runner()).ended
    monkeypatch.undo()
    assert_same(study, expected)
    assert len(faults.said) > 20
    for said in faults.said:
        assert "Input/output error" in said and "mend the disk" in said, said
        assert f"{study.workspace.path}/" in said, "a file is named"


@pytest.mark.slow
def test_a_disk_that_fills_during_a_run_spends_no_attempt(make_study: MakeStudy, small_disk: SmallDisk) -> None:
    """With a real run: it fails for want of space, and its supervisor waits for room to say so."""
    study = make_study(limits=Limits(max_runs=1))
    cleared: list[threading.Timer] = []

    def fill(event: Event, state: State) -> None:
        if state.opened and state.opened.step is Step.RUN and not cleared:
            small_disk.fill()
            cleared.append(threading.Timer(3.0, small_disk.clear))
            cleared[0].start()

    lines = [STORY[1].replace("undefined_rate", "0.1"), NO_PLOT_EDIT, NOTES]
    state = study.loop(lines, watch=fill).run()
    cleared[0].join()
    if state.ended is None:
        assert state.pause and state.pause.kind is PauseKind.INFRASTRUCTURE, state.pause
        state = study.loop(lines[1:]).run()
    assert state.ended and state.ended.completed and [row.attempts for row in state.rows] == [1]
    assert verify(study.workspace).disagreements == ()


@pytest.mark.slow
def test_a_journal_that_cannot_be_read_is_named_and_the_other_ideas_go_on(
    scientist: Scientist, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scientist("launch", "ideas.json", "--template", QUADRATIC, "--max-runs", 1, "--pause-before", "run")
    bad, good = (only_workspace(folder, name) for name in ("momentum", "rates"))
    read = Path.read_bytes

    def fail(path: Path) -> bytes:
        if path == bad / ".agent" / "journal.jsonl":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", fail)
    told = scientist("status", "--json")
    assert told.returncode == 6 and f"{bad}/.agent/journal.jsonl: Input/output error" in told.stderr
    assert [w["name"] for w in json.loads(told.stdout)["workspaces"]] == ["rates"]
    resumed = scientist("resume", "--all")
    assert resumed.returncode == 3 and "Input/output error" in resumed.stderr and "mend the disk" in resumed.stderr
    assert read_state(Workspace(good)).ended


def test_a_launch_on_a_full_disk_is_told_and_leaves_nothing(
    scientist: Scientist, folder: Path, small_disk: SmallDisk
) -> None:
    launch = ("launch", "ideas.json", "--idea", 1, "--template", QUADRATIC, "--pause-before", "run")
    where = ("--workspaces", small_disk.folder)
    small_disk.fill()
    refused = scientist(*launch, *where)
    assert refused.returncode in (2, 3) and "No space left on device" in refused.stderr, refused.stderr
    told = [line for line in refused.stderr.splitlines() if line.startswith("scientist: ")]
    assert len(told) == 1, refused.stderr
    assert not list(small_disk.folder.glob("*/batch.json"))
    small_disk.clear()
    assert "waits for approval" in scientist(*launch, *where).stdout


def test_a_resume_on_a_full_disk_pauses_with_exit_3(scientist: Scientist, folder: Path, small_disk: SmallDisk) -> None:
    where = ("--workspaces", small_disk.folder)
    refused = scientist(
        "launch", "ideas.json", "--idea", 1, "--template", QUADRATIC, "--max-runs", 1, *where,
        "--pause-before", "run",
    )  # fmt: skip
    assert refused.returncode == 3
    (workspace,) = small_disk.folder.glob("*/momentum")
    events = len(Workspace(workspace).journal().events)
    small_disk.fill()
    for _ in range(2):
        full = scientist("resume", workspace)
        assert full.returncode == 3 and "No space left on device" in full.stderr + full.stdout, full.stderr
        assert "free space" in full.stderr + full.stdout and "traceback" not in full.stderr
    small_disk.clear()
    assert len(Workspace(workspace).journal().events) >= events
    done = scientist("resume", workspace)
    assert done.returncode == 0, done.stderr
    assert read_state(Workspace(workspace)).rows[0].attempts == 1
    assert scientist("verify", workspace).returncode == 0
