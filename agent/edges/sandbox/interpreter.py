"""Folders of an experiment's interpreter, as this machine has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from agent.edges.system.child import run_probe
from agent.errors import UsageError

__all__ = ["interpreter_folders", "is_too_wide"]

_ASK = (
    "import json, sys, sysconfig as s; "
    "print(json.dumps([sys.prefix, sys.base_prefix, sys.exec_prefix, s.get_path('stdlib'), s.get_path('platlib')]))"
)


ASK_TIMEOUT_S = 30.0  # with a probe of the sandbox's less than the heartbeat limit
_PARTS = ("pyvenv.cfg", "bin", "lib", "lib64", "include", "share")  # of a prefix that cannot be given whole


@cache
def interpreter_folders(interpreter: Path, closed: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Folders of the interpreter, its library and its packages, and links on the way to it.

    closed: folders that none of them may hold.

    Raises: UsageError if the interpreter cannot be asked.
    """
    prefixes = own_folders() if str(interpreter) == sys.executable else _ask(interpreter)
    hops = [interpreter.absolute()]
    while hops[-1].is_symlink() and len(hops) < 20:
        hops.append(hops[-1].parent / hops[-1].readlink())
    prefixes += [os.path.normpath(hop.parent.parent) for hop in hops if hop.parent.name == "bin"]
    found = [str(hop) for hop in hops]
    for prefix in prefixes:
        for path in (prefix, os.path.realpath(prefix)):
            parts = [path] if not is_too_wide(path, closed) else [f"{path}/{part}" for part in _PARTS]
            found += [part for part in parts if part == path or not is_too_wide(part, closed)]
    return tuple(path for path in dict.fromkeys(found) if not path.startswith("//"))


def own_folders() -> list[str]:
    """What this process's own interpreter would answer, without another process of it."""
    return [sys.prefix, sys.base_prefix, sys.exec_prefix, *map(sysconfig.get_path, ("stdlib", "platlib"))]


def _ask(interpreter: Path) -> list[str]:
    """Raises: UsageError."""
    try:
        done = run_probe([interpreter, "-I", "-c", _ASK], ASK_TIMEOUT_S)
        done.check_returncode()
        return [str(folder) for folder in json.loads(done.stdout)]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        problem = f"cannot be asked for its folders: {error}"
        raise UsageError(str(interpreter), problem, "name a working Python with --python") from error


def is_too_wide(folder: str, closed: Sequence[str]) -> bool:
    """Whether it is the root, or holds one of the closed."""
    real = os.path.realpath(folder)
    return real == "/" or any(Path(os.path.realpath(path)).is_relative_to(real) for path in closed)
