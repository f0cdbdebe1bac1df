"""Locks that a killed git left are moved aside with a note. One that a git holds is not touched."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from agent.edges.git import locks as git_locks
from agent.edges.git.locks import find_locks, move_locks
from agent.edges.workspace.hand_edits import check_untouched
from agent.edges.workspace.layout import read_state
from tests.faults.fault_idea import tale_of, tell, whole_runner
from tests.loop.conftest import Study
from tests.loop.instant import Crash

LOCKS = (
    "index.lock",
    "HEAD.lock",
    "refs/heads/main.lock",
    "packed-refs.lock",
    "refs/tags/run/1.lock",
    "config.lock",
    "refs/rescue/x.lock",
)


def test_every_lock_of_a_killed_git_is_moved_aside_at_a_resume(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(event: object, state: object) -> None:
        if getattr(event, "kind", "") == "Publish":
            raise Crash

    with pytest.raises(Crash):
        tell(study, runner := whole_runner(), crash)
    repository = study.workspace.path / ".git"
    for name in LOCKS:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(f"half of {name}")
    assert find_locks(repository) == sorted(repository / name for name in LOCKS)
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    assert tell(study, runner).ended
    assert sum(waited) == pytest.approx(git_locks.MOMENT_S), "all together are waited for once"
    rescue = study.workspace.agent / "rescue"
    notes = (rescue / "moved.txt").read_text()
    for name in LOCKS:
        (moved,) = [p for p in rescue.glob(f"{Path(name).name}.*") if p.read_text() == f"half of {name}"]
        assert f"{moved.name} was .git/{name}, left by a git that is gone" in notes
    assert find_locks(repository) == [] and tale_of(study.workspace)


@pytest.mark.parametrize("how", ["works in the folder", "has the lock open"])
def test_a_lock_that_a_live_git_holds_stays(study: Study, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A git that waits for its standard input, or any program that writes to the lock."""
    path, lock = study.workspace.path, study.workspace.path / ".git" / "index.lock"
    lock.write_text("")
    if how == "works in the folder":
        process = subprocess.Popen(["git", "cat-file", "--batch"], cwd=path, stdin=subprocess.PIPE)
    else:
        process = subprocess.Popen(["sh", "-c", 'exec 3>>"$1"; read line', "sh", lock], stdin=subprocess.PIPE)
    try:
        until = time.monotonic() + 5
        while not list(git_locks._holders(path, [lock])) and time.monotonic() < until:
            time.sleep(0.02)
        monkeypatch.setattr(git_locks, "MOMENT_S", 0.1)
        monkeypatch.setattr(git_locks, "PATIENCE_S", 0.3)
        with pytest.raises(OSError, match=f"is held by process {process.pid} ") as caught:
            check_untouched(study.workspace, study.workspace.repo(), read_state(study.workspace))
        assert caught.value.filename == str(lock) and lock.exists()
    finally:
        process.communicate(b"\n")
    check_untouched(study.workspace, study.workspace.repo(), read_state(study.workspace))
    assert not lock.exists()


def test_a_lock_that_is_given_back_meanwhile_is_not_moved(study: Study) -> None:
    lock = study.workspace.path / ".git" / "config.lock"
    lock.touch()
    move_locks(study.workspace.path, sleep=lambda seconds: lock.unlink())
    assert not (study.workspace.agent / "rescue").exists()


def test_a_lock_that_is_given_back_as_it_is_moved_is_no_error(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = study.workspace.path / ".git" / "config.lock"
    lock.touch()
    monkeypatch.setattr(git_locks, "_holders", lambda work_tree, locks: iter(lock.unlink() or ()))
    move_locks(study.workspace.path, sleep=lambda seconds: None)
    assert not (study.workspace.agent / "rescue" / git_locks.NOTES).exists()
