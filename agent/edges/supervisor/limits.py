"""The limits of a step that the kernel does not keep: memory, processes and disk of a whole tree of processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from agent.edges.sandbox.walls import Bounds
from agent.edges.supervisor.hidden_use import find_unseen
from agent.edges.system.deep_folders import MAX_DEPTH, TooDeep, walk_tree
from agent.edges.system.processes import Process, proportional_bytes, resident_bytes

__all__ = ["Guard", "machine_memory_bytes"]

_GIB = 2**30
SCAN_EVERY_S = 1.0
SHARE = 0.05  # of the supervisor's time, for folders of many files and for memory of many pages
EMPTIED_BYTES = 64 << 20
MAX_ENTRIES = 1_000_000
ENTRY_BYTES = 4096  # of a name, however little is in it


def machine_memory_bytes(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Memory of this machine, or of the container or job in which this process is held."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with contextlib.suppress(OSError, ValueError):
        for line in own.read_text("ascii", "replace").splitlines():  # "0::/user.slice", "5:memory:/docker/4f1c"
            _, kinds, below = line.split(":", 2)
            top, name = (cgroups / "memory", "memory.limit_in_bytes") if "memory" in kinds else (cgroups, "memory.max")
            place = top / below.strip("/")
            for folder in (place, *place.parents):
                with contextlib.suppress(OSError, ValueError):  # "max": no limit
                    found.append(int((folder / name).read_text("ascii")))
    return min(size for size in found if size > 0)


class Guard:
    """Checks of a step's processes and folders against its limits. `peak_bytes` is the most memory that was seen."""

    def __init__(self, bounds: Bounds, folders: Sequence[Path]) -> None:
        self._memory_gib = bounds.memory_gib or 0.9 * machine_memory_bytes() / _GIB
        self._bounds, self._folders = bounds, folders
        self.peak_bytes = 0
        self._next_scan_s = self._next_exact_s = 0.0
        self._unseen_memory_bytes = 0
        self._exact_bytes = self._resident_then = 0

    def look(self, processes: Sequence[Process]) -> str:
        """The limit that is broken now, as "memory 8.1 GiB > 8 GiB". Empty: none is."""
        tasks = sum(process.threads for process in processes)
        if self._bounds.processes and tasks > self._bounds.processes:
            return f"processes {tasks} > {self._bounds.processes}"
        mapped_bytes = self._measure_memory(processes)
        if self._unseen_memory_bytes and mapped_bytes + self._unseen_memory_bytes > self._memory_gib * _GIB:
            self._unseen_memory_bytes = find_unseen(processes).memory_bytes  # some of it may be mapped by now
        held_gib = (mapped_bytes + self._unseen_memory_bytes) / _GIB
        if held_gib > self._memory_gib:
            return f"memory {_above(held_gib, self._memory_gib)} GiB > {self._memory_gib:.3g} GiB"
        now_s = time.monotonic()
        if now_s < self._next_scan_s:
            return ""
        breach = self.look_at_disk(processes)
        spent_s = time.monotonic() - now_s
        self._next_scan_s = now_s + max(SCAN_EVERY_S, spent_s / SHARE)
        return breach

    def look_at_end(self, status: int | None) -> str:
        """The limit that a command met whose end came before another look. status: as `wait` gives it.

        The kernel kills what outgrows the machine, between two looks: then it grew above its limit, too.
        """
        killed = status is not None and os.waitstatus_to_exitcode(status) in (-signal.SIGKILL, 128 + signal.SIGKILL)
        peak_gib = self.peak_bytes / _GIB
        if killed and peak_gib > self._memory_gib:
            return f"memory {_above(peak_gib, self._memory_gib)} GiB > {self._memory_gib:.3g} GiB"
        return self.look_at_disk()

    def look_at_disk(self, processes: Sequence[Process] = ()) -> str:
        """The limit of files or disk that is met. A file cannot grow beyond its own limit, so reaching that counts."""
        total_bytes, count, largest = 0, 0, (0, "")
        linked: set[tuple[int, int]] = set()
        devices = set()
        for folder in self._folders:
            with contextlib.suppress(OSError):
                devices.add(folder.stat().st_dev)
        unseen = find_unseen(processes, devices)
        self._unseen_memory_bytes = unseen.memory_bytes
        try:
            for entry in (entry for folder in self._folders for entry in walk_tree(folder)):
                key = (entry.status.st_dev, entry.status.st_ino)
                total_bytes += ENTRY_BYTES if key in linked else max(entry.status.st_blocks * 512, ENTRY_BYTES)
                if entry.status.st_nlink > 1 and not entry.is_folder:
                    linked.add(key)
                unseen.files.pop(key, None)
                count += 1
                if count > MAX_ENTRIES:  # to look at more takes longer than a supervisor may be away
                    return f"more than {MAX_ENTRIES} files"
                if not entry.is_folder:
                    largest = max(largest, (entry.status.st_size, entry.name))
        except TooDeep:
            return f"folders nested deeper than {MAX_DEPTH}"
        total_bytes += sum(unseen.files.values())
        used_gib, file_gib = total_bytes / _GIB, largest[0] / _GIB
        if self._bounds.disk_gib and used_gib > self._bounds.disk_gib:
            return f"disk {_above(used_gib, self._bounds.disk_gib)} GiB > {self._bounds.disk_gib:g} GiB"
        if self._bounds.file_gib and file_gib >= int(self._bounds.file_gib * _GIB) / _GIB:
            return f"file size {self._bounds.file_gib:g} GiB reached by {largest[1]}"
        return ""

    def empty_folders(self) -> int:
        """Remove large files after a breach of disk, which others use too. Returns their bytes."""
        removed = 0
        with contextlib.suppress(TooDeep):
            for entry in (entry for folder in self._folders for entry in walk_tree(folder)):
                size = entry.status.st_blocks * 512
                if size > EMPTIED_BYTES and not entry.is_folder:
                    with contextlib.suppress(OSError):
                        os.unlink(entry.name, dir_fd=entry.parent)
                        removed += size
        return removed

    def _measure_memory(self, processes: Sequence[Process]) -> int:
        """Memory of the tree, shared pages counted once. Between exact measurements growth counts as unshared."""
        resident = resident_bytes(processes)
        if len(processes) == 1 or resident <= self.peak_bytes:
            self.peak_bytes = max(self.peak_bytes, resident)
            return resident
        estimate = self._exact_bytes + max(0, resident - self._resident_then)
        began_s = time.monotonic()
        if began_s < self._next_exact_s and estimate <= self._memory_gib * _GIB:
            return estimate
        self._exact_bytes, self._resident_then = proportional_bytes(processes), resident
        self._next_exact_s = began_s + (time.monotonic() - began_s) / SHARE
        self.peak_bytes = max(self.peak_bytes, self._exact_bytes)
        return self._exact_bytes


def _above(value: float, limit: float) -> str:
    """The size with enough digits to differ from the limit."""
    return next((text for digits in (1, 2, 3) if float(text := f"{value:.{digits}f}") > limit), f"{value:.4f}")
