"""Limits of a whole tree of processes and of the files that it writes, on real processes and files."""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.edges.sandbox.walls import Bounds
from agent.edges.supervisor import limits as guard_module
from agent.edges.supervisor.limits import EMPTIED_BYTES, Guard, machine_memory_bytes
from agent.edges.system.processes import Process, proportional_bytes, read_process, resident_bytes, running_below

MIB = 1 << 20


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[bytes]]:
    """A process with 60 MiB that a child shares, and three threads more."""
    code = """
import os, sys, threading, time
held = bytearray(60 << 20)
for i in range(0, len(held), 4096): held[i] = 1
for _ in range(3): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
if os.fork():
    print("ready", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    yield process
    for one in tree(process):
        os.kill(one.pid, 9)
    process.wait()
    process.stdout.close()


def tree(process: subprocess.Popen[bytes]) -> list[Process]:
    return [p for p in running_below([os.getpid()]) if p.pid == process.pid or p.parent == process.pid]


def test_shared_memory_counts_once(holder: subprocess.Popen[bytes]) -> None:
    guard = Guard(Bounds(memory_gib=0.1), ())
    assert guard.look(tree(holder)) == "", "twice 60 MiB by resident size, and 70 in truth"
    assert 60 * MIB < guard.peak_bytes < 100 * MIB


@pytest.mark.parametrize(
    ("status", "is_breach"), [(9, True), (137 << 8, True), (0, False), (1 << 8, False), (11, False)]
)
def test_a_command_that_outgrew_its_limit_between_two_looks_and_was_killed_met_it(status: int, is_breach: bool) -> None:
    guard = Guard(Bounds(memory_gib=0.5), ())
    assert guard.look_at_end(status) == guard.look_at_end(None) == ""
    guard.peak_bytes = 700 * MIB  # as the kernel counts it for a process that is over
    assert guard.look_at_end(status) == ("memory 0.7 GiB > 0.5 GiB" if is_breach else "")


@pytest.mark.parametrize(
    ("told", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "1048576\n"}, 1 << 20),
        ("0::/job/step\n", {"job/memory.max": "4096\n", "job/step/memory.max": "max\n"}, 4096),
        ("4:memory:/docker/4f1c\n0::/\n", {"memory/memory.limit_in_bytes": "8192\n"}, 8192),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("no cgroup", {}, None),
    ],
)
def test_a_containers_limit_is_the_machines_memory(
    told: str, files: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text(told)
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine_memory_bytes(tmp_path, tmp_path / "own") == (expected or physical)


def test_the_limit_of_memory_is_told_with_what_was_held(holder: subprocess.Popen[bytes]) -> None:
    breach = Guard(Bounds(memory_gib=0.05), ()).look(tree(holder))
    assert breach.startswith(("memory 0.0", "memory 0.1")), breach
    assert breach.endswith(" GiB > 0.05 GiB")
    assert float(breach.split()[1]) > 0.05, "the two numbers differ as they are told"


def test_a_mapped_file_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "tokens.bin").write_bytes(bytes(100 * MIB))
    with (tmp_path / "tokens.bin").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert not any(mapped[:: os.sysconf("SC_PAGE_SIZE")])
        myself = [process for process in (read_process(os.getpid()),) if process]
        before = resident_bytes(myself)
        mapped.madvise(mmap.MADV_DONTNEED)
        assert abs(before - resident_bytes(myself)) < 10 * MIB
        assert abs(proportional_bytes(myself) - before) < 10 * MIB


def test_threads_are_counted_as_processes(holder: subprocess.Popen[bytes]) -> None:
    processes = tree(holder)
    assert len(processes) == 2
    assert Guard(Bounds(processes=5), ()).look(processes) == ""
    assert Guard(Bounds(processes=4), ()).look(processes) == "processes 5 > 4"


def test_disk_is_what_files_take_in_all_folders_together(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a/one", "b/two"):
        (tmp_path / name).write_bytes(os.urandom(3 * MIB))
    with (tmp_path / "b" / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "b" / "out").symlink_to("/usr")
    folders = (tmp_path / "a", tmp_path / "b")
    assert Guard(Bounds(disk_gib=8 / 1024), folders).look([]) == ""
    assert Guard(Bounds(disk_gib=5 / 1024), folders).look_at_disk().startswith("disk 0.01 GiB > ")


def test_a_file_of_many_names_takes_its_place_once(tmp_path: Path) -> None:
    (tmp_path / "step_9.pt").write_bytes(os.urandom(40 * MIB))
    for number in range(5):
        (tmp_path / f"best{number}.pt").hardlink_to(tmp_path / "step_9.pt")
    assert Guard(Bounds(disk_gib=0.1), [tmp_path]).look_at_disk() == ""


def test_a_file_that_reached_its_limit_is_named(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * MIB)
    assert Guard(Bounds(file_gib=2 / 1024), (tmp_path,)).look_at_disk() == ""
    assert "reached by log" in Guard(Bounds(file_gib=1 / 1024), (tmp_path,)).look_at_disk()


@contextlib.contextmanager
def running(code: str) -> Iterator[list[Process]]:
    """The process of a program that says when it is ready, and is killed in the end."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"ready\n"
            yield [p for p in running_below([os.getpid()]) if p.pid == process.pid]
        finally:
            process.kill()


