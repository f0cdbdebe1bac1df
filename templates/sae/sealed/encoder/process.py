"""Starts, watches and ends the process in which a run's own code encodes.

It runs in a session of its own and in a fresh folder. The folder holds copies of the run's code, of its outputs and of
the sealed modules in GIVEN, and profile.json without "hidden". It gets only variables of an allow-list, none of which
names data. If SCIENTIST_CONFINE is set, `command_of` puts a sandbox of its own around the process. Then it can write to
its folder and read the interpreter and the system, but reach neither data nor this evaluator's process. Without a
sandbox it can reach the machine's files and processes, although it is told none of their paths.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from encoder.faults import BrokenSAE, CannotServe
from encoder.wire import LOAD, BadMessage, Pipe, PipeEnded, TooLate, WireMessage

SEALED = Path(__file__).resolve().parents[1]
# Sealed modules that the process needs: those that experiments import, and those that serve them.
GIVEN = (
    "activations.py",
    "fast_steps.py",
    "fast_kernels/*.py",
    "data/__init__.py",
    "data/store.py",
    "encoder/__init__.py",
    "encoder/serve.py",
    "encoder/wire.py",
    "encoder/export.py",
)
NOT_CODE = {"profile.json", "baselines.json", "evaluation.json", "data"}
# Variables that are passed on: LC_ALL, CUDA_VISIBLE_DEVICES, OMP_NUM_THREADS.
PASSED = re.compile(
    r"PATH|LANG|LC_[A-Z]+|TZ|LD_LIBRARY_PATH|CUDA_[A-Z_]+|NVIDIA_[A-Z_]+|ROCM_PATH|(HIP|ROCR)_VISIBLE_DEVICES"
    r"|GOMP_SPINCOUNT|JAXTYPING_DISABLE|(OMP|MKL|OPENBLAS|NUMEXPR|TORCH)_NUM_THREADS"
)
CODE_LIMIT, OUTPUTS_LIMIT = 256 << 20, 16 << 30  # bytes copied
PIPE_BYTES, TAIL_BYTES = 1 << 20, 8000
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits in seconds: `load_s` for imports and load_sae, `answer_s` for one batch."""

    load_s: float = 90.0
    answer_s: float = 60.0


