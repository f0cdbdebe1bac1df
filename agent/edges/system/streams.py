"""Standard streams that may be closed, full, gone or held up: their lines are lost, and the work goes on."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterable
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, TextIO

__all__ = ["LossyStream", "name_faults", "open_closed_streams", "settle_streams"]

PATIENCE_S = 0.5
LAST_PATIENCE_S = 2.0  # at the end, when nothing else waits
MOST_WAITING = 5000


class LossyStream:
    """A text stream whose lines are lost if they cannot be written. Everything else is the stream's own.

    Nobody waits for a stream that takes nothing now: a terminal that Ctrl-S holds, a pipe that nobody empties, a disk
    that hangs. Lines wait in its place, MOST_WAITING of them at most.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._writer: _Writer | None = None

    def write(self, text: str) -> int:
        with losing_lines(self._stream):
            if writer := self._begin_writer():
                writer.write(text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
            else:
                self._stream.write(text)
        return len(text)

    def settle(self) -> None:
        """Give lines that wait a last moment."""
        if self._writer:
            self._writer.end()
        self._writer = None

    def _begin_writer(self) -> _Writer | None:
        """None if the stream is no file of the system's, or no thread can be started now."""
        if not self._writer:
            with contextlib.suppress(OSError, RuntimeError, AttributeError):
                descriptor = self._stream.fileno()
                self._stream.flush()
                self._writer = _Writer(descriptor)
        return self._writer

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if not self._writer:
            with losing_lines(self._stream):
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Writer:
    """Writes to a descriptor in a thread of its own.

    Nothing here takes a lock that a signal handler, which prints as well, could find taken by the code below it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._queue = SimpleQueue[tuple[bytes, Event] | None]()
        self._last = Event()
        self._last.set()
        self._is_held_up = False
        Thread(target=self._serve, name="output", daemon=True).start()

    def write(self, data: bytes) -> None:
        """Return once it is written, or after PATIENCE_S. While the stream is held up, at once."""
        self._is_held_up = self._is_held_up and not self._last.is_set()
        moves = b"\n" not in data  # a line that changes in place is out of date before it is seen
        if self._is_held_up and (moves or self._queue.qsize() >= MOST_WAITING):
            return
        written = self._last = Event()
        self._queue.put((data, written))
        self._is_held_up = not written.wait(0.0 if self._is_held_up else PATIENCE_S)

    def end(self) -> None:
        self._queue.put(None)
        self._last.wait(LAST_PATIENCE_S)

    def _serve(self) -> None:
        while item := self._queue.get():
            data, written = item
            with contextlib.suppress(OSError):
                while data:
                    data = data[self._write_part(data) :]
            written.set()

    def _write_part(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # another program set the terminal so
            select.select([], [self._descriptor], [])
            return 0


@contextlib.contextmanager
def losing_lines(stream: TextIO) -> Any:
    """A full disk, a pipe that nobody reads, a terminal that was closed: what was written meanwhile is lost."""
    try:
        with contextlib.suppress(OSError):
            yield
    except ValueError:  # written to after it was closed
        if not stream.closed:
            raise


@contextlib.contextmanager
def name_faults(name: str) -> Any:
    """An OSError of a stream's says which one it was."""
    try:
        yield
    except BrokenPipeError as error:
        raise BrokenPipeError(f"nobody reads {name}") from error  # without the number, at which click exits with 1
    except OSError as error:
        error.filename = error.filename or name
        raise


def open_closed_streams() -> None:
    """Open /dev/null in place of standard streams that were closed at start, as by `>&-`.

    Else the next file that is opened gets the number of one of them, and what a child prints is written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115


def settle_streams() -> None:
    """Write what is left. If that is not possible, drop it: the interpreter would end with an error of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
                stream.flush()
