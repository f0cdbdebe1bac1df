"""The experiment's own interpreter: a virtual environment for each template, built once and found again by its hash."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from agent.core.inputs.spec import Environment
from agent.edges.system.child import ChildCommand, run_child
from agent.errors import UsageError

WHERE = "template environment"
MARKER = ".complete"
LAST_LINES = 15

_MINORS = (11, 12, 13, 14, 10, 9)  # those first for which most packages have wheels
_ASK_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
_REQUIREMENTS = ("-r", "--requirement", "-c", "--constraint")
_NEWS = ("Collecting ", "Downloading ", "Building ", "Preparing ", "Installing ", "Successfully ")
_IGNORED_FOLDERS = {"__pycache__", ".git", "build", ".venv"}

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Python:
    """An interpreter and the version it gives itself."""

    path: Path
    version: str


def find_python(spec: str, search: str | None = None) -> Path:
    """An interpreter of the folders in `search` (by default PATH) whose version fits a spec such as ">=3.11,<3.13".

    Raises: UsageError when there is none, or the spec is not one.
    """
    return _find(spec, search).path


def environment_for(env: Environment, template_dir: Path, cache: Path, search: str | None = None) -> Path | None:
    """The interpreter of a finished environment, or None when it has yet to be built (or cannot be)."""
    try:
        folder = _folder_for(env, template_dir, cache, _find(env.python, search))
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
    search: str | None = None,
) -> Path:
    """Find or build the environment, and return its interpreter; one process builds, others wait for it.

    `inherited` is what pip gets, with its own settings in it. An environment stands where it is built, because its
    scripts hold its path; a marker written last says that it is whole.

    Raises: UsageError with the last lines of the command that failed.
    """
    python = _find(env.python, search)
    folder = _folder_for(env, template_dir, cache, python)
    cache.mkdir(parents=True, exist_ok=True)
    variables = {name: value for name, value in inherited.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_progress("Waiting for another process that builds this environment")
        lock.acquire()
    try:
        if not _is_complete(folder, env):
            builder = _Builder(folder, template_dir.resolve(), variables, on_progress)
            if not _has_packages(folder):
                builder.make(python)
                builder.install(env.install)
            builder.check(env.check, env.variables)
            _mark(folder, env.check)
    finally:
        lock.release()
    return _interpreter(folder)


@dataclass(frozen=True, slots=True)
class _Builder:
    """Runs the commands that fill one environment."""

    folder: Path
    template_dir: Path
    variables: Mapping[str, str]
    on_progress: Progress

    def make(self, python: _Python) -> None:
        """Begin anew, whatever an interrupted build left."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.on_progress(f"Creating an environment with Python {python.version}")
        command = [str(python.path), "-I", "-m", "venv", str(self.folder)]
        self._run(command, "python -m venv", remedy="the package python3-venv may be missing")

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

        end = run_child(ChildCommand(command, self.template_dir, {**self.variables, **(variables or {})}), hear)
        if end.code != 0:
            problem = f"`{name}` failed with exit code {end.code}:\n" + "\n".join(last) + "\n"
            raise UsageError(WHERE, problem, remedy)


def _find(spec: str, search: str | None) -> _Python:
    try:
        wanted = SpecifierSet(spec)
    except InvalidSpecifier as error:
        raise UsageError("environment.python", f"{spec!r} is no version range", 'write it as ">=3.11,<3.13"') from error
    seen: dict[str, None] = {}
    for candidate in _candidates(search):
        version = _version_of(candidate)
        if version is None:
            continue
        if wanted.contains(version, prereleases=True):
            return _Python(candidate, version)
        seen[f"{candidate} is {version}"] = None
    problem = f"no Python {spec} on PATH" + (f" ({', '.join(seen)})" if seen else "")
    raise UsageError(WHERE, problem, "install one, or give --python PATH")


def _candidates(search: str | None) -> Iterator[Path]:
    for name in (*(f"python3.{minor}" for minor in _MINORS), "python3", "python"):
        found = shutil.which(name, path=search)
        if found:
            yield _outside_of_environments(Path(found).absolute())
    if search is None:
        yield _outside_of_environments(Path(sys.executable))


def _outside_of_environments(python: Path) -> Path:
    """The interpreter that an active environment was made from: what is built shall not depend on who was active."""
    try:
        lines = (python.parent.parent / "pyvenv.cfg").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return python
    homes = [value.strip() for key, _, value in (line.partition("=") for line in lines) if key.strip() == "home"]
    base = Path(homes[0], python.name) if homes else python
    return base if os.access(base, os.X_OK) else python


def _version_of(python: Path) -> str | None:
    """None when it does not run: a shim, say, of a version that is not installed."""
    try:
        done = subprocess.run(
            [python, "-I", "-S", "-c", _ASK_VERSION], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = done.stdout.strip()
    return version if done.returncode == 0 and version else None


def _folder_for(env: Environment, template_dir: Path, cache: Path, python: _Python) -> Path:
    """Named by everything the packages depend on: arguments, files they name, interpreter, platform."""
    digest = hashlib.sha256()
    digest.update(json.dumps([env.install, str(python.path), python.version]).encode())
    digest.update(f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}".encode())
    for path in _files_named(env.install, template_dir):
        digest.update(f"\n{path.relative_to(template_dir) if path.is_relative_to(template_dir) else path}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return cache.absolute() / digest.hexdigest()[:16]


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
    """Arguments that name something which is there; "--requirement=x" and "-rx" name x, "./pkg[extra]" ./pkg."""
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
