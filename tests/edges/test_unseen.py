from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.edges.processes import Process, running_below
from agent.edges.unseen import find_unseen

MIB = 1 << 20


@contextmanager
def holding(code: str) -> Iterator[list[Process]]:
    """A process that ran the code and holds what it opened."""
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
