"""Entry into a step's sandbox, as its supervisor makes it: the command line, and the calls between fork and exec.

Each kind of sandbox is imported as it is entered, because a supervisor starts for every step.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from agent.edges.run import step_folder as step
from agent.edges.run.step_folder import StepSpec
from agent.edges.sandbox.walls import Bounds, Walls
from agent.edges.system.processes import all_processes
from agent.errors import UsageError

__all__ = ["StepEntry", "open_entry", "settle"]

OOM_SCORE = 500  # the kernel shall take the experiment before its supervisor
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class StepEntry:
    """Way to start the command of a step."""

    # Words of the command, a sandbox's included.
    argv: tuple[str, ...]
    # The complete environment of the process.
    env: Mapping[str, str]
    # Runs between fork and exec.
    in_child: Callable[[], None]
    # Stay open over exec.
    descriptors: tuple[int, ...] = ()
    # Pipe into which bwrap writes the exit code. None: without bwrap.
    status: int | None = None
    # File that is started in place of argv[0].
    program: str | None = None

    def close_descriptors(self) -> None:
        """In the supervisor, once the command has them."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def settle(
    spec: StepSpec, gpus: str | None, before_part: Callable[[], object] = lambda: None
) -> tuple[StepSpec, Walls]:
    """The step with its walls, and the variables that depend on them, as this machine has them.

    gpus: GPUs that a batch system granted, in the syntax of CUDA_VISIBLE_DEVICES. None leaves the step's own.
    before_part: called before each part of the work, which takes 50 s at most. It may raise to end the work.

    Raises: ValueError if no sandbox works here, or the interpreter cannot be asked for its folders.
    """
    granted = {} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus}
    env = {**spec.env, **granted}
    if isinstance(spec.walls, Walls):
        return replace(spec, env=env), spec.walls
    if spec.walls.sandbox == "off":
        return replace(spec, env=env, walls=Walls()), Walls()
    from agent.edges.sandbox.choose import choose_sandbox
    from agent.edges.sandbox.resolve import resolve_walls

    try:
        sandbox = choose_sandbox(spec.walls.sandbox, spec.walls.search or os.defpath, before_part)
        before_part()
        walls, changed = resolve_walls(spec.walls, env, sandbox)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return replace(spec, env=env | changed, walls=walls), walls


def open_entry(spec: StepSpec, walls: Walls, folder: Path, tmp: str, libc: ctypes.CDLL) -> StepEntry:
    """Way to start the step behind its walls. tmp: the step's folder for temporary files. folder: the step's own."""
    bounds = _resource_limits(spec.bounds)

    def prepare() -> None:
        """Die with the supervisor, be the first to go when memory runs out, keep within the limits."""
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), "ascii")
        for kind, limit in bounds:
            with contextlib.suppress(ValueError, OSError):  # a lower hard limit of the machine's stays
                resource.setrlimit(kind, (limit, limit))

    env = {**spec.env, "TMPDIR": tmp}
    match walls.kind:
        case "off":
            return StepEntry(spec.argv, env, prepare)
        case "landlock":
            from agent.edges.sandbox.landlock import confine
            from agent.edges.sandbox.policy import confine_plan

            plan = confine_plan(walls)
            plan["write"] = [*plan["write"], tmp]

            def shut_in() -> None:
                prepare()
                confine(plan)

            return StepEntry(spec.argv, env, shut_in)
        case "bwrap":
            return _open_bwrap(spec, walls, folder, tmp, libc, prepare)
        case _:
            assert_never(walls.kind)


def _open_bwrap(
    spec: StepSpec, walls: Walls, folder: Path, tmp: str, libc: ctypes.CDLL, prepare: Callable[[], None]
) -> StepEntry:
    from agent.edges.sandbox.bwrap import HOSTS, STEP_TMP, Descriptors, bwrap_argv, hold_program, keep_devices
    from agent.edges.sandbox.policy import policy_of
    from agent.edges.sandbox.seccomp import assemble

    rules = _in_memory("seccomp", assemble(policy_of(walls), os.uname().machine))
    hosts = _in_memory("hosts", HOSTS)
    status, telling = os.pipe()
    os.set_blocking(status, False)
    work = str(folder / step.WORK)
    argv = bwrap_argv(walls, spec.bounds, spec.argv, Descriptors(rules, telling, hosts), tmp=tmp, work=work)
    held = hold_program(walls.bwrap)
    program = f"/proc/self/fd/{held}" if held is not None else None
    kept = (rules, hosts, telling, *([held] if held is not None else []))

    def become_bwrap() -> None:
        prepare()
        keep_devices(libc, walls)
        if held is not None:  # made inheritable on the way, and not the experiment's
            os.set_inheritable(held, False)

    return StepEntry(tuple(argv), {**spec.env, "TMPDIR": STEP_TMP}, become_bwrap, kept, status, program)


def _in_memory(name: str, content: bytes) -> int:
    """A descriptor to read it from."""
    descriptor = os.memfd_create(name, 0)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _resource_limits(bounds: Bounds) -> list[tuple[int, int]]:
    """Limits that the kernel keeps: the size of a file and, if the user is not root, a ceiling on processes.

    The ceiling counts all of the user's processes, so it is set above the number of those that run already.
    """
    limits = [(resource.RLIMIT_FSIZE, int(bounds.file_gib * 2**30))] if bounds.file_gib else []
    if bounds.processes and os.getuid() != 0:
        mine = sum(process.threads for process in all_processes() if _owner(process.pid) == os.getuid())
        limits.append((resource.RLIMIT_NPROC, mine + 2 * bounds.processes))
    return limits


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None
