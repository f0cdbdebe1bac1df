"""A terminal of a given size whose screen is emulated, so that a test asserts what a person sees."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyte

from tests.cli.conftest import LIMIT_S, SCIENTIST, environment

OPEN, CLOSE = b"\x1b[?1049h", b"\x1b[?1049l"  # another screen above the usual one, and back
SCREEN = re.compile(rb"(\x1b\[\?1049[hl])")


class Terminal:
    """A command at work on a pseudo-terminal, and the screen that its writing makes.

    frames: all screens that differed from the one before, each as its lines.
    """

    def __init__(self, columns: int, rows: int = 30) -> None:
        self._main = pyte.HistoryScreen(columns, rows, history=5000)
        self._stream, self._rest = pyte.ByteStream(self._main), b""
        self.screen: pyte.Screen = self._main
        self.leader, self.follower = os.openpty()
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.written = b""
        self.frames: list[list[str]] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self, folder: Path, *arguments: object, program: Sequence[str | Path] = (SCIENTIST,), **extra: str
    ) -> None:
        """Start the command with the terminal as its own, so that Ctrl-C reaches it."""
        variables = environment(**({"TERM": "xterm-256color", "CI": ""} | extra))
        variables = {name: value for name, value in variables.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [*program, *map(str, arguments)],
            cwd=folder,
            env=variables,
            stdin=self.follower,
            stdout=self.follower,
            stderr=self.follower,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(self.follower)

    def read(self, for_s: float) -> bool:
        """Take in what is written within that time. Return whether anybody may still write."""
        ready, _, _ = select.select([self.leader], [], [], for_s)
        if not ready:
            return True
        try:
            chunk = os.read(self.leader, 1 << 14)
        except OSError:  # Linux: the last writer closed the terminal
            return False
        self.feed(chunk)
        return bool(chunk)

    def feed(self, chunk: bytes) -> None:
        """Let the screen take in what was written, and remember how it looks."""
        self.written += chunk
        *whole, self._rest = SCREEN.split(self._rest + chunk)
        if not any(self._rest.endswith(OPEN[:length]) for length in range(1, len(OPEN))):  # not cut in a sequence
            whole, self._rest = [*whole, self._rest], b""
        for part in whole:
            if part in (OPEN, CLOSE):
                self._turn(part)
            else:
                self._stream.feed(part)
        if (seen := self.lines()) != (self.frames[-1] if self.frames else []):
            self.frames.append(seen)

    def _turn(self, part: bytes) -> None:
        """Show a screen above the usual one, or that one again. pyte knows a single screen."""
        if part == OPEN:
            self.screen = pyte.Screen(self._main.columns, self._main.lines)
        else:
            self.screen = self._main
        self._stream = pyte.ByteStream(self.screen)

    def wait_for(self, condition: Callable[[list[str]], bool], limit_s: float = LIMIT_S) -> list[str]:
        """The lines of the screen as soon as they fulfil the condition."""
        deadline = time.monotonic() + limit_s
        while not condition(self.lines()):
            assert time.monotonic() < deadline, "\n".join(["waited in vain", *self.everything()])
            assert self.read(0.2), "\n".join(["ended before", *self.everything()])
        return self.lines()

    def end(self, limit_s: float = LIMIT_S) -> int:
        """Wait for the end of the command, and return its exit code."""
        assert self.process
        deadline = time.monotonic() + limit_s
        while self.read(0.2):
            assert time.monotonic() < deadline, "\n".join(["did not end", *self.everything()])
        return self.process.wait(limit_s)

    def press(self, keys: bytes) -> None:
        os.write(self.leader, keys)

    def lines(self) -> list[str]:
        """The lines of the screen, without empty ones at its end."""
        found = [line.rstrip() for line in self.screen.display]
        while found and not found[-1]:
            found.pop()
        return found

    def everything(self) -> list[str]:
        """All lines: those that moved out at the top, then those of the screen."""
        width = self._main.columns
        above = ["".join(row[x].data for x in range(width)).rstrip() for row in self._main.history.top]
        return above + self.lines()

    def colours(self, row: int) -> set[str]:
        """Colours of the letters in a line of the screen."""
        return {cell.fg for cell in self.screen.buffer[row].values() if cell.data.strip()}


@contextlib.contextmanager
def terminal(columns: int, rows: int = 30) -> Iterator[Terminal]:
    """A terminal, whose command is ended with it."""
    made = Terminal(columns, rows)
    try:
        yield made
    finally:
        if made.process and made.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(made.process.pid, signal.SIGKILL)
            made.process.wait()
        os.close(made.leader)
