"""Processes as /proc shows them: which belong to a tree, which of them still run, how much memory they hold."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# "RssAnon:\t    1234 kB", of /proc/<pid>/status
_RESIDENT = re.compile(rb"^Rss(?:Anon|Shmem):\s*(\d+)", re.MULTILINE)
# "Pss_Anon:            1234 kB", of smaps_rollup
_PROPORTIONAL = re.compile(rb"^Pss_(?:Anon|Shmem):\s*(\d+)", re.MULTILINE)
# "Pss:                 1234 kB", of a kernel that does not split it
_PROPORTIONAL_WHOLE = re.compile(rb"^Pss:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """A process that a later one with the same pid cannot be mistaken for. `start_ticks` counts from boot."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc/<pid>/stat."""

    # As this process's pid namespace numbers it.
    pid: int
    # Pid of its parent.
    parent: int
    # Pid of its session's leader.
    session: int
    # From boot to its start, in clock ticks.
    start_ticks: int
    # A zombie whose threads have all ended.
    is_dead: bool
    # How many it has, the first included.
    threads: int = 1

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.start_ticks)


def undo_odd_start() -> None:
    """Undo what a careless parent hands down to this process and its children.

    These are a mask of blocked signals, deaths of children that nobody hears of, and a umask that takes rights from
    the owner of a new file. Requests to end that are blocked or ignored stay so, as nohup wants it.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    kept = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals() - kept)
    os.umask(os.umask(0o077) & 0o077)


def boot_id() -> str:
    """The kernel's name for the time since it was booted."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def read_process(pid: int) -> Process | None:
    """None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - read thousands of times a second
            line = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = line[line.rindex(b")") + 2 :].split()  # the name before it may hold spaces and brackets
    # The first thread may have ended while others run: that process is no zombie yet.
    is_dead = fields[0] in (b"Z", b"X", b"x") and int(fields[17]) <= 1
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), is_dead, int(fields[17]))


def read_command(pid: int) -> list[bytes]:
    """Command line of a process. Empty if it is gone, or shows none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return []


def is_running(identity: Identity) -> bool:
    """Whether this very process still runs. A zombie does not."""
    process = read_process(identity.pid)
    return process is not None and process.identity == identity and not process.is_dead


def running_s(process: Process) -> float:
    """Seconds since the process began."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - process.start_ticks / os.sysconf("SC_CLK_TCK")


def all_processes() -> list[Process]:
    """Every process of this pid namespace, zombies included."""
    with os.scandir("/proc") as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    return [process for pid in pids if (process := read_process(pid)) is not None]


def running_below(roots: Iterable[int]) -> list[Process]:
    """The running descendants of some processes, in any group or session, without the roots themselves."""
    children: defaultdict[int, list[Process]] = defaultdict(list)
    for process in all_processes():
        children[process.parent].append(process)
    found: dict[int, Process] = {}
    waiting = list(roots)
    while waiting:
        for process in children.pop(waiting.pop(), []):
            found[process.pid] = process
            waiting.append(process.pid)
    return [process for process in found.values() if not process.is_dead]


def listed_below(pid: int) -> list[Process]:
    """`running_below` by the kernel's lists of children: cheap on a crowded host, may miss a process being born."""
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        for child in list_children(waiting.pop()):
            process = read_process(child)
            if process is not None and not process.is_dead:
                found.append(process)
                waiting.append(child)
    return found


def send_signal(identities: Iterable[Identity], signal_number: int) -> None:
    """Signal those that still run."""
    for identity in identities:
        if is_running(identity):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(identity.pid, signal_number)


def resident_bytes(processes: Iterable[Process]) -> int:
    """Sum of resident sizes. Shared memory counts in each process.

    Pages of files do not count, because the kernel can drop them.
    """
    total = 0
    for process in processes:
        with contextlib.suppress(OSError, IndexError):
            held = _RESIDENT.findall(Path(f"/proc/{process.pid}/status").read_bytes())
            if held:
                total += sum(int(kib) * 1024 for kib in held)
            else:  # a kernel that does not tell them apart
                total += int(Path(f"/proc/{process.pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    return total


def proportional_bytes(processes: Iterable[Process]) -> int:
    """Sum of proportional sizes: shared memory is counted once. Slow for a process of many GiB."""
    total = 0
    for process in processes:
        try:
            told = Path(f"/proc/{process.pid}/smaps_rollup").read_bytes()
        except OSError:
            total += resident_bytes([process])
            continue
        total += sum(int(kib) * 1024 for kib in _PROPORTIONAL.findall(told) or _PROPORTIONAL_WHOLE.findall(told))
    return total


def list_children(pid: int) -> list[int]:
    """Children of all threads of a process, zombies included. Empty if the kernel does not list them."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (thread / "children").read_bytes().split())
    return found
