"""Memory and disk that neither sizes of processes nor folders show: files without a name, memory that none maps."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.edges.system.processes import Process

__all__ = ["Unseen", "find_unseen"]

WORTH_BYTES = 16 << 20  # below it nobody asks how much of the shared memory is mapped
_SHARED = "dev/shm"


@dataclass(frozen=True, slots=True)
class Unseen:
    """Memory and disk that sizes and folders do not show.

    files: bytes of files that are open for writing, or removed and still mapped, by device and inode. memory_bytes:
    shared memory that no process maps.
    """

    files: dict[tuple[int, int], int]
    memory_bytes: int


def find_unseen(processes: Sequence[Process], devices: Collection[int] = ()) -> Unseen:
    """Hidden use of the processes now. `devices` are those of the folders that they may write to."""
    found: set[tuple[int, int]] = set()
    files: dict[tuple[int, int], int] = {}
    memory = 0
    shared = _own_shared_memory(processes)
    for process in processes:
        for path, target, status in _open_files(process.pid):
            key = (status.st_dev, status.st_ino)
            if key in found or status.st_dev in shared:
                continue
            found.add(key)
            if target.startswith("/memfd:"):
                memory += status.st_blocks * 512
            elif _is_written(path):
                files[key] = status.st_blocks * 512
        for key, size in _removed_and_mapped(process.pid) if devices else ():
            if key[0] in devices and key not in found:
                files[key] = max(files.get(key, 0), size)
    memory += sum(shared.values())
    if memory > WORTH_BYTES:
        memory = max(0, memory - sum(_mapped_bytes(process.pid) for process in processes))
    return Unseen(files, memory)


def _open_files(pid: int) -> Iterator[tuple[str, str, os.stat_result]]:
    """Path under /proc of each open file, the path that it leads to, and its status. Files closed meanwhile are left
    out.
    """
    with contextlib.suppress(OSError):
        for place in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                status = place.stat()
                if stat.S_ISREG(status.st_mode):
                    yield str(place), str(place.readlink()), status


def _removed_and_mapped(pid: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Device and inode, and how far into the file a mapping reaches."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/maps").read_bytes().splitlines():
            if line.endswith(b" (deleted)"):
                span, _, offset, device, inode, _ = line.split(maxsplit=5)
                begin, end = (int(word, 16) for word in span.split(b"-"))
                major, minor = (int(word, 16) for word in device.split(b":"))
                yield (os.makedev(major, minor), int(inode)), end - begin + int(offset, 16)


def _is_written(path: str) -> bool:
    folder, _, name = path.rpartition("/fd/")
    with contextlib.suppress(OSError, ValueError, IndexError):
        flags = Path(folder, "fdinfo", name).read_text("ascii").split("flags:")[1].split()[0]
        return bool(int(flags, 8) & os.O_ACCMODE)
    return False


def _own_shared_memory(processes: Sequence[Process]) -> dict[int, int]:
    """Bytes in each /dev/shm that is not the machine's, by device."""
    found: dict[int, int] = {}
    with contextlib.suppress(OSError):
        machines = Path("/", _SHARED).stat().st_dev
        for process in processes:
            with contextlib.suppress(OSError):
                path = f"/proc/{process.pid}/root/{_SHARED}"
                device = Path(path).stat().st_dev
                if device != machines and device not in found:
                    room = os.statvfs(path)
                    found[device] = (room.f_blocks - room.f_bfree) * room.f_frsize
    return found


def _mapped_bytes(pid: int) -> int:
    """Shared memory that counts as the process's already, its part of it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss_Shmem:"):
                return int(line.split()[1]) * 1024
    return 0
