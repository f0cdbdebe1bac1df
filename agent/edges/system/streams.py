"""Standard streams that may be closed, full or gone: their lines are lost, and the work goes on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

__all__ = ["LossyStream", "name_faults", "open_closed_streams", "settle_streams"]


class LossyStream:
    """A text stream whose lines are lost where they cannot be written. Everything else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with losing_lines(self._stream):
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with losing_lines(self._stream):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


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
    """Write what is left. Where that is not possible, drop it: the interpreter would end with an error of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
                stream.flush()
