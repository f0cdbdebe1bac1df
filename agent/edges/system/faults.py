"""Faults of a disk: their names, and their signs in a program's words."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from agent.edges.system.files import write_durably

__all__ = ["MEND", "find_fault", "say_fault"]

MEND = "free space or mend the disk, then resume"
_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.ESTALE)
# "fatal: unable to write new index file"
_WRITING = re.compile(r"unable to (write|create)|couldn't write|write error|diskspace|failed to write|cannot mkdir")
_PROBE_BYTES = 1 << 16


def find_fault(problem: str, folder: Path) -> int | None:
    """The errno behind a program's words about its failure. git does not always say that the disk is full.

    folder: the folder that it wrote to, in which a small file is tried.
    """
    if told := next((number for number in _FAULTS if os.strerror(number) in problem), None):
        return told
    if _WRITING.search(problem):
        probe = folder / f"probe.{os.getpid()}"
        try:
            write_durably(probe, bytes(_PROBE_BYTES))
            probe.unlink()
        except OSError as error:
            return error.errno
    return None


def say_fault(error: OSError, folder: Path) -> str:
    """File, fault and remedy, in a line. `folder` stands for the file if the error names none."""
    remedy = "then resume" if error.errno in (errno.EBUSY, errno.EINTR) else MEND
    return f"{error.filename or folder}: {error.strerror or error}; {remedy}"
