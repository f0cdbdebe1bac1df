"""What holds a run to what it was given: bwrap, else Landlock with seccomp, else nothing unless a person says so."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, assert_never

from agent.edges.sandbox import bwrap
from agent.edges.sandbox import landlock as confine
from agent.edges.sandbox.gpus import NO_GPUS, Gpus
from agent.edges.sandbox.seccomp import MACHINES, Policy, assemble
from agent.edges.sandbox.walls import Bounds, SandboxKind, Walls
from agent.errors import UsageError

__all__ = [
    "NO_SANDBOX",
    "Sandbox",
    "build_walls",
    "choose_sandbox",
    "confine_plan",
    "interpreter_folders",
    "policy_of",
]

PROBE_TIMEOUT_S = 10.0
CONFINE = Path(confine.__file__)
_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime"),
    *("/etc/fonts", "/etc/ssl/openssl.cnf", "/sys/devices/system"),
)
_ONLINE = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs", "/etc/pki", "/etc/ca-certificates")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")  # bwrap makes its own
_LIBRARY_VARIABLES = ("LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "ROCM_PATH")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The rung of the ladder that this machine reaches, and what it leaves open. bwrap: the program's path.

    missed: why a better one does not work here.
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
    "what a step started may live on where its supervisor is killed from outside",
)


def choose_sandbox(wanted: str) -> Sandbox:
    """The first of bwrap and Landlock that works here, or the one that is asked for; each is tried, not looked up.

    Raises: UsageError where none works, with the reasons.
    """
    if wanted == "off":
        return NO_SANDBOX
    reasons = []
    if wanted in ("auto", "bwrap"):
        found = _try_bwrap()
        if isinstance(found, Sandbox):
            return found
        reasons.append(f"bwrap: {found}")
    if wanted in ("auto", "landlock"):
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
def _try_bwrap() -> Sandbox | str:
    program = shutil.which("bwrap")
    if program is None:
        return "is not installed"
    if os.uname().machine not in MACHINES:
        return f"no system call filter is known for {os.uname().machine}"
    walls = Walls("bwrap", read=tuple(p for p in _SYSTEM if Path(p).exists()), bwrap=program)
    with tempfile.TemporaryDirectory() as tmp, tempfile.TemporaryFile() as rules:
        rules.write(assemble(policy_of(walls), os.uname().machine))
        rules.seek(0)
        argv = bwrap.bwrap_argv(walls, Bounds(), tmp, "/", filter_fd=rules.fileno(), status_fd=2, command=_PROBE)
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
    abi = confine.landlock_abi()
    if not abi:
        return "the kernel has none"
    if os.uname().machine not in MACHINES:
        return f"no system call filter is known for {os.uname().machine}"
    walls = Walls("landlock", read=("/", *interpreter_folders(Path(sys.executable))))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as plan:
        plan.write(json.dumps(confine_plan(walls)))
        plan.flush()
        problem = _try_command([sys.executable, "-I", "-S", str(CONFINE), plan.name, "--", "/bin/true"])
    if problem:
        return problem
    late = ("other processes of yours can be sent signals",) if abi < 6 else ()
    return Sandbox("landlock", _LANDLOCK_GAPS + late)


def _try_command(
    argv: Sequence[str],
    *descriptors: int,
    program: str | None = None,
    in_child: Callable[[], object] | None = None,
) -> str:
    """Why it does not work, in a line; empty where it does. program: what is started in place of argv[0]."""
    try:
        done = subprocess.run(
            argv,
            executable=program,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            pass_fds=descriptors,
            preexec_fn=in_child,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    except subprocess.SubprocessError:  # from in_child, whose own words are lost on the way
        return "root may not mount here, as in a container without CAP_SYS_ADMIN"
    if done.returncode == 0:
        return ""
    said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if not line.startswith("{")]
    return said[-1].strip() if said else f"exit code {done.returncode}"


def build_walls(
    sandbox: Sandbox,
    interpreter: Path,
    environment: Mapping[str, str],
    *,
    read: Iterable[Path],
    write: Iterable[Path],
    links: Iterable[tuple[Path, Path]] = (),
    gpus: Gpus = NO_GPUS,
    network: bool = False,
    confines: bool = False,
    home: str = "",
    closed: Iterable[Path] = (),
) -> Walls:
    """The walls around one step: the system, its interpreter and libraries, and what it is given.

    environment: the step's own, for where its libraries are. home, the user's, and closed: never given with an
    interpreter or library, as where a virtual environment holds the workspaces.
    """
    shut = tuple(str(path) for path in (*([home] if home else []), *closed))
    known = [*_SYSTEM, *(_ONLINE if network else ()), *interpreter_folders(interpreter, shut)]
    known += [*_libraries(environment, shut), *(["/sys"] if gpus.devices else [])]
    given = [str(path) for path in read] + ([str(CONFINE)] if confines else [])
    readable = [path for path in dict.fromkeys([*known, *given]) if Path(path).exists()]
    match sandbox.kind:
        case "bwrap":
            devices: tuple[str, ...] = ()
        case "landlock":
            readable.append("/proc")
            devices = _DEVICES
        case "off":
            devices = ()
        case _:
            assert_never(sandbox.kind)
    return Walls(
        kind=sandbox.kind,
        read=tuple(readable),
        write=tuple(str(path) for path in write),
        links=tuple((str(name), str(target)) for name, target in links),
        devices=(*devices, *gpus.devices),
        network=network,
        bwrap=sandbox.bwrap,
        confines=confines,
    )


def _libraries(environment: Mapping[str, str], shut: tuple[str, ...]) -> list[str]:
    named = [word for name in _LIBRARY_VARIABLES for word in environment.get(name, "").split(":")]
    return [folder for folder in named if folder.startswith("/") and not _is_too_wide(folder, shut)]


def policy_of(walls: Walls) -> Policy:
    """What the system call filter has to cover where these walls stand."""
    if walls.kind == "bwrap":  # addresses of the internet lead nowhere in a network namespace of its own
        nests = walls.confines and not confine.landlock_abi()
        return Policy(network=True, namespaces=nests)
    abi = confine.landlock_abi()
    return Policy(network=walls.network, local_sockets=False, freezes_modes=True, keeps_length=abi < 3, crowded=True)


def confine_plan(walls: Walls) -> dict[str, Any]:
    """What confine.py reads: the walls as Landlock keeps them, or nested bwrap's on a kernel without Landlock."""
    inner = Walls("landlock", walls.read, walls.write, (), walls.devices, walls.network, walls.bwrap)
    program = assemble(policy_of(inner), os.uname().machine)
    return {
        "read": list(walls.read),
        "write": list(walls.write),
        "devices": list(walls.devices),
        "network": walls.network,
        "filter": base64.b64encode(program).decode("ascii"),
        "nested": [] if confine.landlock_abi() or not walls.bwrap else bwrap.nested_argv(walls),
    }


