"""The lock that keeps a workspace to one orchestrator: a kernel lock, with a record of its holder beside it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from agent.edges.system.files import place_of, write_durably
from agent.edges.system.processes import Identity, boot_id, is_running, read_process
from agent.errors import IntegrityError, Locked, UsageError

LOCK = "lock"
HOLDER = "holder.json"
MOMENT_S = 0.5
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_MACHINE_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOENT)


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a workspace; `start_ticks` tells it from a later one with the same pid.

    place: what tells the folder from a copy of it, on the machine of `host`.
    """

    host: str
    pid: int
    boot_id: str
    start_ticks: int
    place: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def is_alive(self) -> bool | None:
        """Whether the holder is alive, None if this host cannot tell."""
        if self.host != os.uname().nodename:
            return None
        return self.boot_id == boot_id() and is_running(Identity(self.pid, self.start_ticks))


def this_process() -> Holder:
    process = read_process(os.getpid())
    assert process
    return Holder(os.uname().nodename, process.pid, boot_id(), process.start_ticks)


def read_holder(folder: Path) -> Holder | None:
    """The process that took the lock and did not give it back. None if there is none, or in a copy of the folder."""
    path = folder / HOLDER
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        holder = Holder(**json.loads(path.read_text()))
        is_copied = holder.host == os.uname().nodename and holder.place not in ("", place_of(folder))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return None if is_copied else holder


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the workspace whose .agent folder this is. A `tell` that holds it for a moment is waited for.

    Raises: Locked, naming the holder; UsageError if the filesystem has no locks; IntegrityError if the folder is gone.
    """
    workspace = folder.parent
    if not folder.is_dir():  # the library would make it
        raise IntegrityError(str(workspace), "is gone", "put it back from a copy, or take it out of its batch's index")
    lock = FileLock(folder / LOCK, fallback_to_soft=False)
    try:
        lock.acquire(timeout=MOMENT_S)
    except Timeout as error:
        holder = read_holder(folder)
        raise Locked(workspace, str(holder or "another process"), wait_for(workspace)) from error
    except (NotImplementedError, OSError) as error:
        raise _explain(workspace, error) from error
    try:
        holder = read_holder(folder)
        if holder and holder.is_alive() is None:
            raise Locked(workspace, str(holder), f"if it is gone, run: scientist unlock {shlex.quote(str(workspace))}")
        record = asdict(replace(this_process(), place=place_of(folder)))
        write_durably(folder / HOLDER, json.dumps(record).encode(), scratch=folder / "tmp")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # a disk that became read-only: the record says by itself that it is old
                (folder / HOLDER).unlink(missing_ok=True)
    finally:
        lock.release()


def wait_for(workspace: Path) -> str:
    """What a person may do about the process that works on a workspace."""
    return f"wait for it, or end it: scientist stop {shlex.quote(str(workspace))}"


def break_lock(folder: Path) -> Holder | None:
    """Forget a holder that is dead or on another host, and return it.

    Raises: Locked if the holder is alive here, or holds the kernel lock from anywhere. UsageError if nothing can be
    written.
    """
    holder = read_holder(folder)
    alive = Locked(
        folder.parent,
        str(holder or "another process"),
        f"end it first: scientist stop {shlex.quote(str(folder.parent))}",
    )
    if holder and holder.is_alive():
        raise alive
    lock = FileLock(folder / LOCK, fallback_to_soft=False)
    try:
        with lock.acquire(timeout=MOMENT_S):
            (folder / HOLDER).unlink(missing_ok=True)
    except Timeout as error:
        raise alive from error
    except (NotImplementedError, OSError) as error:
        raise _explain(folder.parent, error) from error
    return holder


def _explain(workspace: Path, error: Exception) -> Exception:
    if os.path.lexists(lock := workspace / ".agent" / LOCK) and not lock.is_file():
        return UsageError(str(lock), "is no file", "remove it; it is made anew")
    if isinstance(error, OSError) and error.errno in _MACHINE_FAULTS:
        return error
    if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
        problem = f"cannot be written: {error.strerror}"
        return UsageError(str(workspace), problem, "make it writable, or copy it with its .templates elsewhere")
    return UsageError(str(workspace), f"its filesystem gives no file lock: {error}", "use a folder on another one")
