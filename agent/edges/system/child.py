"""Child commands: each in a process group of its own, heard line by line, ended together with all that it started.

They do not outlive this process, however it ends.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["KILLED", "ChildCommand", "ChildEnd", "run_child", "run_probe"]

TIED = str(Path(__file__).with_name("tied.py"))
POLL_S = 0.1
FROZEN_S = 5.0  # between two looks, if the machine was paused: the command could not run either
CHUNK_BYTES = 1 << 20
LINE_BYTES = 1 << 16


# Exit codes after a signal that a process does not send to itself: of Python, and of a shell.
KILLED = (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGKILL, 128 + signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """Words of a command, the folder in which it runs, and its complete environment.

    output: file that takes its standard output. If there is none, that is heard together with its standard error.
    holds: descriptors, as of a lock, that stay open until nothing of the command is left, even if this process is dead.
    """

    argv: Sequence[str]
    folder: Path
    env: Mapping[str, str]
    output: IO[bytes] | None = None
    holds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a command ended. code: its exit code, or minus the signal that killed it."""

    code: int
    timed_out: bool = False
    stopped: bool = False

    @property
    def told(self) -> str:
        """The end in words: "exit code 1", "killed by SIGKILL"."""
        if self.code >= 0:
            return f"exit code {self.code}"
        known = {member.value: member.name for member in signal.Signals}
        return f"killed by {known.get(-self.code, f'signal {-self.code}')}"


def run_child(
    command: ChildCommand,
    hear: Callable[[str], None] | None,
    *,
    deadline_s: float | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    grace_s: float = 1.0,
) -> ChildEnd:
    """Run the command to its end, its deadline or a request to stop. At return, or if interrupted, none of its group is
    left.

    hear: takes each line of its standard error. None: that goes to the output, too. grace_s: time between SIGTERM and
    SIGKILL, for a command that does not end by itself.

    Raises: OSError if it cannot be started; any exception of `hear`.
    """
    assert hear or command.output, "what it says goes somewhere"
    until_s = None if deadline_s is None else time.monotonic() + deadline_s
    with _started(command, is_heard=hear is not None) as process:
        pipe = process.stderr or process.stdout
        lines = _OutputLines(pipe.fileno() if pipe else None, hear or (lambda line: None))
        timed_out = stopped = False
        try:
            begun_s = time.monotonic()
            while not (timed_out or stopped or lines.pass_on(_has_exited(process))):
                before_s, begun_s = begun_s, time.monotonic()
                if until_s is not None and begun_s - before_s > FROZEN_S:
                    until_s += begun_s - before_s
                stopped = is_stopped()
                timed_out = until_s is not None and begun_s > until_s
        finally:
            _end(process, grace_s)
    return ChildEnd(process.returncode, timed_out, stopped)


def run_probe(
    command: Sequence[str | Path], timeout_s: float, *, stdin: str = "", folder: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a short command that only tells something. If somebody kills it, it is run once more.

    Raises: subprocess.TimeoutExpired; OSError.
    """
    for _ in range(2):
        done = subprocess.run(
            command,
            input=stdin,
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
        if done.returncode not in KILLED:
            break
    return done


@contextmanager
def _started(command: ChildCommand, *, is_heard: bool) -> Iterator[subprocess.Popen[bytes]]:
    """Raises: OSError if the command cannot be started."""
    joined = command.output is None or not is_heard
    life, living = os.pipe()  # at its end as soon as this process is dead
    heard, failure = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", TIED, str(life), str(failure), *map(str, command.argv)],
            cwd=command.folder,
            env=command.env,
            stdin=subprocess.DEVNULL,
            stdout=command.output or subprocess.PIPE,
            stderr=subprocess.STDOUT if joined else subprocess.PIPE,
            start_new_session=True,
            pass_fds=(life, failure, *command.holds),
        )
        os.close(failure)
        failure = -1
        with process:
            if number := os.read(heard, 16):
                process.wait()
                raise OSError(int(number), os.strerror(int(number)), command.argv[0])
            yield process
    finally:
        for descriptor in (life, living, heard, failure):
            if descriptor >= 0:
                os.close(descriptor)


class _OutputLines:
    """Lines of a pipe, passed on as they come. A carriage return ends one, too. A long line is cut to LINE_BYTES."""

    def __init__(self, descriptor: int | None, hear: Callable[[str], None]) -> None:
        self._open = [] if descriptor is None else [descriptor]
        self._begun = bytearray()
        self._hear = hear

    def pass_on(self, has_exited: bool) -> bool:
        """Wait a moment for lines and pass them on. True: the command had exited, and all that it wrote was read.

        A process that it left behind may go on writing, which nobody waits for.
        """
        ready, _, _ = select.select(self._open, [], [], 0 if has_exited else POLL_S)
        chunk = os.read(ready[0], CHUNK_BYTES) if ready else b""
        if ready and not chunk:
            self._open = []
        first, *others = re.split(rb"[\r\n]", chunk)
        self._add(first)
        for part in others:
            self._end_line()
            self._add(part)
        if has_exited:
            self._end_line()
        return has_exited

    def _add(self, part: bytes) -> None:
        self._begun += part
        if len(self._begun) > 2 * LINE_BYTES:  # not at every part, so that a long line takes linear time
            self._cut()

    def _cut(self) -> None:
        """Keep the beginning and the end of a long line, where its meaning is."""
        if len(self._begun) > LINE_BYTES:
            del self._begun[LINE_BYTES // 2 : len(self._begun) - LINE_BYTES // 2]

    def _end_line(self) -> None:
        self._cut()
        line, self._begun = bytes(self._begun), bytearray()
        if line.strip():
            self._hear(line.decode("utf-8", "replace"))


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether it is over. It is not waited for, so that its number still stands for its group."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End the command, and all processes of its group."""
    try:
        if not _has_exited(process):
            os.killpg(process.pid, signal.SIGTERM)
            until_s = time.monotonic() + grace_s
            while not _has_exited(process) and time.monotonic() < until_s:
                time.sleep(POLL_S / 4)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
