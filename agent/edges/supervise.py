"""Supervisor of one step: `python -m agent.edges.supervise [--detach] <step folder>`, locally and in a Slurm job.

It claims the folder, runs the command of spec.json with the environment given there and a TMPDIR of its own, keeps its
output, and writes exit.json once the command and everything it left behind are dead. Imports little, to start at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Literal

from agent.edges import step
from agent.edges.capped_log import CappedLog
from agent.edges.processes import (
    Process,
    glance_below,
    proportional_bytes,
    read_process,
    resident_bytes,
    running_below,
    send_signal,
)
from agent.edges.step import Child, StepSpec

if TYPE_CHECKING:
    from agent.core.failure import ExitRecord

TERM_GRACE_S = 2.0
LEFTOVER_GRACE_S = 0.5  # multiprocessing's resource tracker needs a moment to remove shared memory
KILL_PATIENCE_S = 30.0  # a process in uninterruptible sleep may never die
EXIT_PATIENCE_S = 600.0  # a full disk may be emptied
TEMPORARY_ROOT = "/tmp"
POLL_S = 0.2
BEAT_S = 1.0
PIPE_BYTES = 1 << 20
OOM_SCORE = 500  # the kernel shall take the experiment before its supervisor

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

Ending = Literal["exited", "timed out", "stopped"]


def main(arguments: list[str]) -> int:
    """Supervise the step in the folder named last; with --detach return as soon as it is claimed."""
    detach = arguments[:1] == ["--detach"]
    folder = Path(arguments[-1]).absolute()
    spec = step.read_spec(folder)
    if not detach:
        return _supervise(folder, spec, lambda: None)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        return _supervise(folder, spec, lambda: os.close(writing) if os.write(writing, b"1") else None)
    os.close(writing)
    return 0 if os.read(reading, 1) else 1


def _supervise(folder: Path, spec: StepSpec, announce: Callable[[], object]) -> int:
    stop = _StopSignal()
    claimed = step.claim(folder, "supervisor")
    with contextlib.suppress(BrokenPipeError):  # whoever started us may be gone
        announce()
    if claimed:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        supervision = _Supervision(folder, spec, stop, libc)
        supervision.write_exit(supervision.run())
    return 0


class _StopSignal:
    """SIGTERM asks to stop; it and the death of a child wake the selector. Hang-ups and Ctrl-C are not for us."""

    def __init__(self) -> None:
        self.received = False
        self.wake, writing = os.pipe()
        for descriptor in (self.wake, writing):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._receive)
        # Handlers and not SIG_IGN, which the command would inherit.
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: None)

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True


class _Supervision:
    """The life of one command, driven by `_turn`: read what it wrote, bury the dead, beat the heart."""

    def __init__(self, folder: Path, spec: StepSpec, stop: _StopSignal, libc: ctypes.CDLL) -> None:
        from agent.core.failure import ExitRecord  # half of the start-up time, so once the step is claimed

        self._exit_record = ExitRecord  # and before it runs: the installed code may change meanwhile
        self._folder, self._spec, self._stop, self._libc = folder, spec, stop, libc
        self._selector = selectors.DefaultSelector()
        self._selector.register(stop.wake, selectors.EVENT_READ, None)
        cap_bytes = int(spec.log_cap_mib * 2**20)
        self._log, self._stdout, self._stderr = (
            CappedLog(folder / name, cap_bytes) for name in (step.LOG, step.STDOUT, step.STDERR)
        )
        self._started_s = self._next_beat_s = self._next_poll_s = time.monotonic()
        self._child = Child(0, 0, ())
        self._status: int | None = None
        self._peak_bytes = 0
        self._tmp = ""

    def run(self) -> ExitRecord:
        """Run the command to its end and that of its tree; what it left in its TMPDIR goes with it."""
        try:
            return self._run()
        finally:
            if self._tmp:
                shutil.rmtree(self._tmp, ignore_errors=True)

    def _run(self) -> ExitRecord:
        self._beat()
        try:
            self._start()
        except OSError as error:
            self._close_logs()
            where = f"{error.filename}: " if error.filename else ""
            return self._record("exited", f"{where}{error.strerror}")
        except ValueError as error:  # an argument with a null byte
            self._close_logs()
            return self._record("exited", str(error))
        try:
            ending = self._watch()
            self._end_tree(LEFTOVER_GRACE_S if ending == "exited" else TERM_GRACE_S)
            while self._turn(0.0):
                pass
        finally:
            send_signal([process.identity for process in running_below([os.getpid()])], signal.SIGKILL)
        self._close_logs()
        return self._record(ending, None)

    def write_exit(self, record: ExitRecord) -> None:
        """Write exit.json, patiently: the disk may be full."""
        give_up_s = time.monotonic() + EXIT_PATIENCE_S
        while True:
            try:
                return step.write_exit(self._folder, record)
            except OSError as error:
                if time.monotonic() > give_up_s or self._stop.received:
                    raise
                print(f"exit.json: {error}; trying again", file=sys.stderr, flush=True)
            self._turn(BEAT_S)

    def _start(self) -> None:
        # Short, not in the step's folder: worker processes make their sockets here, whose paths hold 107 bytes.
        self._tmp = tempfile.mkdtemp(prefix="sci-", dir=TEMPORARY_ROOT)
        process = subprocess.Popen(
            self._spec.argv,
            cwd=self._folder / step.WORK,
            env={**self._spec.env, "TMPDIR": self._tmp},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            preexec_fn=self._prepare_child,
        )
        assert process.stdout is not None and process.stderr is not None
        self._listen(process.stdout, self._stdout)
        self._listen(process.stderr, self._stderr)
        seen = read_process(process.pid)  # at least a zombie: it is reaped nowhere but in `_bury`
        assert seen is not None
        self._child = Child(seen.pid, seen.start_ticks, (seen.identity,))
        process.returncode = 0  # `_bury` waits for it, Popen must not
        self._note_child()

    def _prepare_child(self) -> None:
        """Between fork and exec: die with the supervisor, be the first to go when memory runs out."""
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), "ascii")

    def _listen(self, pipe: IO[bytes], log: CappedLog) -> None:
        descriptor = pipe.fileno()
        os.set_blocking(descriptor, False)
        with contextlib.suppress(OSError):  # the user's pages for pipes are spent
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._selector.register(pipe, selectors.EVENT_READ, log)

    def _watch(self) -> Ending:
        while self._status is None:
            self._turn(POLL_S)
            now_s = time.monotonic()
            if now_s - self._started_s > self._spec.deadline_s:
                return "timed out"
            if self._stop.received:
                return "stopped"
            if now_s >= self._next_poll_s:
                self._next_poll_s = now_s + POLL_S
                if self._spec.stop_file.exists():
                    return "stopped"
        return "exited"

    def _end_tree(self, grace_s: float) -> None:
        """Let the processes below end, then make them; whatever cannot be killed is named in supervisor.log."""
        self._signal_tree(signal.SIGTERM)
        give_up_s = time.monotonic() + grace_s
        while self._tree() and time.monotonic() < give_up_s:
            self._turn(0.02)
        give_up_s = time.monotonic() + KILL_PATIENCE_S
        while self._tree() and time.monotonic() < give_up_s:
            self._signal_tree(signal.SIGKILL)
            self._turn(0.02)
        for process in self._tree():
            print(f"process {process.pid} cannot be killed", file=sys.stderr, flush=True)

    def _tree(self) -> list[Process]:
        return running_below([os.getpid()])

    def _signal_tree(self, number: signal.Signals) -> None:
        """Reach every process once: a handler of SIGTERM must not be interrupted by a second one."""
        if number == signal.SIGKILL and self._status is None:  # atomic; until it is reaped the group is its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, number)
        send_signal([process.identity for process in self._tree()], number)

    def _turn(self, timeout_s: float) -> int:
        """Wait for output or a signal; returns how many bytes came."""
        count = 0
        for key, _ in self._selector.select(timeout_s):
            try:
                data = os.read(key.fd, PIPE_BYTES)
            except BlockingIOError:
                continue
            if key.data is None:
                continue
            if not data:
                self._selector.unregister(key.fileobj)
            key.data.write(data)
            self._log.write(data)
            count += len(data)
        self._bury()
        if time.monotonic() >= self._next_beat_s:
            self._beat()
        return count

    def _bury(self) -> None:
        """Reap the command and the orphans that a subreaper inherits."""
        with contextlib.suppress(ChildProcessError):
            while (waited := os.wait4(-1, os.WNOHANG))[0]:
                pid, status, usage = waited
                if pid == self._child.pid:
                    self._status = status
                    self._peak_bytes = max(self._peak_bytes, usage.ru_maxrss * 1024)

    def _beat(self) -> None:
        self._next_beat_s = time.monotonic() + BEAT_S
        with contextlib.suppress(OSError):
            (self._folder / step.HEARTBEAT).touch()
        processes = glance_below(os.getpid()) or self._tree()  # not every kernel lists children
        held_bytes = resident_bytes(processes)
        if len(processes) > 1 and held_bytes > self._peak_bytes:
            held_bytes = proportional_bytes(processes)
        self._peak_bytes = max(self._peak_bytes, held_bytes)
        tree = tuple(sorted(process.identity for process in processes))
        if tree and tree != self._child.tree:
            self._child = Child(self._child.pid, self._child.start_ticks, tree)
            self._note_child()

    def _note_child(self) -> None:
        with contextlib.suppress(OSError):  # a full disk is no reason to stop
            step.write_child(self._folder, self._child)

    def _close_logs(self) -> None:
        for log in (self._log, self._stdout, self._stderr):
            log.close()

    def _record(self, ending: Ending, error: str | None) -> ExitRecord:
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        if code is None and error is None:
            code = -signal.SIGKILL  # sent, and never seen to arrive
        return self._exit_record(
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            timed_out=ending == "timed out",
            stopped=ending == "stopped",
            deadline_s=self._spec.deadline_s,
            wall_s=round(time.monotonic() - self._started_s, 3),
            max_rss_gib=round(self._peak_bytes / 2**30, 4) or None,
            error=error,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
