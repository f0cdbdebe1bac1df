"""Checks of this machine: one remark for each thing that a launch needs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from agent.core.text.remark import Level, Remark
from agent.edges.sandbox.choose import NOT_INSTALLED, choose_sandbox
from agent.edges.template.data import prepare_data, store_of, store_size
from agent.edges.template.environment import environment_for
from agent.edges.template.interpreters import PythonPlaces, find_python
from agent.edges.template.load import Template
from agent.edges.template.origin import needed_modules
from agent.edges.template.requirements import find_requirements
from agent.errors import StopRequested, UsageError

__all__ = [
    "INSTALL_BWRAP",
    "check_cache",
    "check_data",
    "check_disk",
    "check_env_file",
    "check_environment",
    "check_flake8",
    "check_folder",
    "check_git",
    "check_gpus",
    "check_modules",
    "check_sandbox",
    "kept_gib",
]

COMMAND_S = 20.0
DATA_S = 60.0
GRACE_S = 3.0
LEAST_FREE_GIB = 2.0
INSTALL_BWRAP = "apt install bubblewrap, which leaves less open and lets worker processes share memory"
GIT_WITH_FULL_SYNC = (2, 36)


def check_env_file(path: Path) -> Remark:
    """Check that .env can be read if it is there. It holds keys, and nothing needs it."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return Remark("ok", str(path), "not there; keys come from the environment")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "is not UTF-8"
        return Remark("FAIL", str(path), f"cannot be read: {problem}", "mend or remove it")
    named = [name.removeprefix("export ").strip() for name, sign, _ in (line.partition("=") for line in lines) if sign]
    names = ", ".join(name for name in named if not name.startswith("#"))
    return Remark("ok", str(path), f"sets {names}" if names else "sets nothing")


def check_git() -> Remark:
    """Check the version of git. An identity is not needed, because commits bring their own."""
    said = _say("/bin/sh", "-c", "GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 exec git --version")
    if said is None:
        return Remark("FAIL", "git", "is not installed, or not on PATH", "install it: every edit becomes a commit")
    version = re.search(r"(?<!\d)(\d{1,6})\.(\d{1,6})(?:\.[\d.]*)?", said)  # git version 2.39.5
    if version and (int(version[1]), int(version[2])) < GIT_WITH_FULL_SYNC:
        remedy = "use 2.36 or later, which syncs all that it writes"
        return Remark("warn", "git", f"{version[0]}: a power cut may cost commits", remedy)
    return Remark("ok", "git", version[0] if version else said)


def check_flake8(python: Path = Path(sys.executable)) -> Remark:
    """Check that flake8, which the linter runs, is installed."""
    said = _say(str(python), "-P", "-m", "flake8", "--version")
    if said is None:
        return Remark("FAIL", "flake8", f"is not installed for {python}", "install scientist again, with its needs")
    return Remark("ok", "flake8", said.split()[0] if said.split() else "there")


def check_gpus(wanted: int) -> Remark:
    """List the GPUs and their memory as nvidia-smi tells. Fewer than the profile wants is a warning."""
    said = _say("nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits") or ""
    rows = [[cell.strip() for cell in line.split(",")] for line in said.splitlines()]
    rows = [row for row in rows if len(row) == 3 and row[1].isdigit() and row[2].isdigit()]
    if len(rows) < wanted:
        found = f"{len(rows) or 'none'} found, the profile wants {wanted}"
        return Remark("warn", "GPU", found, "runs will fail or take days; choose a smaller --profile")
    told = [f"{name} ({int(free) / 1024:.0f} of {int(total) / 1024:.0f} GiB free)" for name, total, free in rows]
    return Remark("ok", "GPU", "; ".join(told) or "none, and none is needed")


def check_disk(what: str, folder: Path, needed_gib: float = 0.0, kept_gib: float = 0.0) -> Remark:
    """Compare the free space in a folder with the needs of the profile, less what is made already."""
    place = _nearest(folder)
    free_gib = shutil.disk_usage(place).free / 2**30
    missing_gib = max(0.0, needed_gib - kept_gib)
    needs = f", the profile needs {missing_gib:.0f} more" if missing_gib else ""
    detail = f"{free_gib:.1f} GiB free at {place}{needs}"
    if free_gib < missing_gib:
        return Remark("FAIL", what, detail, "free space, or keep data elsewhere with SCIENTIST_CACHE")
    if free_gib < LEAST_FREE_GIB + missing_gib:
        return Remark("warn", what, detail, "free space: a full disk pauses an idea")
    return Remark("ok", what, detail)


