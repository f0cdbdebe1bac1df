from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from agent.edges.workspace.lock import HOLDER, LOCK, break_lock, hold_lock, read_holder, this_process
from agent.errors import IntegrityError, Locked, UsageError

HOLD = """
import os, sys, time
from pathlib import Path
from agent.edges.workspace.lock import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "an idea's workspace" / ".agent"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the workspace until its standard input ends."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout and process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_the_holder_is_written_down_and_forgotten_on_release(folder: Path) -> None:
    with hold_lock(folder):
        holder = read_holder(folder)
        assert holder == this_process() and holder.is_alive()
        assert holder.pid == os.getpid() and str(holder) == f"process {os.getpid()} on {os.uname().nodename}"
    assert read_holder(folder) is None
    with hold_lock(folder):
        assert read_holder(folder) == holder


def test_an_exception_releases_the_lock(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), hold_lock(folder):
        raise KeyboardInterrupt
    assert read_holder(folder) is None
    with hold_lock(folder):
        pass


def test_a_second_process_is_told_who_holds_the_workspace(folder: Path, holder: subprocess.Popen[bytes]) -> None:
    for _ in range(2):
        with pytest.raises(Locked) as caught, hold_lock(folder):
            pytest.fail("held twice")
        assert caught.value.exit_code == 5
        assert f"process {holder.pid} on {os.uname().nodename}" in str(caught.value)
        assert caught.value.workspace == folder.parent
    found = read_holder(folder)
    assert found and found.pid == holder.pid
    assert holder.stdin
    holder.stdin.close()
    assert holder.wait() == 0
    with hold_lock(folder):
        assert read_holder(folder) == this_process()


def test_the_same_process_does_not_get_it_twice(folder: Path) -> None:
    with hold_lock(folder):
        with pytest.raises(Locked, match=f"process {os.getpid()} "), hold_lock(folder):
            pytest.fail("held twice")
        assert read_holder(folder) == this_process()


def test_a_holder_that_was_killed_is_taken_over(folder: Path, holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    holder.wait()
    left = read_holder(folder)
    assert left and left.pid == holder.pid and left.is_alive() is False
    with hold_lock(folder):
        assert read_holder(folder) == this_process()


def test_a_pid_given_to_another_process_or_left_from_before_a_reboot_is_dead(folder: Path) -> None:
    here = this_process()
    for other in (replace(here, start_ticks=here.start_ticks - 1), replace(here, boot_id="before")):
        assert other.is_alive() is False
        (folder / HOLDER).write_text(json.dumps(asdict(other)))
        with hold_lock(folder):
            assert read_holder(folder) == here


def test_a_holder_on_another_host_is_refused_until_the_lock_is_broken(folder: Path) -> None:
    """Whether a filesystem carries locks across hosts cannot be known: who does not give back is not passed over."""
    there = replace(this_process(), host="node17", pid=4711)
    (folder / HOLDER).write_text(json.dumps(asdict(there)))
    for _ in range(2):
        with pytest.raises(Locked, match="process 4711 on node17") as caught, hold_lock(folder):
            pytest.fail("passed over")
        assert f"scientist unlock {shlex.quote(str(folder.parent))}" in str(caught.value)
        assert read_holder(folder) == there
    assert break_lock(folder) == there
    with hold_lock(folder):
        assert read_holder(folder) == this_process()


def test_a_living_holder_is_not_broken(folder: Path, holder: subprocess.Popen[bytes]) -> None:
    with pytest.raises(Locked, match=f"process {holder.pid} "):
        break_lock(folder)
    assert read_holder(folder)
    holder.kill()
    holder.wait()
    left = break_lock(folder)
    assert left and left.pid == holder.pid and read_holder(folder) is None
    assert break_lock(folder) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"host": "a"}', '"text"', "\ufffd"])
def test_a_damaged_record_does_not_stand_in_the_way(folder: Path, content: str) -> None:
    (folder / HOLDER).write_text(content)
    assert read_holder(folder) is None
    with hold_lock(folder):
        assert read_holder(folder) == this_process()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.write_text("[" * 100_000)], ids=["pipe", "nested"])
def test_no_record_of_a_holder_is_waited_for(folder: Path, make: Callable[[Path], object]) -> None:
    make(folder / HOLDER)
    assert read_holder(folder) is None


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_filesystem_without_locks_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UsageError, match="gives no file lock"), hold_lock(folder):
        pytest.fail("held without a lock")
    assert read_holder(folder) is None


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOSPC])
def test_a_machine_that_can_open_no_more_files_is_told_as_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match=os.strerror(number)), hold_lock(folder):
        pytest.fail("held without a lock")


def test_a_folder_in_the_place_of_the_lock_is_told_as_that(folder: Path) -> None:
    (folder / LOCK).mkdir()
    with pytest.raises(UsageError, match=r"lock: is no file; remove it"), hold_lock(folder):
        pytest.fail("held without a lock")
    with pytest.raises(UsageError, match=r"lock: is no file; remove it"):
        break_lock(folder)
    (folder / LOCK).rmdir()
    with hold_lock(folder):
        pass


def test_a_workspace_that_is_gone_is_not_made_again(folder: Path) -> None:
    shutil.rmtree(folder.parent)
    with pytest.raises(IntegrityError, match="is gone"), hold_lock(folder):
        pytest.fail("held without a folder")
    assert not folder.parent.exists()


def test_a_lock_that_is_held_for_a_moment_is_waited_for(folder: Path) -> None:
    """As `tell` holds it, just when an orchestrator goes on to this idea."""
    told = threading.Event()

    def tell() -> None:
        with hold_lock(folder):
            told.set()
            time.sleep(0.1)

    thread = threading.Thread(target=tell)
    thread.start()
    told.wait()
    with hold_lock(folder):
        assert read_holder(folder) == this_process()
    thread.join()
