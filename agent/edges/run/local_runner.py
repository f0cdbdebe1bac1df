"""Steps as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agent.core.failure.record import ExitRecord
from agent.edges.run import step_folder as step
from agent.edges.run.runner import (
    HEARTBEAT_LIMIT_S,
    Exited,
    Lost,
    Queued,
    Running,
    StepStatus,
    Taken,
    Unclaimed,
    is_supervisor_command,
    say_silence,
    supervisor_command,
    supervisor_environment,
)
from agent.edges.run.step_folder import Claim, StepSpec
from agent.edges.system.deep_folders import remove_tree
from agent.edges.system.files import clock_of
from agent.edges.system.processes import (
    Identity,
    all_processes,
    is_running,
    read_command,
    running_below,
    running_s,
    send_signal,
)

__all__ = ["LocalRunner"]

KILL_PATIENCE_S = 3.5  # the supervisor gives its tree 2 s
STARTING_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class LocalRunner:
    """Steps as processes of this machine, which outlive the orchestrator."""

    python: Path = Path(sys.executable)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    # Time that a supervisor has to claim its step. One that hangs before is not waited for.
    starting_limit_s: float = STARTING_LIMIT_S

    def start(self, folder: Path, spec: StepSpec) -> None:
        """Return once the step is claimed, or as soon as it is sure that no supervisor will run it.

        If the supervisor was killed as it started, the step is Unclaimed.
        """
        step.write_spec(folder, spec)
        log = folder / step.SUPERVISOR_LOG
        problem = ""
        try:
            with log.open("ab") as output:
                code = self.begin(folder, spec, output)
            if code != 0 and not _tells_of_signal(code):
                problem = f"the supervisor did not start (exit code {code}): {_last_line(log)}"
        except subprocess.TimeoutExpired:
            problem = f"the supervisor did not start within {self.starting_limit_s:g} s"
        if problem and self.take_claim(folder):
            step.write_exit(folder, ExitRecord.lost(problem, spec.deadline_s))

    def begin(self, folder: Path, spec: StepSpec, log: IO[bytes]) -> int:
        """Start a supervisor, whose output goes to the log. Returns its exit code, once it has claimed the step.

        Raises: subprocess.TimeoutExpired.
        """
        process = subprocess.Popen(
            supervisor_command(self.python, folder, detach=True),
            cwd="/",
            env=supervisor_environment(spec),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        return _wait_for(process, self.starting_limit_s)

    def poll(self, folder: Path) -> StepStatus:
        """State of the step, as its records and the processes of this machine show it.

        A supervisor is lost if its process is gone or, on another machine, if its heartbeat stopped.
        """
        try:
            return self._read_status(folder)
        except ValueError as error:
            return Lost(f"damaged record: {error}")

    def _read_status(self, folder: Path) -> StepStatus:
        """Raises: ValueError if claim or exit record is damaged."""
        record = step.read_exit(folder)
        if record is not None:
            return Exited(record)
        claim = step.read_claim(folder)
        if claim is None:
            starting = _find_starting(folder, self.starting_limit_s)
            claim = step.read_claim(folder)  # the process may have claimed it, and ended, during the search
            if claim is None:
                return Queued(f"supervisor {starting} is starting") if starting else Unclaimed()
        if claim.by == "resume":
            return Taken()
        reason = self._death(folder, claim)
        if reason is None:
            return Running(claim.pid, claim.host, _age_s(folder, self.clock()))
        record = step.read_exit(folder)  # it may have been written after the first look
        return Lost(reason) if record is None else Exited(record)

    def take_claim(self, folder: Path) -> bool:
        return step.claim(folder, "resume")

    def kill(self, folder: Path) -> None:
        """Take the claim if there is none. Else ask the supervisor to end and to write exit.json, then kill it."""
        with contextlib.suppress(FileNotFoundError):  # a step whose folder was never made
            self.take_claim(folder)
        try:
            claim = step.read_claim(folder)
        except ValueError:
            claim = None
        if claim is None or claim.by == "resume" or not (claim.is_local() and claim.is_of(folder)):
            return
        supervisor = Identity(claim.pid, claim.start_ticks)
        send_signal([supervisor], signal.SIGTERM)
        self._wait_until(lambda: not is_running(supervisor))
        targets = {supervisor}
        if not (folder / step.EXIT).exists():
            targets |= _leftovers(folder, supervisor)

        def is_over() -> bool:
            alive = {identity for identity in targets if is_running(identity)}
            targets.update(process.identity for process in running_below(identity.pid for identity in alive))
            send_signal(targets, signal.SIGKILL)
            return not any(map(is_running, targets))

        self._wait_until(is_over)
        _remove_temporary(folder)

    def read_streams(self, folder: Path, limit_bytes: int) -> tuple[str, str]:
        return _read_text(folder / step.STDOUT, limit_bytes), _read_text(folder / step.STDERR, limit_bytes)

    def _death(self, folder: Path, claim: Claim) -> str | None:
        """Why the supervisor must be dead, or None."""
        if claim.is_local():
            if not claim.is_of(folder):
                return f"the folder is a copy, and supervisor {claim.pid} works in {claim.folder}"
            if claim.was_moved():
                return f"the folder was moved away from {claim.folder} while supervisor {claim.pid} worked in it"
            if is_running(Identity(claim.pid, claim.start_ticks)):
                return None
            return f"supervisor {claim.pid} is gone: {_last_line(folder / step.SUPERVISOR_LOG) or 'it was killed'}"
        age_s = _age_s(folder, clock_of(folder))
        if age_s <= HEARTBEAT_LIMIT_S:
            return None
        return say_silence(Running(claim.pid, claim.host, age_s))

    def _wait_until(self, is_over: Callable[[], bool]) -> None:
        pause_s = 0.02
        for _ in range(int(KILL_PATIENCE_S / pause_s)):
            if is_over():
                return
            self.sleep(pause_s)


def _wait_for(process: subprocess.Popen[bytes], limit_s: float) -> int:
    """The exit code of a process that is killed if it, or this call, is ended before.

    Raises: subprocess.TimeoutExpired.
    """
    try:
        with contextlib.suppress(OSError):  # a kernel without them; `Popen.wait` with a limit looks every 50 ms
            descriptor = os.pidfd_open(process.pid)
            try:
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                poll.poll(limit_s * 1000)
            finally:
                os.close(descriptor)
            return process.wait(0.0)
        return process.wait(limit_s)
    except BaseException:
        process.kill()
        process.wait()
        raise


def _tells_of_signal(code: int) -> bool:
    """Whether a signal ended the process, or the one that it forked: then it exits with that code modulo 256."""
    return code < 0 or code > 128


def _find_starting(folder: Path, limit_s: float) -> int | None:
    """Pid of a supervisor of this folder that has not claimed it yet, and began less than `limit_s` ago."""
    alive = (process for process in all_processes() if not process.is_dead)
    found = (process for process in alive if is_supervisor_command(read_command(process.pid), folder))
    return next((process.pid for process in found if running_s(process) < limit_s), None)


def _leftovers(folder: Path, supervisor: Identity) -> set[Identity]:
    """Running processes of a step whose supervisor is dead. A reused pid is never taken for one of them."""
    child = step.read_child(folder)
    work = (folder / step.WORK).resolve()
    if child is None:
        return _orphans(work, supervisor)
    found = {identity for identity in child.tree if is_running(identity)}
    session = [p for p in all_processes() if p.session == child.pid and p.start_ticks >= child.start_ticks]
    # A session's number is not given again while it has members, so one known member vouches for all.
    is_ours = any(process.identity in found for process in session)
    found |= {p.identity for p in session if not p.is_dead and (is_ours or _works_in(p.pid, work))}
    return found


def _orphans(work: Path, supervisor: Identity) -> set[Identity]:
    """Processes of a supervisor that was killed as it began, before it could record its command.

    The first process of bwrap dies with the supervisor, and the second may wait for ever. Orphans work in the step's
    folder, and the leader of their session is dead. A person who looks around there has a living shell.
    """
    alive = {process.pid: process for process in all_processes() if not process.is_dead}
    orphans = [p for p in alive.values() if p.session not in alive and p.start_ticks >= supervisor.start_ticks]
    return {process.identity for process in orphans if _works_in(process.pid, work)}


def _remove_temporary(folder: Path) -> None:
    """Remove the TMPDIR of a step, if its supervisor could not do it any more."""
    child = step.read_child(folder)
    tmp = Path(child.tmp) if child else Path()
    if tmp.parent == Path(step.TMP_ROOT) and tmp.name.startswith(step.TMP_PREFIX):
        remove_tree(tmp)


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    except OSError:
        return False


def _age_s(folder: Path, now_s: float) -> float:
    for name in (step.HEARTBEAT, step.CLAIM):
        try:
            return max(0.0, now_s - (folder / name).stat().st_mtime)
        except FileNotFoundError:
            continue
    return 0.0


def _last_line(path: Path) -> str:
    lines = _read_text(path, 4096).strip().splitlines()
    return lines[-1] if lines else ""


def _read_text(path: Path, limit_bytes: int) -> str:
    """First quarter and last three quarters of the limit, decoded, with a line that counts the bytes between."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= limit_bytes:
                return file.read(limit_bytes).decode("utf-8", "replace")
            head = file.read(limit_bytes // 4)
            tail_bytes = limit_bytes - len(head)
            file.seek(size - tail_bytes)
            tail = file.read(tail_bytes)
    except FileNotFoundError:
        return ""
    note = f"\n[... {size - limit_bytes} bytes cut ...]\n"
    return head.decode("utf-8", "replace") + note + tail.decode("utf-8", "replace")