def check_cache(folder: Path, *, is_needed: bool) -> Remark:
    """Check that the cache can be written. If all that a launch needs is in it, it need not be."""
    place = folder.absolute()
    try:
        while not os.path.lexists(place):
            with contextlib.suppress(FileNotFoundError):
                place.lstat()  # says why, if it is not just missing
            place = place.parent
        with tempfile.TemporaryDirectory(prefix=".probe-", dir=place):
            return Remark("ok", "cache", f"{folder} can be written")
    except OSError as error:
        detail = f"{place}: {error.strerror}"
    if not is_needed:
        return Remark("ok", "cache", f"{detail}; nothing is missing in it")
    return Remark("FAIL", "cache", detail, "set SCIENTIST_CACHE to a folder of yours")


def check_folder(folder: Path) -> Remark:
    """Check that workspaces can be made there, and locked."""
    place = _nearest(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".probe-", dir=place) as probe, FileLock(Path(probe, "lock")) as first:
            second = FileLock(first.lock_file, is_singleton=False, fallback_to_soft=False)
            try:
                second.acquire(timeout=0)
            except Timeout:
                return Remark("ok", "workspaces", f"{folder} can be written and locked")
            second.release()
            return Remark("FAIL", "workspaces", f"{place}: a lock keeps nobody out", "use another filesystem")
    except (NotImplementedError, OSError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        return Remark("FAIL", "workspaces", f"{place}: {problem}", "name another folder with --workspaces")


def check_sandbox(wanted: str) -> Remark:
    """Name the sandbox that would hold runs."""
    try:
        found = choose_sandbox(wanted)
    except UsageError as error:
        return Remark.of("sandbox", error)
    level: Level = "ok" if found.kind == "bwrap" else "warn"
    kind = found.kind + (f" ({found.missed})" if found.missed else "")
    remedy = INSTALL_BWRAP if NOT_INSTALLED in found.missed else ""
    return Remark(level, "sandbox", kind + (f": {'; '.join(found.gaps)}" if found.gaps else ""), remedy)


def check_environment(
    template: Template, cache: Path, places: PythonPlaces | None = None
) -> tuple[Remark, Path | None]:
    """Find the interpreter of the experiment, None if it is not made yet."""
    environment = template.spec.environment
    what = f"environment of {template.spec.name}"
    if not environment.install:
        return Remark("ok", what, f"none of its own; runs use {sys.executable}"), Path(sys.executable)
    python = environment_for(environment, template.folder, cache, places)
    if python:
        return Remark("ok", what, str(python)), python
    try:
        base = find_python(environment.python, places).path
    except UsageError as error:
        return Remark.of(what, error), None
    remedy = f"build it ahead: {_setup_line(template)}"
    return Remark("warn", what, f"not built yet; launch builds it with {base}", remedy), None


def check_modules(template: Template, python: Path) -> Remark:
    """Whether an interpreter that was not made for the template has the modules that its runs import."""
    try:
        _, found = find_requirements(needed_modules(template.folder, template.spec, template.files), python)
    except UsageError as error:
        return Remark.of("modules", error, "warn")
    if missing := [one.module for one in found if not one.is_there]:
        detail = f"{', '.join(missing)}: imported by the template's code, and not installed for {python}"
        return Remark("warn", "modules", detail, "install them there, or name another interpreter with --python")
    return Remark("ok", "modules", ", ".join(f"{one.name} {one.version}".strip() for one in found) or "Python's own")


def check_data(
    template: Template,
    python: Path | None,
    cache: Path,
    inherited: Mapping[str, str],
    grace_s: float = GRACE_S,
) -> Remark:
    """Ask the profile's preparation if its data are made, and end it `grace_s` after it set to work."""
    what, remedy = "prepared data", f"make them ahead: {_setup_line(template)}"
    if template.spec.prepare is None:
        return Remark("ok", what, "the template needs none")
    if python is None:
        return Remark("warn", what, "not looked for: that takes the environment", remedy)
    store = store_of(cache, template)
    if not store.is_dir():
        return Remark("warn", what, f"nothing in {store} yet; launch makes them", remedy)
    until = time.monotonic() + DATA_S

    def hear(_: str) -> None:
        nonlocal until
        until = min(until, time.monotonic() + grace_s)

    def is_stopped() -> bool:
        return time.monotonic() > until

    try:
        found = prepare_data(template, python, store, inherited, hear, is_stopped=is_stopped)
    except StopRequested:
        return Remark("warn", what, "not made yet for this profile; launch makes them", remedy)
    except UsageError as error:
        return Remark.of(what, error)
    return Remark("ok", what, f"{found.bytes / 2**30:.2f} GiB in {found.training}")


def kept_gib(template: Template, cache: Path) -> float:
    """Size of the data that the template's store holds already."""
    return store_size(store_of(cache, template)) / 2**30


def _setup_line(template: Template) -> str:
    return f"scientist setup {template.spec.name}" + (f" --profile {template.profile}" if template.profile else "")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())


def _say(*command: str) -> str | None:
    """The output of a command. None if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=COMMAND_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
