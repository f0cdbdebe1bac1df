"""bubblewrap: a step in namespaces of its own, in which only paths exist that it was given."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.edges.sandbox import landlock
from agent.edges.sandbox.walls import Bounds, Walls

__all__ = [
    "HOSTS",
    "STEP_TMP",
    "Descriptors",
    "bwrap_argv",
    "hold_program",
    "keep_devices",
    "nested_argv",
    "read_exit_code",
]

STEP_TMP = "/tmp"
HOSTS = b"127.0.0.1 localhost experiment\n::1 localhost\n"
_UID = "1000"
_OWN = (
    *("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--uid", _UID, "--gid", _UID, "--hostname", "experiment"),
)


# Root stays the owner of root's files, capabilities or not: those that it may not change have to be read-only.
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_KERNEL = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi")
_SEALS = 0x0F  # F_SEAL_SEAL, _SHRINK, _GROW, _WRITE
_CLONE_NEWNS, _MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = 0x20000, 1, 32, 4096, 0x4000, 1 << 19


def keep_devices(libc: ctypes.CDLL, walls: Walls) -> None:
    """Protect the modes of the machine's device files, in the process that becomes bwrap, if that is root's.

    bwrap binds them writable, and those that it binds read-only cannot be opened.

    Raises: OSError.
    """
    if os.geteuid() != 0:
        return

    def mount(source: str | None, place: str, flags: int) -> None:
        name = source and os.fsencode(source)
        if libc.mount(name, os.fsencode(place), None, ctypes.c_ulong(flags), None) != 0:
            raise OSError(ctypes.get_errno(), "cannot be made read-only", place)

    if libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "no mount namespace for the device files")
    mount(None, "/", _MS_REC | _MS_SLAVE)
    for path in (*(f"/dev/{name}" for name in _DEVICES), *walls.devices):
        if Path(path).exists():
            mount(path, path, _MS_BIND)
            mount(None, path, _MS_REMOUNT | _MS_BIND | _MS_RDONLY)


def hold_program(program: str) -> int | None:
    """A sealed copy of bwrap in memory if the file is this user's, else None.

    Process 1 inside runs this program, and /proc/1/exe leads to its file around every mount. Mode and content of the
    machine's own file could be changed that way.
    """
    if Path(program).stat().st_uid != os.geteuid():
        return None
    held = os.memfd_create("bwrap", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(held, "wb", closefd=False) as copy:
        copy.write(Path(program).read_bytes())
    fcntl.fcntl(held, fcntl.F_ADD_SEALS, _SEALS)
    return held


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Open files handed to bwrap: filter, status pipe, and `hosts`, an /etc/hosts for steps that have no network.

    Processes of one experiment meet at localhost. bwrap writes the exit code into the pipe.
    """

    filter: int
    status: int
    hosts: int | None = None


def bwrap_argv(
    walls: Walls, bounds: Bounds, command: Sequence[str], descriptors: Descriptors, *, tmp: str, work: str
) -> list[str]:
    """Command line that runs `command` in `work` behind the walls, with the folder `tmp` as its /tmp."""
    shared = int(bounds.memory_gib * 2**30) or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    argv = [walls.bwrap, *_OWN, *([] if walls.confines else ["--disable-userns"])]
    argv += ["--share-net"] if walls.network else []
    argv += ["--proc", "/proc", "--dev", "/dev", "--size", str(shared), "--tmpfs", "/dev/shm"]
    if walls.confines and not landlock.landlock_abi():  # a sandbox inside has to write its maps of users there
        argv += [word for path in _KERNEL for word in ("--ro-bind-try", path, path)]
    else:
        argv += ["--remount-ro", "/proc"]
    argv += ["--bind", tmp, STEP_TMP]
    argv += _binds(walls)
    for name, target in walls.links:
        argv += ["--symlink", target, name]
    if descriptors.hosts is not None and {"/etc", "/etc/hosts"}.isdisjoint(walls.read):
        argv += ["--ro-bind-data", str(descriptors.hosts), "/etc/hosts"]
    argv += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", work]
    argv += ["--seccomp", str(descriptors.filter), "--json-status-fd", str(descriptors.status)]
    return [*argv, "--", *command]


def nested_argv(walls: Walls) -> list[str]:
    """The beginning of a command line for a sandbox inside one: no folder to write to yet, the outer's /proc."""
    argv = [walls.bwrap, *_OWN, "--ro-bind", "/proc", "/proc", "--dev", "/dev"]
    return [*argv, *_binds(walls)]


def _binds(walls: Walls) -> list[str]:
    """Options that bind the paths. A folder inside another comes after it, else it would be covered. A path that is
    only to be read is bound once.
    """
    kinds = dict.fromkeys(walls.read, "--ro-bind-try") | dict.fromkeys(walls.devices, "--dev-bind-try")
    kinds |= dict.fromkeys(walls.write, "--bind")
    binds: list[str] = []
    bound: set[Path] = set()
    for path in sorted(kinds, key=lambda path: len(Path(path).parts)):
        if kinds[path] != "--ro-bind-try" or bound.isdisjoint(Path(path).parents):
            binds += [kinds[path], path, path]
            bound.add(Path(path))
    return binds


def read_exit_code(status: bytes) -> int | None:
    """The command's exit code, or 128 and the number of the signal that ended it. None if it never began."""
    for line in status.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and isinstance(told.get("exit-code"), int):
            return int(told["exit-code"])
    return None
