"""The experiment's own interpreter: a virtual environment for each template, built once and found again by its hash."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.core.inputs.spec import Environment
from agent.edges.system.child import ChildCommand, run_child
from agent.edges.system.faults import find_fault
from agent.edges.template.interpreters import (
    WHERE,
    FoundPython,
    PythonPlaces,
    find_python,
    older_names,
    outside_of_environments,
)
from agent.errors import UsageError

MARKER = ".complete"
LAST_LINES = 15
PATIENCE_S = 10.0

_REQUIREMENTS = ("-r", "--requirement", "-c", "--constraint")
_NEWS = ("Collecting ", "Downloading ", "Building ", "Preparing ", "Installing ", "Successfully ")
_IGNORED_FOLDERS = {"__pycache__", ".git", "build", ".venv"}

Progress = Callable[[str], None]


def environment_for(
    env: Environment, template_dir: Path, cache: Path, places: PythonPlaces | None = None
) -> Path | None:
    """The interpreter of a finished environment, or None when it has yet to be built (or cannot be)."""
    try:
        folder = _choose_folder(env, template_dir, cache, find_python(env.python, places), places)
    except UsageError:
        return None
    return _interpreter(folder) if _is_complete(folder, env) else None


def build_environment(
    env: Environment,
    template_dir: Path,
    cache: Path,
    on_progress: Progress,
    *,
    inherited: Mapping[str, str],
    places: PythonPlaces | None = None,
) -> Path:
    """Find or build the environment, and return its interpreter. One process builds, others wait for it.

    inherited: pip's environment, with its own settings in it. An environment stays in the folder in which it is built,
    because its scripts hold its path. A marker written last says that it is whole.

    Raises: UsageError with the last lines of the command that failed.
    """
    python = find_python(env.python, places)
    folder = _choose_folder(env, template_dir, cache, python, places)
    cache.mkdir(parents=True, exist_ok=True)
    variables = {name: value for name, value in inherited.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}
    with _alone(Path(f"{folder}.lock"), on_progress) as held:
        if not _is_complete(folder, env):
            builder = _Builder(folder, template_dir.resolve(), variables, on_progress, held)
            if not _has_packages(folder):
                builder.make(python)
                builder.install(env.install)
            builder.check(env.check, env.variables)
            _mark(folder, env.check)
    return _interpreter(folder)


@contextmanager
def _alone(lock: Path, on_progress: Progress) -> Iterator[int]:
    """Hold the lock, and give its descriptor, which a command inherits: it is held until nothing of that is left."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("Waiting for another process that builds this environment")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Builder:
    """Runs the commands that fill one environment."""

    folder: Path
    template_dir: Path
    variables: Mapping[str, str]
    on_progress: Progress
    # Descriptor of the lock.
    held: int

    def make(self, python: FoundPython) -> None:
        """Begin anew, after any interrupted build."""
        self._clear()
        self.on_progress(f"Creating an environment with Python {python.version}")
        command = [str(python.path), "-I", "-m", "venv", str(self.folder)]
        self._run(command, "python -m venv", remedy="the package python3-venv may be missing")

    def _clear(self) -> None:
        """Remove what an interrupted build left, patiently: a process of it may still write there."""
        until_s = time.monotonic() + PATIENCE_S
        while self.folder.exists():
            try:
                shutil.rmtree(self.folder)
            except OSError as error:
                if time.monotonic() > until_s:
                    problem = f"cannot be removed: {error.filename or ''}: {error.strerror}".replace(": :", ":")
                    raise UsageError(
                        str(self.folder), problem, "end what works there, or remove it yourself"
                    ) from error
                time.sleep(PATIENCE_S / 20)

    def install(self, lists: Sequence[Sequence[str]]) -> None:
        """Run pip once for each list of arguments, in the template's folder."""
        pip = [str(_interpreter(self.folder)), "-m", "pip", "install", "--no-input", "--progress-bar=off"]
        for arguments in lists:
            self._run([*pip, *arguments], f"pip install {' '.join(arguments)}", remedy="")

    def check(self, code: str, variables: Mapping[str, str]) -> None:
        """Run the template's own test of its environment."""
        if code:
            self.on_progress("Checking the environment")
            self._run([str(_interpreter(self.folder)), "-c", code], "check", remedy="", variables=variables)

    def _run(self, command: list[str], name: str, *, remedy: str, variables: Mapping[str, str] | None = None) -> None:
        last: deque[str] = deque(maxlen=LAST_LINES)

        def hear(line: str) -> None:
            last.append(line.rstrip())
            if line.strip().startswith(_NEWS):
                self.on_progress(line.strip())

        environment = {**self.variables, **(variables or {})}
        end = run_child(ChildCommand(command, self.template_dir, environment, holds=(self.held,)), hear)
        if end.code == 0:
            return
        told = "\n".join(last)
        if end.code < 0:
            remedy = "try again; the kernel kills what the memory does not hold"
        elif fault := find_fault(told, self.folder.parent):
            remedy = f"{os.strerror(fault)}: free space or mend the disk, then try again"
        ended = f"failed with {end.told}" if end.code > 0 else f"was {end.told}"
        raise UsageError(WHERE, f"`{name}` {ended}:\n{told}\n", remedy)


