"""Walls of a step, found on the machine that runs it: paths of its system, interpreter, libraries and GPUs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from agent.edges.sandbox import landlock
from agent.edges.sandbox.choose import SYSTEM, Sandbox
from agent.edges.sandbox.gpus import NO_GPUS, Gpus, find_gpus
from agent.edges.sandbox.interpreter import interpreter_folders, is_too_wide
from agent.edges.sandbox.policy import confine_plan
from agent.edges.sandbox.walls import Walls, WantedWalls
from agent.edges.system.files import write_durably

__all__ = ["build_walls", "resolve_walls", "shut_in_program"]

CONFINE = Path(landlock.__file__)
_ONLINE = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs", "/etc/pki", "/etc/ca-certificates")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")  # bwrap makes its own
_LIBRARY_VARIABLES = ("LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "ROCM_PATH")


def resolve_walls(
    wanted: WantedWalls, environment: Mapping[str, str], sandbox: Sandbox
) -> tuple[Walls, dict[str, str]]:
    """Walls that hold a step here, and the variables that are different behind them.

    environment: the step's own. An evaluator that serves code of a run is told by SCIENTIST_CONFINE how to put it
    into a sandbox inside: a command to set before another, with `--write FOLDER ... --` between.

    Raises: UsageError if the interpreter cannot be asked for its folders.
    """
    if sandbox.kind == "off":
        return Walls(), {}
    gpus = find_gpus(environment.get("CUDA_VISIBLE_DEVICES"))
    changed: dict[str, str] = {}
    if sandbox.kind == "bwrap" and gpus.visible is not None:  # counted among those that it sees
        changed = {"CUDA_VISIBLE_DEVICES": gpus.visible, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    if wanted.inner_plan:
        served = replace(wanted, read=wanted.served, write=(), links=(), network=False)
        inner = build_walls(replace(sandbox, kind="landlock"), served, environment, gpus)  # it can be entered inside
        changed["SCIENTIST_CONFINE"] = shlex.join(_write_plan(Path(wanted.inner_plan), inner, wanted.interpreter))
        wanted = replace(wanted, read=(*wanted.read, wanted.inner_plan, str(CONFINE)))
    walls = build_walls(sandbox, wanted, environment, gpus)
    return replace(walls, confines=bool(wanted.inner_plan)), changed


def build_walls(sandbox: Sandbox, wanted: WantedWalls, environment: Mapping[str, str], gpus: Gpus = NO_GPUS) -> Walls:
    """Walls around the system, the interpreter, the libraries that `environment` names, and the paths asked for."""
    known = [*SYSTEM, *(_ONLINE if wanted.network else ())]
    known += interpreter_folders(Path(wanted.interpreter), wanted.closed)
    known += [*_libraries(environment, wanted.closed), *(["/sys"] if gpus.devices else [])]
    readable = [path for path in dict.fromkeys([*known, *wanted.read]) if Path(path).exists()]
    match sandbox.kind:
        case "bwrap" | "off":
            devices: tuple[str, ...] = ()
        case "landlock":
            readable.append("/proc")
            devices = _DEVICES
        case _:
            assert_never(sandbox.kind)
    return Walls(
        kind=sandbox.kind,
        read=tuple(readable),
        write=wanted.write,
        links=wanted.links,
        devices=(*devices, *gpus.devices),
        network=wanted.network,
        bwrap=sandbox.bwrap,
    )


def shut_in_program(
    plan: Path, interpreter: Path, environment: Mapping[str, str], *, write: Sequence[Path], home: str
) -> list[str]:
    """Prefix that limits a trusted program with network access to writing in `write`. [] if the kernel has no Landlock.

    plan: file that is written for it.
    """
    if not landlock.landlock_abi():
        return []
    wanted = WantedWalls(
        interpreter=str(interpreter),
        read=(str(plan),),
        write=tuple(str(path) for path in write),
        network=True,
        closed=(home,) if home else (),
    )
    walls = build_walls(Sandbox("landlock"), wanted, environment)
    return [*_write_plan(plan, walls, str(interpreter)), "--"]


def _write_plan(plan: Path, walls: Walls, interpreter: str) -> list[str]:
    """Beginning of a command that enters the walls."""
    write_durably(plan, json.dumps(confine_plan(walls)).encode())
    return [interpreter, "-I", "-S", str(CONFINE), str(plan)]


def _libraries(environment: Mapping[str, str], shut: tuple[str, ...]) -> list[str]:
    named = [word for name in _LIBRARY_VARIABLES for word in environment.get(name, "").split(":")]
    return [folder for folder in named if folder.startswith("/") and not is_too_wide(folder, shut)]
