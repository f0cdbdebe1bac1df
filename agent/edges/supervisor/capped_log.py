"""A log file that keeps its beginning and its end, however much is written to it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

TAIL_BYTES = 64 * 1024


class CappedLog:
    """The first `cap_bytes` go to the file as they come. Of the rest the last 64 KiB are appended on `close`.

    Never raises: if the disk is full the log ends there, and its writer goes on.
    """

    def __init__(self, path: Path, cap_bytes: int) -> None:
        self._path, self._room = path, cap_bytes
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._tail = bytearray()
        self._over = 0
        self._problem = ""

    def write(self, data: bytes) -> None:
        """Take a piece of the stream."""
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        self._put(head)
        if rest:
            self._over += len(rest)
            self._tail += rest[-TAIL_BYTES:]
            del self._tail[:-TAIL_BYTES]

    def close(self) -> str:
        """Append the tail, and put all of it on disk. Give the reason if a part was lost."""
        cut = self._over - len(self._tail)
        if cut:
            self._put(f"\n[... {cut} bytes cut ...]\n".encode("ascii"))
        self._put(bytes(self._tail))
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._complain(error)
        os.close(self._descriptor)
        return self._problem

    def _put(self, data: bytes) -> None:
        while data and not self._problem:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                self._complain(error)

    def _complain(self, error: OSError) -> None:
        from agent.core.failure.record import LOST_OUTPUT  # a supervisor starts without core

        self._problem = f"{LOST_OUTPUT}{self._path.name}: {error}"
        complain(self._problem)


def complain(text: str) -> None:
    """Print a line to supervisor.log, which is lost if that disk is full, too."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
