"""Faults of a disk: their names, and their signs in a program's words."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from agent.edges.system.files import write_durably

__all__ = ["MEND", "find_fault", "is_machine_fault", "say_fault"]

MEND = "free space or mend the disk, then resume"
_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.ESTALE)
# "fatal: unable to write new index file"
_WRITING = re.compile(r"unable to (write|create)|couldn't write|write error|diskspace|failed to write|cannot mkdir")
_IN_THE_WAY = (errno.EISDIR, errno.EEXIST, errno.ENOTDIR, errno.ENOTEMPTY, errno.ELOOP)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_REMEDIES = {
    **dict.fromkeys(_FORBIDDEN, "give yourself the right to it (chmod, chown), then resume"),
    **dict.fromkeys(_IN_THE_WAY, "move what stands there away, then resume"),
    errno.ENOENT: "put it back, then resume",
    errno.EBUSY: "then resume",
    errno.EINTR: "then resume",
    errno.ETIMEDOUT: "then resume",
    errno.EMFILE: "allow more open files (ulimit -n), then resume",
    errno.ENFILE: "end what else has files open, then resume",
    errno.EFBIG: "allow larger files (ulimit -f), then resume",
    errno.EAGAIN: "allow more processes (ulimit -u) or end others, then resume",
    errno.ENOMEM: "free memory, then resume",
}
_MACHINE = {*_FAULTS, *_REMEDIES} - {errno.ENOENT, *_FORBIDDEN, *_IN_THE_WAY}
_PROBE_BYTES = 1 << 16


def find_fault(problem: str, folder: Path) -> int | None:
    """The errno behind a program's words about its failure. git does not always say that the disk is full.

    folder: the folder that it wrote to, in which a small file in folders of its own is tried.
    """
    if told := next((number for number in _FAULTS if os.strerror(number) in problem), None):
        return told
    if _WRITING.search(problem):
        probe = folder / f"probe.{os.getpid()}"
        try:
            (probe / "refs").mkdir(parents=True)  # a disk may have bytes left, and no place for a name
            write_durably(probe / "refs" / "probe", bytes(_PROBE_BYTES))
        except OSError as error:
            return error.errno
        finally:
            shutil.rmtree(probe, ignore_errors=True)
    return None


def is_machine_fault(error: BaseException) -> bool:
    """Whether the machine gave no memory, file, process or place on a disk: the request itself is right."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _MACHINE)


def say_fault(error: OSError | MemoryError, folder: Path) -> str:
    """File, fault and remedy, in a line. `folder` stands for the file if the error names none."""
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    remedy = _REMEDIES.get(error.errno or 0, MEND)
    place = error.filename2 if error.errno in _IN_THE_WAY and error.filename2 else error.filename
    return f"{place or folder}: {error.strerror or error}; {remedy}"