def test_files_that_have_no_name_count_too(tmp_path: Path) -> None:
    code = f"""
import os, time
with open({str(tmp_path / "gone")!r}, "wb") as file, open(os.memfd_create("held"), "wb") as memory:
    os.unlink(file.name)
    for out, size in ((file, 30 << 20), (memory, 50 << 20)):
        out.write(b"x" * size)
        out.flush()
    print("ready", flush=True)
    time.sleep(60)
"""
    with running(code) as mine:
        guard = Guard(Bounds(memory_gib=1, disk_gib=0.02), (tmp_path,))
        assert guard.look(mine).startswith("disk 0.03 GiB > 0.02")
        guard = Guard(Bounds(memory_gib=0.05), (tmp_path,))
        assert guard.look(mine) == "", "memory files are looked for with the disk"
        assert guard.look(mine).startswith("memory 0.1 GiB > 0.05")


def test_a_file_that_is_open_and_has_a_name_counts_once(tmp_path: Path) -> None:
    code = f"""
import os, time
with open({str(tmp_path / "named")!r}, "wb") as file:
    file.write(b"x" * (30 << 20))
    file.flush()
    print("ready", flush=True)
    time.sleep(60)
"""
    with running(code) as mine:
        assert Guard(Bounds(memory_gib=1, disk_gib=0.05), (tmp_path,)).look(mine) == ""


def test_more_files_than_can_be_looked_at_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "MAX_ENTRIES", 5)
    for number in range(6):
        (tmp_path / str(number)).touch()
    assert Guard(Bounds(), (tmp_path,)).look_at_disk() == "more than 5 files"


def test_after_a_breach_of_disk_only_large_files_go(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (EMPTIED_BYTES + 8192))
    (tmp_path / "final_info.json").write_text("{}")
    removed = Guard(Bounds(), (tmp_path,)).empty_folders()
    assert removed > EMPTIED_BYTES
    assert [path.name for path in tmp_path.iterdir()] == ["final_info.json"]


def test_a_folder_of_many_files_is_not_walked_at_every_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(Bounds(disk_gib=1), (tmp_path,))
    walks: list[float] = []
    scan = Guard.look_at_disk

    def counted(self: Guard, nameless_bytes: int = 0) -> str:
        walks.append(time.monotonic())
        return scan(self, nameless_bytes)

    monkeypatch.setattr(Guard, "look_at_disk", counted)
    for _ in range(50):
        guard.look([])
    assert len(walks) == 1