class ServingProcess:
    """One process that encodes, with its folder. `close` ends the process and everything it started.

    The folder is filled at once. The process starts at `begin`, or at the first request.
    """

    def __init__(self, experiment: Path, run_dir: Path, profile: Mapping[str, object], patience: Patience) -> None:
        self.patience = patience
        self.folder = Path(tempfile.mkdtemp(prefix="encode-"))
        self._tail, self._reader = bytearray(), threading.Thread(target=self._drain, daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._run = run_dir.name
        try:
            lay_out(self.folder, experiment, run_dir, profile)
        except OSError as e:
            self.close()
            raise CannotServe(f"the folder of the process that encodes could not be filled: {e}") from e
        except BaseException:
            self.close()
            raise

    def begin(self) -> None:
        """Start the process, unless it was started before.

        Raises: CannotServe.
        """
        if self._process is not None:
            return
        argv, environment = command_of(self.folder, self._run, os.environ)
        adopt_orphans()
        try:
            self._process = subprocess.Popen(
                argv,
                env=environment,
                cwd=self.folder / "work",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
            self.pipe = Pipe(self._process.stdout.fileno(), self._process.stdin.fileno())
            for descriptor in (self.pipe.reading, self.pipe.writing):
                widen(descriptor)
            self._reader.start()
        except OSError as e:
            self.close()
            raise CannotServe(f"the process that encodes could not be started: {e}") from e

    def ask(self, message: WireMessage, limit_bytes: int) -> WireMessage:
        """The answer to one message, with arrays of at most limit_bytes.

        Raises: CannotServe, BrokenSAE.
        """
        self.begin()
        loads = message.kind == LOAD
        what = "loading it" if loads else "encode"
        seconds = self.patience.load_s if loads else self.patience.answer_s
        self.pipe.deadline = time.monotonic() + seconds
        try:
            with contextlib.suppress(PipeEnded):  # a message that it sent before it ended is still to be read
                self.pipe.send(message)
            return self.pipe.receive(limit_bytes)
        except TooLate as e:
            raise CannotServe(f"{what} took longer than {seconds:g} s", self.output()) from e
        except PipeEnded as e:
            raise CannotServe(f"the process that runs encode ended {self._how_it_ended()}", self.output()) from e
        except BadMessage as e:
            raise BrokenSAE(f"the process that runs encode broke its protocol: {e}", self.output()) from e

    def output(self) -> str:
        """The end of its output, at most TAIL_BYTES."""
        if self._process is not None:
            self._reader.join(0.3)  # output from before its answer may still be in the pipe
        return bytes(self._tail).decode("utf-8", "replace")

    def close(self) -> None:
        """End it and all that it started, and delete its folder."""
        if self._process is not None and not self._process.stdin.closed:
            end_all(self._process)
            self._process.stdin.close()
            self._process.stdout.close()
            self._reader.join(2.0)
            if not self._reader.is_alive():
                self._process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _drain(self) -> None:
        assert self._process is not None
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self._process.stderr.fileno(), 1 << 16):
                self._tail += data
                del self._tail[:-TAIL_BYTES]

    def _how_it_ended(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            return "its connection"
        return f"with exit code {code}" if code >= 0 else f"by signal {signal.Signals(-code).name}"


def command_of(folder: Path, run: str, inherited: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Command line and complete environment of the process, which needs `folder`, the interpreter and devices only.

    SCIENTIST_CONFINE is the beginning of a command that runs the rest in a sandbox, which may write to the folders that
    are named between the two.
    """
    argv = [sys.executable, "-I", "-B", "-X", "utf8", str(folder / "sealed" / "encoder" / "serve.py"), str(folder), run]
    if inherited.get("SCIENTIST_CONFINE"):
        argv = [*shlex.split(inherited["SCIENTIST_CONFINE"]), "--write", str(folder), "--", *argv]
    environment = {name: value for name, value in inherited.items() if PASSED.fullmatch(name)}
    return argv, environment | {"HOME": str(folder / "home"), "TMPDIR": str(folder / "home")}


# --------------------------------------------------------------------------------------------------------- its folder


def lay_out(folder: Path, experiment: Path, run_dir: Path, profile: Mapping[str, object]) -> None:
    """Fill the folder: sealed/ (modules), work/ (code, profile.json, the run's outputs), home/ (empty).

    Raises: BrokenSAE if experiment.py is missing or there is too much.
    """
    for name in ("sealed", "work", "home"):
        (folder / name).mkdir()
    for path in (path for pattern in GIVEN for path in SEALED.glob(pattern)):
        copy = folder / "sealed" / path.relative_to(SEALED)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
    work = folder / "work"
    if not experiment.is_file():
        raise BrokenSAE(f"{experiment} is missing")
    left = CODE_LIMIT
    for path in sorted(experiment.parent.iterdir()):
        if not (path.name in NOT_CODE or path.name.startswith((".", "run_")) or path.name == run_dir.name):
            left = copy_plain(path, work / path.name, left)
    public = {name: value for name, value in profile.items() if name != "hidden"}
    (work / "profile.json").write_text(json.dumps(public))
    if not run_dir.is_dir():
        raise BrokenSAE(f"{run_dir} is no folder")
    copy_plain(run_dir.resolve(), work / run_dir.name, OUTPUTS_LIMIT)


def copy_plain(source: Path, target: Path, left: int) -> int:
    """Copy files and folders but no links and devices, and return how many of `left` bytes remain.

    Raises: BrokenSAE if there are more.
    """
    mode = source.lstat().st_mode
    if stat.S_ISDIR(mode):
        target.mkdir()
        for path in sorted(source.iterdir()):
            left = copy_plain(path, target / path.name, left)
    elif stat.S_ISREG(mode):
        left -= source.lstat().st_size
        if left < 0:
            raise BrokenSAE(f"{source.parent} holds too much to be copied: leave checkpoints and data out of it")
        shutil.copyfile(source, target, follow_symlinks=False)
    return left


# --------------------------------------------------------------------------------------------------------- its ending


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent ends, so that `end_all` finds them (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_all(process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """Kill the process's group, then everything that it started: children of this process in other sessions.

    No process can enter this process's session from another one, so that this process's own helpers are spared.
    Raises: BrokenSAE if some cannot be ended in time.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + patience_s
    while strangers := strange_children():
        if time.monotonic() > until:
            raise BrokenSAE("the process that runs encode left others behind that could not be ended")
        for pid in strangers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in strangers:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def strange_children() -> list[int]:
    """Children of this process that belong to another session. Empty if there is no /proc as on Linux."""
    found = []
    mine, my_session = os.getpid(), os.getsid(0)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = path.read_bytes().rpartition(b")")[2].split()
            if int(fields[1]) == mine and int(fields[3]) != my_session:
                found.append(int(path.parent.name))
    return found


def widen(descriptor: int) -> None:
    """Let the pipe hold more, so that the two processes switch less often. Only Linux can do this."""
    import fcntl

    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
