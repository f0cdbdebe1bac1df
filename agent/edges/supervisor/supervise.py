"""Supervisor of one step: `python -m agent.edges.supervisor.supervise [--detach] [--gpus LIST] <step folder>`.

It is the same on the orchestrator's machine and in a batch job. It claims the folder, finds the walls that spec.json
asks for as its own machine has them, and runs the command with the environment given there and a TMPDIR of its own. It
keeps the output, and writes exit.json once the command and everything that it left behind are dead. It imports little.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from agent.edges.run import step_folder as step
from agent.edges.run.step_folder import Child, StepSpec
from agent.edges.sandbox.walls import Walls
from agent.edges.supervisor.capped_log import CappedLog, complain
from agent.edges.supervisor.children import has_children, kill_children
from agent.edges.supervisor.leave import leave
from agent.edges.supervisor.stop_signal import StopSignal, wait_awake
from agent.edges.system.processes import Process, listed_below, read_process, running_below, send_signal

if TYPE_CHECKING:
    from agent.core.failure.record import ExitRecord
    from agent.edges.supervisor.enter import StepEntry

TERM_GRACE_S = 2.0
LEFTOVER_GRACE_S = 0.5  # multiprocessing's resource tracker needs a moment to remove shared memory
KILL_PATIENCE_S = 30.0  # a process in uninterruptible sleep may never die
EXIT_PATIENCE_S = 600.0  # a full disk may be emptied
POLL_S = 0.2
HEARTBEAT_S = 1.0
PIPE_BYTES = 1 << 20

_PR_SET_CHILD_SUBREAPER = 36
_KILLED = 128 + signal.SIGKILL
_IN_EXIT_CODES = frozenset({4, 6, 7, 8, 9, 11, 15, 24, 25, 31})  # signals that bwrap tells as 128 and their number

Ending = Literal["exited", "timed out", "stopped", "breach"]


class _StopAsked(Exception):
    """Somebody asked for the end before the command was started."""


def main(arguments: list[str]) -> int:
    """Supervise the step in the folder named last.

    --detach: return as soon as it is claimed. --gpus: those that a batch system granted to this job, as its
    CUDA_VISIBLE_DEVICES names them.
    """
    options, folder = arguments[:-1], Path(arguments[-1]).absolute()
    gpus = options[options.index("--gpus") + 1] if "--gpus" in options else None
    spec = step.read_spec(folder)
    if "--detach" not in options:
        return _supervise(folder, spec, gpus, lambda: None)
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reading)
        return _supervise(folder, spec, gpus, lambda: os.close(writing) if os.write(writing, b"1") else None)
    os.close(writing)
    return 0 if os.read(reading, 1) else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256 or 1


def _supervise(folder: Path, spec: StepSpec, gpus: str | None, announce: Callable[[], object]) -> int:
    stop = StopSignal()
    claimed = step.claim(folder, "supervisor")
    with contextlib.suppress(BrokenPipeError):  # whoever started us may be gone
        announce()
    if claimed:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        supervision = _Supervision(folder, spec, stop, libc)
        supervision.write_exit(supervision.run(gpus))
    return 0


class _Supervision:
    """One command from start to end, driven by `_turn`: read its output, reap ended processes, write the heartbeat."""

    def __init__(self, folder: Path, spec: StepSpec, stop: StopSignal, libc: ctypes.CDLL) -> None:
        # Loaded before the command runs, since the installed code may change meanwhile, and not before the claim.
        from agent.core.failure.record import ExitRecord
        from agent.edges.sandbox.bwrap import read_exit_code
        from agent.edges.sandbox.gpus import has_nvidia_driver
        from agent.edges.supervisor.enter import open_entry, settle
        from agent.edges.supervisor.limits import Guard
        from agent.edges.system import deep_folders

        self._exit_record, self._read_exit_code, self._make_guard = ExitRecord, read_exit_code, Guard
        self._has_gpu = None if isinstance(spec.walls, Walls) else has_nvidia_driver()  # 0.1 has no such field
        self._open_entry, self._settle, self._deep_folders = open_entry, settle, deep_folders
        self._folder, self._spec, self._stop, self._libc = folder, spec, stop, libc
        self._selector = selectors.DefaultSelector()
        self._selector.register(stop.wake, selectors.EVENT_READ, None)
        cap_bytes = int(spec.log_cap_mib * 2**20)
        self._log, self._stdout, self._stderr = (
            CappedLog(folder / name, cap_bytes) for name in (step.LOG, step.STDOUT, step.STDERR)
        )
        self._started_s = self._next_heartbeat_s = self._next_poll_s = time.monotonic()
        self._child = Child(0, 0, ())
        self._status: int | None = None
        self._guard = Guard(spec.bounds, ())
        self._entry: StepEntry | None = None
        self._breach = self._tmp = ""
        self._walls: Walls | None = None

    def run(self, gpus: str | None) -> ExitRecord:
        """Run the command until it and its tree have ended, and remove its TMPDIR."""
        try:
            return self._run(gpus)
        finally:
            if self._tmp:
                self._deep_folders.remove_tree(Path(self._tmp))

    def _run(self, gpus: str | None) -> ExitRecord:
        self._write_heartbeat()
        try:
            self._spec, self._walls = self._settle(self._spec, gpus, self._go_on)
            self._go_on()
            self._start(self._walls)
        except (_StopAsked, OSError, ValueError, subprocess.SubprocessError) as error:  # a null byte; no such sandbox
            self._close_logs()
            if isinstance(error, _StopAsked) or self._is_stopped():  # SIGTERM may have ended a process that was asked
                return self._record("stopped", None)
            where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
            return self._record("exited", f"{where}{error.strerror if isinstance(error, OSError) else error}")
        try:
            ending = self._watch()
            self._end_tree({"exited": LEFTOVER_GRACE_S, "breach": 0.0}.get(ending, TERM_GRACE_S))
            while self._turn(0.0):
                pass
        finally:
            send_signal([process.identity for process in self._tree()], signal.SIGKILL)
        lost = self._close_logs()
        self._breach = self._breach or self._guard.look_at_end(self._status)
        if self._breach.startswith(("disk", "file size")):
            complain(f"{self._breach}: removed {self._guard.empty_folders()} bytes")
        lost = lost if ending == "exited" and self._status and not self._breach else None
        return self._record(ending, self._entry_problem(ending) or lost)

    def _go_on(self) -> None:
        """Raises: _StopAsked if somebody has asked for the end."""
        self._write_heartbeat()
        if self._is_stopped():
            raise _StopAsked

    def _is_stopped(self) -> bool:
        """Whether a signal or the stop file asks for the end, or somebody removed the workspace."""
        with contextlib.suppress(OSError):  # a disk that fails for a moment ends no run
            return self._stop.received or self._spec.stop_file.exists() or not self._folder.exists()
        return False

    def _entry_problem(self, ending: Ending) -> str | None:
        """Reason why bwrap did not begin the command, or None if it did."""
        entry = self._entry
        if entry is None or entry.status is None:
            return None
        with contextlib.suppress(BlockingIOError):
            code = self._read_exit_code(os.read(entry.status, PIPE_BYTES))
            if code is None and ending == "exited" and 0 <= os.waitstatus_to_exitcode(self._status or 0) != _KILLED:
                said = (self._folder / step.STDERR).read_text("utf-8", "replace").strip().splitlines()
                return f"the sandbox could not be entered: {said[-1] if said else 'bwrap said nothing'}"
        return None

    def write_exit(self, record: ExitRecord) -> None:
        """Write exit.json, patiently: the disk may be full."""
        give_up_s = time.monotonic() + EXIT_PATIENCE_S
        while True:
            try:
                return step.write_exit(self._folder, record)
            except OSError as error:
                if time.monotonic() > give_up_s or self._stop.received or not self._folder.exists():
                    raise
                complain(f"exit.json: {error}; trying again")
            self._turn(HEARTBEAT_S)

    def _start(self, walls: Walls) -> None:
        # Short, not in the step's folder: worker processes make their sockets here, whose paths hold 107 bytes.
        self._tmp = self._deep_folders.make_folder(f"{step.TMP_ROOT}/{step.TMP_PREFIX}")
        folders = (self._folder / step.WORK, self._folder / "home", Path(self._tmp))
        self._guard = self._make_guard(self._spec.bounds, folders)
        self._entry = self._open_entry(self._spec, walls, self._folder, self._tmp, self._libc)
        self._started_s = time.monotonic()
        nothing, writing = os.pipe()  # not /dev/null: root could change the mode of the machine's
        os.close(writing)
        try:
            process = subprocess.Popen(
                self._entry.argv,
                executable=self._entry.program,
                cwd=self._folder / step.WORK,
                env=self._entry.env,
                stdin=nothing,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                preexec_fn=self._entry.in_child,
                pass_fds=self._entry.descriptors,
            )
        finally:
            os.close(nothing)
            self._entry.close_descriptors()
        assert process.stdout is not None and process.stderr is not None
        self._listen(process.stdout, self._stdout)
        self._listen(process.stderr, self._stderr)
        seen = read_process(process.pid)  # at least a zombie: it is reaped nowhere but in `_reap`
        assert seen is not None
        self._child = Child(seen.pid, seen.start_ticks, (seen.identity,), self._tmp)
        process.returncode = 0  # `_reap` waits for it, Popen must not
        self._note_child()

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
            if self._stop.received or now_s >= self._next_poll_s:
                self._next_poll_s = now_s + POLL_S
                if self._is_stopped():
                    return "stopped"
                self._breach = self._guard.look(self._list_tree())
                if self._breach:
                    return "breach"
        return "exited"

    def _end_tree(self, grace_s: float) -> None:
        """Let the processes below end, then kill them. Those that cannot be killed are named in supervisor.log."""
        self._signal_tree(signal.SIGTERM)
        give_up_s = time.monotonic() + grace_s
        while has_children() and time.monotonic() < give_up_s:
            self._turn(0.02)
        give_up_s = time.monotonic() + KILL_PATIENCE_S
        while has_children() and time.monotonic() < give_up_s:
            self._signal_tree(signal.SIGKILL)
            kill_children()
            self._turn(0.02 if self._tree() else 0.0)
        for process in self._tree():
            complain(f"process {process.pid} cannot be killed")

    def _is_in_bwrap(self) -> bool:
        return self._walls is not None and self._walls.kind == "bwrap"

    def _tree(self) -> list[Process]:
        return running_below([os.getpid()]) if has_children() else []  # it looks at every process

    def _signal_tree(self, number: signal.Signals) -> None:
        """Reach every process once: a handler of SIGTERM must not be interrupted by a second one."""
        if number == signal.SIGKILL and self._status is None:  # atomic; until it is reaped the group is its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, number)
        processes = self._tree()
        if number == signal.SIGTERM and self._is_in_bwrap():  # its two processes would take all with them
            processes = [p for p in processes if self._child.pid not in (p.pid, p.parent)]
        send_signal([process.identity for process in processes], number)

    def _turn(self, timeout_s: float) -> int:
        """Wait for output or a signal. Returns the number of bytes that came."""
        count = 0
        ready, frozen_s = wait_awake(self._selector, timeout_s)
        self._started_s += frozen_s  # the command could not run either
        for key, _ in ready:
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
        self._reap()
        if time.monotonic() >= self._next_heartbeat_s:
            self._write_heartbeat()
        return count

    def _reap(self) -> None:
        """Reap the command and the orphans that a subreaper inherits."""
        with contextlib.suppress(ChildProcessError):
            while (waited := os.wait4(-1, os.WNOHANG))[0]:
                pid, status, usage = waited
                if pid == self._child.pid:
                    self._status = status
                    self._guard.peak_bytes = max(self._guard.peak_bytes, usage.ru_maxrss * 1024)

    def _write_heartbeat(self) -> None:
        self._next_heartbeat_s = time.monotonic() + HEARTBEAT_S
        with contextlib.suppress(OSError):
            (self._folder / step.HEARTBEAT).touch()
        tree = tuple(sorted(process.identity for process in self._list_tree())) if self._child.pid else ()
        if tree and tree != self._child.tree:
            self._child = replace(self._child, tree=tree)
            self._note_child()

    def _list_tree(self) -> list[Process]:
        return listed_below(os.getpid()) or self._tree()  # not every kernel lists children

    def _note_child(self) -> None:
        with contextlib.suppress(OSError):  # a full disk is no reason to stop
            step.write_child(self._folder, self._child)

    def _close_logs(self) -> str | None:
        return next(filter(None, [log.close() for log in (self._log, self._stdout, self._stderr)]), None)

    def _record(self, ending: Ending, error: str | None) -> ExitRecord:
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        if code is None and error is None and self._child.pid:
            code = -signal.SIGKILL  # sent, and never seen to arrive
        if self._is_in_bwrap() and code is not None and code - 128 in _IN_EXIT_CODES:
            code = 128 - code
        return self._exit_record(
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            timed_out=ending == "timed out",
            stopped=ending == "stopped",
            deadline_s=self._spec.deadline_s,
            wall_s=round(time.monotonic() - self._started_s, 3),
            max_rss_gib=round(self._guard.peak_bytes / 2**30, 4) or None,
            error=error,
            breach=self._breach,
            sandbox=self._walls.kind if self._walls else "",
            offline=self._walls is not None and self._walls.kind != "off" and not self._walls.network,
            has_gpu=self._has_gpu,
        )


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
