"""Choice of the sandbox: bwrap, else Landlock with seccomp. None is taken only if a person asks for none."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from agent.edges.sandbox import bwrap, landlock
from agent.edges.sandbox.interpreter import interpreter_folders
from agent.edges.sandbox.policy import confine_plan, policy_of
from agent.edges.sandbox.seccomp import MACHINES, assemble
from agent.edges.sandbox.walls import Bounds, SandboxKind, Walls
from agent.edges.system.faults import is_machine_fault
from agent.errors import UsageError

__all__ = ["NOT_INSTALLED", "NO_SANDBOX", "SYSTEM", "Sandbox", "choose_sandbox"]

NOT_INSTALLED = "is not installed"
PROBE_TIMEOUT_S = 20.0
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime"),
    *("/etc/fonts", "/etc/ssl/openssl.cnf", "/sys/devices/system"),
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that works on this machine. gaps: harm that it does not prevent. bwrap: the program's path.

    missed: reason why a better one does not work here.
    """

    kind: SandboxKind
    gaps: tuple[str, ...] = ()
    bwrap: str = ""
    missed: str = ""


NO_SANDBOX = Sandbox(
    "off", ("a run has your rights: it can read your keys and files, change them, and reach the network",)
)
_LANDLOCK_GAPS = (
    "command lines of other processes can be seen",
    "files elsewhere cannot be opened, but what stands about them in their folder can be found out: whether they "
    "exist, size, times, extended attributes",
    "other processes of yours can be slowed down, by binding them to a processor",
    "no shared memory and no unix sockets: worker processes (DataLoader with num_workers > 0) do not work",
    "chmod, chown and utime seem to work and change nothing",
    "processes that a step started may live on if its supervisor is killed from outside",
)


def choose_sandbox(wanted: str, search: str | None = None, before_try: Callable[[], object] = lambda: None) -> Sandbox:
    """The first of bwrap and Landlock that works here, or the one that is asked for. Each is tried, not looked up.

    wanted: "auto", "bwrap", "landlock" or "off". search: a PATH on which bwrap is looked for, by default this
    process's. before_try: called before each of them is tried, which takes 50 s at most. It may raise.

    Raises: UsageError with the reasons, if none works.
    """
    if wanted == "off":
        return NO_SANDBOX
    reasons = []
    if wanted in ("auto", "bwrap"):
        before_try()
        found = _try_bwrap(search)
        if isinstance(found, Sandbox):
            return found
        reasons.append(f"bwrap: {found}")
    if wanted in ("auto", "landlock"):
        before_try()
        found = _try_landlock()
        if isinstance(found, Sandbox):
            return replace(found, missed="; ".join(reasons))
        reasons.append(f"landlock: {found}")
    raise UsageError(
        f"--sandbox {wanted}",
        f"no sandbox works here ({'; '.join(reasons)})",
        "install bubblewrap, or take the risk with --sandbox off",
    )


_PROBE = ["/bin/sh", "-c", "exec /bin/true </dev/null"]


@cache
def _try_bwrap(search: str | None) -> Sandbox | str:
    program = shutil.which("bwrap", path=search)
    if program is None:
        return NOT_INSTALLED
    if os.uname().machine not in MACHINES:
        return f"no system call filter is known for {os.uname().machine}"
    walls = Walls("bwrap", read=tuple(p for p in SYSTEM if Path(p).exists()), bwrap=program)
    with tempfile.TemporaryDirectory() as tmp, tempfile.TemporaryFile() as rules:
        rules.write(assemble(policy_of(walls), os.uname().machine))
        rules.seek(0)
        descriptors = bwrap.Descriptors(rules.fileno(), status=2)
        argv = bwrap.bwrap_argv(walls, Bounds(), _PROBE, descriptors, tmp=tmp, work="/")
        held = bwrap.hold_program(program)
        keep = partial(bwrap.keep_devices, ctypes.CDLL(None, use_errno=True), walls)
        if held is None:
            problem = _try_command(argv, rules.fileno(), in_child=keep)
        else:
            problem = _try_command(argv, rules.fileno(), held, program=f"/proc/self/fd/{held}", in_child=keep)
            os.close(held)
    return problem or Sandbox("bwrap", bwrap=program)


@cache
def _try_landlock() -> Sandbox | str:
    abi = landlock.landlock_abi()
    if not abi:
        return "the kernel has none"
    if os.uname().machine not in MACHINES:
        return f"no system call filter is known for {os.uname().machine}"
    walls = Walls("landlock", read=("/", *interpreter_folders(Path(sys.executable))))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as plan:
        plan.write(json.dumps(confine_plan(walls)))
        plan.flush()
        problem = _try_command([sys.executable, "-I", "-S", landlock.__file__, plan.name, "--", "/bin/true"])
    if problem:
        return problem
    late = ("other processes of yours can be sent signals",) if abi < 6 else ()
    return Sandbox("landlock", _LANDLOCK_GAPS + late)


def _run_probe(
    argv: Sequence[str], descriptors: Sequence[int], program: str | None, in_child: Callable[[], object] | None
) -> subprocess.CompletedProcess[bytes] | None:
    """None if it did not end in time."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return subprocess.run(
            argv,
            executable=program,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            pass_fds=descriptors,
            preexec_fn=in_child,
        )
    return None


def _try_command(
    argv: Sequence[str],
    *descriptors: int,
    program: str | None = None,
    in_child: Callable[[], object] | None = None,
) -> str:
    """Reason why the command does not work, in a line. Empty if it does. program: file that is started in place of
    argv[0].

    A command that somebody killed, or that a busy machine did not get to its end, is tried once more: else a run would
    get a weaker sandbox for it.

    Raises: OSError if the machine gives no process, memory or descriptor now.
    """

    try:
        done = _run_probe(argv, descriptors, program, in_child)
        if done is None or done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
            for descriptor in descriptors:
                os.lseek(descriptor, 0, os.SEEK_SET)
            done = _run_probe(argv, descriptors, program, in_child)
    except OSError as error:
        if is_machine_fault(error):
            raise
        return str(error)
    except subprocess.SubprocessError:  # from in_child, whose own words are lost on the way
        return "root may not mount here, as in a container without CAP_SYS_ADMIN"
    if done is None:
        return f"did not end within {PROBE_TIMEOUT_S:g} s, twice"
    if done.returncode == 0:
        return ""
    said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if not line.startswith("{")]
    return said[-1].strip() if said else f"exit code {done.returncode}"