_ASK = (
    "import json, sys, sysconfig as s; "
    "print(json.dumps([sys.prefix, sys.base_prefix, sys.exec_prefix, s.get_path('stdlib'), s.get_path('platlib')]))"
)


_PARTS = ("pyvenv.cfg", "bin", "lib", "lib64", "include", "share")  # of a prefix that cannot be given whole


@cache
def interpreter_folders(interpreter: Path, closed: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Where the interpreter, its library and its packages lie, links on the way to it included.

    closed: folders that none of them may hold. Raises: UsageError where it cannot be asked.
    """
    try:
        told = subprocess.run([interpreter, "-I", "-c", _ASK], capture_output=True, timeout=60, check=True).stdout
        prefixes = [str(folder) for folder in json.loads(told)]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        problem = f"cannot be asked for its folders: {error}"
        raise UsageError(str(interpreter), problem, "name a working Python with --python") from error
    hops = [interpreter.absolute()]
    while hops[-1].is_symlink() and len(hops) < 20:
        hops.append(hops[-1].parent / hops[-1].readlink())
    prefixes += [os.path.normpath(hop.parent.parent) for hop in hops if hop.parent.name == "bin"]
    found = [str(hop) for hop in hops]
    for prefix in prefixes:
        for path in (prefix, os.path.realpath(prefix)):
            parts = [path] if not _is_too_wide(path, closed) else [f"{path}/{part}" for part in _PARTS]
            found += [part for part in parts if part == path or not _is_too_wide(part, closed)]
    return tuple(path for path in dict.fromkeys(found) if not path.startswith("//"))


def _is_too_wide(folder: str, closed: Sequence[str]) -> bool:
    """Whether it is the root, or holds one of the closed."""
    real = os.path.realpath(folder)
    return real == "/" or any(Path(os.path.realpath(path)).is_relative_to(real) for path in closed)