def _choose_folder(
    env: Environment, template_dir: Path, cache: Path, python: FoundPython, places: PythonPlaces | None
) -> Path:
    """The environment's folder. One that was built when the same interpreter was found under another path is taken."""
    platform_and_files = _describe_platform_and_files(env, template_dir)

    def folder_for(path: Path) -> Path:
        text = json.dumps([env.install, str(path), python.version]).encode() + platform_and_files
        return cache.absolute() / hashlib.sha256(text).hexdigest()[:16]

    folder = folder_for(python.base)
    if _has_packages(folder):
        return folder
    for path in dict.fromkeys((python.path, *older_names(python, places))):
        older = folder_for(path)
        if _has_packages(older) and outside_of_environments(_interpreter(older)).resolve() == python.base:
            return older
    return folder


def _describe_platform_and_files(env: Environment, template_dir: Path) -> bytes:
    """The platform, and the content of each file that the arguments name."""
    text = f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}".encode()
    for path in _files_named(env.install, template_dir):
        text += f"\n{path.relative_to(template_dir) if path.is_relative_to(template_dir) else path}\n".encode()
        text += hashlib.sha256(path.read_bytes()).digest()
    return text


def _files_named(install: Sequence[Sequence[str]], template_dir: Path) -> list[Path]:
    """Requirement files, those they refer to, and the files of local packages."""
    found: dict[Path, None] = {}
    waiting = [path for arguments in install for path in _paths_in(arguments, template_dir)]
    while waiting:
        path = waiting.pop(0)
        if path in found:
            continue
        if path.is_dir():
            waiting += [inner for inner in sorted(path.iterdir()) if inner.name not in _IGNORED_FOLDERS]
        elif path.is_file():
            found[path] = None
            if path.suffix in (".txt", ".in"):
                for line in path.read_text("utf-8", errors="replace").splitlines():
                    words = line.split("#", 1)[0].replace("=", " ", 1).split()
                    if words and words[0] in _REQUIREMENTS:
                        waiting += _paths_in(words, path.parent)
    return list(found)


def _paths_in(arguments: Sequence[str], folder: Path) -> list[Path]:
    """Arguments that name a file or folder. "--requirement=x" and "-rx" name x, "./pkg[extra]" names ./pkg."""
    paths = []
    for argument in arguments:
        value = argument.partition("=")[2] if argument.startswith("--") and "=" in argument else argument
        if value[:2] in ("-r", "-c", "-e") and len(value) > 2:
            value = value[2:]
        path = folder / value.partition("[")[0]
        if not value.startswith("-") and value not in ("", ".") and path.exists():
            paths.append(path)
    return paths


def _interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def _mark(folder: Path, check: str) -> None:
    (folder / MARKER).write_text(json.dumps({"check": check}) + "\n", "utf-8")


def _read_marker(folder: Path) -> dict[str, str] | None:
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return marker if isinstance(marker, dict) and os.access(_interpreter(folder), os.X_OK) else None


def _has_packages(folder: Path) -> bool:
    return _read_marker(folder) is not None


def _is_complete(folder: Path, env: Environment) -> bool:
    marker = _read_marker(folder)
    return marker is not None and marker.get("check") == env.check
