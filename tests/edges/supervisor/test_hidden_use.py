from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.edges.supervisor.hidden_use import find_unseen
from agent.edges.system.processes import Process, running_below

MIB = 1 << 20


@contextmanager
def holding(code: str) -> Iterator[list[Process]]:
    """A process that ran the code and holds the files that it opened."""
    code = f"import mmap, os, time\n{code}\nprint('ready', flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"ready\n"
            yield [p for p in running_below([os.getpid()]) if p.pid == process.pid]
        finally:
            process.kill()


def test_memory_that_is_mapped_is_not_counted_again() -> None:
    made = f"held = os.memfd_create('held'); os.ftruncate(held, {40 * MIB})"
    fill = f"os.write(held, b'x' * {40 * MIB})"
    touch = f"seen = mmap.mmap(held, {40 * MIB}); [seen[n] for n in range(0, {40 * MIB}, 4096)]"
    with holding(f"{made}\n{fill}") as processes:
        assert find_unseen(processes).memory_bytes > 38 * MIB
    with holding(f"{made}\n{fill}\n{touch}") as processes:
        assert find_unseen(processes).memory_bytes < 2 * MIB


def test_a_file_counts_where_it_is_open_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * (12 * MIB // 256))
    status = path.stat()
    with holding(f"held = open({str(path)!r}, 'r+b')") as processes:
        assert find_unseen(processes).files[status.st_dev, status.st_ino] == status.st_blocks * 512
    with holding(f"held = open({str(path)!r}, 'rb')") as processes:
        found = find_unseen(processes).files
        assert (status.st_dev, status.st_ino) not in found, "data that is read is nobody's output"


def test_files_that_are_closed_meanwhile_are_left_out() -> None:
    churn = """
import threading
def open_and_close():
    while True:
        for one in [open('/proc/self/exe', 'rb') for _ in range(20)]: one.close()
threading.Thread(target=open_and_close, daemon=True).start()
"""
    with holding(churn) as processes:
        for _ in range(400):
            find_unseen(processes)


def test_a_file_that_was_removed_and_is_only_mapped_counts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    hide = f"""
import ctypes
held = os.open({str(path)!r}, os.O_RDWR | os.O_CREAT)
os.posix_fallocate(held, 0, {12 * MIB})
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
assert libc.mmap(None, ctypes.c_size_t({12 * MIB}), 3, 1, held, ctypes.c_long(0)) != ctypes.c_void_p(-1).value
os.close(held)
os.unlink({str(path)!r})
"""
    with holding(hide) as processes:
        assert sum(find_unseen(processes, {tmp_path.stat().st_dev}).files.values()) == 12 * MIB
