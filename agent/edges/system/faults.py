"""Faults of a disk: what they are called, and how a program's words tell of one."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from agent.edges.system.files import write_durably

__all__ = ["MEND", "find_fault", "say_fault"]

MEND = "free space or mend the disk, then resume"
_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.ESTALE)
_WRITING = re.compile(r"unable to (write|create)|couldn't write|write error|diskspace|failed to write|cannot mkdir")
_PROBE_BYTES = 1 << 16


def find_fault(problem: str, folder: Path) -> int | None:
    """The errno behind what a program said of its failure; git does not always tell that the disk is full.

    folder: where it wrote, and where it is tried whether anything can be written.
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
    """File, fault and what to do, in a line; `folder` where the error names no file."""
    remedy = "then resume" if error.errno == errno.EBUSY else MEND
    return f"{error.filename or folder}: {error.strerror or error}; {remedy}"
