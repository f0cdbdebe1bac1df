"""Read foreign text in a process of its own, which ends at a limit of time or memory.

A pattern that takes for ever holds the whole interpreter, and no thread can end it. So readers run in a child process,
which is kept for the next text. The time is that of the processor: what an idle machine reads, a busy one reads too.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Final, ParamSpec, TypeVar

from agent.errors import StopRequested

__all__ = ["CPU_LIMIT_S", "Unread", "is_never_stopped", "read_apart", "serve"]

P = ParamSpec("P")
R = TypeVar("R")

CPU_LIMIT_S: Final = 10.0
WALL_LIMIT_S: Final = 600.0  # a machine that swaps gives no processor time
MEMORY_LIMIT_BYTES: Final = 4 << 30
POLL_S: Final = 0.2
TRIES: Final = 3  # if somebody else kills the process
WORDS_CHARS: Final = 300  # of an error that nobody foresaw
PATIENCE_S: Final = 1.0  # a request to stop waits so long for a text that is being read
_START: Final = (
    "import sys; sys.path[:] = sys.argv[2:]; from agent.edges.system.reader import serve; serve(int(sys.argv[1]))"
)
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Unread:
    """A text that could not be read, and why, worded to follow "it"."""

    why: str


def is_never_stopped() -> bool:
    """For a reader that nobody can ask to stop."""
    return False


def read_apart(is_stopped: Callable[[], bool], read: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | Unread:
    """The result of `read`, a function of a module of agent, with arguments that can be pickled.

    Raises: StopRequested if `is_stopped` says so while it goes on.
    """
    answer = _ask((read, args, kwargs), is_stopped)
    for _ in range(TRIES - 1):
        if answer.was_killed:
            answer = _ask((read, args, kwargs), is_stopped)
    return read(*args, **kwargs) if answer.is_lost else answer.value


@dataclass(frozen=True, slots=True)
class _ReaderAnswer:
    """What a process read, or why it did not.

    was_killed: by somebody else, as by the kernel for want of memory. is_lost: for no fault of the text, as if another
    version of agent was installed meanwhile.
    """

    value: Any
    was_killed: bool = False
    is_lost: bool = False


class _ReaderProcess:
    """One process that reads."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, str(os.getpid()), *map(os.path.abspath, sys.path)],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the parent alone
        )

    def ask(self, question: object, is_stopped: Callable[[], bool]) -> _ReaderAnswer:
        """The answer of the process.

        Raises: StopRequested.
        """
        assert self._process.stdin and self._process.stdout
        begun = time.monotonic()
        try:
            _write(self._process.stdin, _pack((question, CPU_LIMIT_S)))
        except BrokenPipeError:
            return self._say_end(self._process.wait())
        while not select.select([self._process.stdout], [], [], POLL_S)[0]:
            if time.monotonic() - begun > PATIENCE_S and is_stopped():
                raise StopRequested("stopped by request")
        try:
            return _ReaderAnswer(pickle.load(self._process.stdout))
        except (EOFError, pickle.UnpicklingError):
            return self._say_end(self._process.wait())

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):  # a part of the question is still to be written
                    pipe.close()

    @staticmethod
    def _say_end(code: int) -> _ReaderAnswer:
        if code in (-signal.SIGPROF, -signal.SIGALRM):
            return _ReaderAnswer(Unread(f"could not be read within {CPU_LIMIT_S:g} s"))
        was_killed = code in (-signal.SIGKILL, -signal.SIGTERM)
        return _ReaderAnswer(
            Unread(f"ended the process that read it (exit code {code})"), was_killed, is_lost=code >= 0
        )


def _ask(question: object, is_stopped: Callable[[], bool]) -> _ReaderAnswer:
    try:
        child = _take()
    except OSError:  # the machine gives no process now
        return _ReaderAnswer(None, is_lost=True)
    is_well = False
    try:
        answer = child.ask(question, is_stopped)
        is_well = not isinstance(answer.value, Unread)
        return answer
    finally:
        _give_back(child) if is_well else child.end()


_idle: list[_ReaderProcess] = []
_lock = threading.Lock()


def _take() -> _ReaderProcess:
    with _lock:
        while _idle:
            child = _idle.pop()
            if child.is_alive():
                return child
            child.end()
    return _ReaderProcess()


def _give_back(child: _ReaderProcess) -> None:
    with _lock:
        _idle.append(child)


@atexit.register
def _end_all() -> None:
    with _lock:
        while _idle:
            _idle.pop().end()


def serve(parent: int) -> None:
    """Answer the questions of the parent until it closes the pipe. It dies with the thread that started it.

    A text that another thread gave it meanwhile is read by a new process.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return
    for alarm in (signal.SIGPROF, signal.SIGALRM):  # whoever started the parent may have had them ignored or blocked
        signal.signal(alarm, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGPROF, signal.SIGALRM))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that is printed gets among the answers
    while True:
        try:
            (read, args, kwargs), cpu_limit_s = pickle.load(questions)
        except EOFError:
            return
        # Neither signal is handled: each ends the process at once, whatever code it is in.
        signal.setitimer(signal.ITIMER_PROF, cpu_limit_s)
        signal.setitimer(signal.ITIMER_REAL, WALL_LIMIT_S)
        try:
            answer = _pack(read(*args, **kwargs))
        except RecursionError:
            answer = _pack(Unread("is nested too deeply"))
        except MemoryError:
            answer = _pack(Unread("takes too much memory"))
        except Exception as error:
            answer = _pack(Unread(f"cannot be read: {type(error).__name__}: {str(error)[:WORDS_CHARS]}"))
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        with contextlib.suppress(BrokenPipeError):  # whoever asked is dead
            _write(answers, answer)


def _pack(value: object) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _write(pipe: IO[bytes], packed: bytes) -> None:
    pipe.write(packed)
    pipe.flush()
