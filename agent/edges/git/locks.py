"""Lock files that a killed git left in a repository. They are moved to .agent/rescue if no git can hold them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.edges.system.processes import all_processes

__all__ = ["find_locks", "move_locks"]

MOMENT_S = 1.0  # by then the lock of a git at work is gone, on whatever machine it runs
PATIENCE_S = 10.0
POLL_S = 0.05
NOTES = "moved.txt"


def find_locks(repository: Path) -> list[Path]:
    """Every lock file below a .git folder, but for the folders of loose objects."""
    found = []
    for place, folders, names in os.walk(repository):
        if place == str(repository / "objects"):
            folders[:] = [name for name in folders if len(name) > 2]
        found += [Path(place, name) for name in names if name.endswith(".lock")]
    return sorted(found)


def move_locks(
    work_tree: Path, names: tuple[str, ...] | None = None, *, sleep: Callable[[float], None] | None = None
) -> None:
    """Move aside the named locks below `work_tree`/.git, or all, if nobody holds them. A note says what was moved.

    Raises: OSError naming lock and process if a git at work here on this machine does not give one back.
    """
    sleep = sleep or time.sleep
    repository = work_tree / ".git"
    wanted = find_locks(repository) if names is None else [repository / name for name in names]
    waited_s = 0.0
    while locks := [lock for lock in wanted if os.path.lexists(lock)]:
        if waited_s >= MOMENT_S:
            holder = next(_holders(work_tree, locks), None)
            if holder is None:
                break
            if waited_s >= PATIENCE_S:
                raise OSError(errno.EBUSY, f"is held by {holder}: let it end, or end it", str(locks[0]))
        sleep(POLL_S)
        waited_s += POLL_S
    for lock in locks:
        _move(lock, work_tree)


def _move(lock: Path, work_tree: Path) -> None:
    rescue = work_tree / ".agent" / "rescue"
    rescue.mkdir(parents=True, exist_ok=True)
    aside = rescue / f"{lock.name}.{time.time_ns()}"
    try:
        lock.rename(aside)
    except FileNotFoundError:  # given back at the last moment
        return
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with (rescue / NOTES).open("a", encoding="utf-8") as notes:
        notes.write(f"{stamp} {aside.name} was {lock.relative_to(work_tree)}, left by a git that is gone\n")


def _holders(work_tree: Path, locks: list[Path]) -> Iterator[str]:
    """Processes of this machine that have a lock open, or are a git at work in the folder."""
    for process in all_processes():
        place = Path("/proc", str(process.pid))
        try:
            name = (place / "comm").read_text("utf-8", "replace").strip()
            works_here = (place / "cwd").readlink().is_relative_to(work_tree.resolve())
            opened = {fd.readlink() for fd in (place / "fd").iterdir()}
        except OSError:  # it has ended, or is somebody else's
            continue
        is_git = name == "git" or name.startswith("git-")
        if process.pid != os.getpid() and ((is_git and works_here) or opened & {lock.resolve() for lock in locks}):
            yield f"process {process.pid} ({name})"
