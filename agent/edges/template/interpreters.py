"""Interpreters of this machine: on PATH, and in the folders of pyenv, uv and conda."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from agent.edges.system.child import run_probe
from agent.errors import UsageError

__all__ = ["FoundPython", "PythonPlaces", "find_python", "older_names", "outside_of_environments", "python_places"]

WHERE = "template environment"

_MINORS = (11, 12, 13, 14, 10, 9)  # those first for which most packages have wheels
_ASK_VERSION = (
    "import os, sys; base = getattr(sys, '_base_executable', '') or sys.executable;"
    "print('.'.join(map(str, sys.version_info[:3])), os.path.realpath(base))"
)
_CONDAS = ("miniconda3", "miniforge3", "mambaforge", "anaconda3", "micromamba", ".conda")


@dataclass(frozen=True, slots=True)
class FoundPython:
    """An interpreter and the version that it gives itself.

    path: as it was found, a shim perhaps. base: the program that it starts in the end, links followed.
    """

    path: Path
    version: str
    base: Path


@dataclass(frozen=True, slots=True)
class PythonPlaces:
    """Places in which interpreters are looked for, in this order.

    path: folders as in PATH. None: this process's PATH, then its own interpreter. installed: a program that installs
    interpreters, and a folder of its own that holds bin/python3.x, or folders that do.
    """

    path: str | None = None
    installed: tuple[tuple[str, Path], ...] = ()

    def __str__(self) -> str:
        owners = dict.fromkeys(owner for owner, _ in self.installed)
        folders = [", ".join(str(folder) for name, folder in self.installed if name == owner) for owner in owners]
        return "".join(f" or under {owner}'s {names}" for owner, names in zip(owners, folders, strict=True))


def python_places(variables: Mapping[str, str]) -> PythonPlaces:
    """Places that the user's environment variables name, and those of pyenv, uv and conda in the home folder."""
    home = Path(variables.get("HOME") or "/")
    data = Path(variables.get("XDG_DATA_HOME") or home / ".local" / "share")
    installed = [
        ("pyenv", Path(variables.get("PYENV_ROOT") or home / ".pyenv") / "versions"),
        ("uv", Path(variables.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")),
    ]
    bases = [Path(variables[name]) for name in ("CONDA_PREFIX", "MAMBA_ROOT_PREFIX") if variables.get(name)]
    if program := variables.get("CONDA_EXE"):  # /opt/conda/bin/conda
        bases.append(Path(program).parent.parent)
    bases += [*(home / name for name in _CONDAS), Path("/opt/conda")]
    there = [folder for base in dict.fromkeys(bases) for folder in (base, base / "envs") if folder.is_dir()]
    return PythonPlaces(None, (*installed, *(("conda", folder) for folder in dict.fromkeys(there))))


def find_python(spec: str, places: PythonPlaces | None = None) -> FoundPython:
    """The first interpreter whose version fits a spec such as ">=3.11,<3.13". By default it is looked for on PATH.

    Raises: UsageError if there is none, with those that were seen, or if the spec is not one.
    """
    places = places or PythonPlaces()
    try:
        wanted = SpecifierSet(spec)
    except InvalidSpecifier as error:
        raise UsageError("environment.python", f"{spec!r} is no version range", 'write it as ">=3.11,<3.13"') from error
    seen: dict[str, None] = {}
    for candidate in dict.fromkeys(_candidates(places)):
        found = _ask(candidate)
        if found is None:
            continue
        if wanted.contains(found.version, prereleases=True):
            return found
        seen[f"{candidate} is {found.version}"] = None
    problem = f"no Python {spec} on PATH{places} ({', '.join(seen) if seen else 'there is none at all'})"
    fitting = next((f"3.{minor}" for minor in _MINORS if wanted.contains(f"3.{minor}.99")), "")
    how = f": uv python install {fitting}, pyenv install {fitting}" if fitting else ""
    raise UsageError(WHERE, problem, f"install one{how}, or give --python PATH")


def _candidates(places: PythonPlaces) -> Iterator[Path]:
    for name in (*(f"python3.{minor}" for minor in _MINORS), "python3", "python"):
        found = shutil.which(name, path=places.path)
        if found:
            yield outside_of_environments(Path(found).absolute())
    if places.path is None:
        yield outside_of_environments(Path(sys.executable))
    for minor in _MINORS:
        for _, folder in places.installed:
            for pattern in (f"bin/python3.{minor}", f"*/bin/python3.{minor}"):
                yield from sorted(folder.glob(pattern), key=_newest_first)


def older_names(python: FoundPython, places: PythonPlaces | None = None) -> Iterator[Path]:
    """Paths under which the same interpreter may have been found once: beside its base, or in a folder of PATH."""
    path = places.path if places else None
    folders = os.get_exec_path() if path is None else path.split(os.pathsep)
    minor = ".".join(python.version.split(".")[:2])
    for folder in (python.base.parent, *(Path(name).absolute() for name in folders if name)):
        for name in (f"python{minor}", "python3", "python"):
            yield folder / name


def _newest_first(python: Path) -> tuple[tuple[int, ...], str]:
    """Order of interpreters in folders such as 3.12.4, or cpython-3.12.4-linux-x86_64-gnu."""
    folder = python.parent.parent.name
    for part in folder.split("-"):
        try:
            return tuple(-number for number in Version(part).release), folder
        except InvalidVersion:
            continue
    return (), folder


def outside_of_environments(python: Path) -> Path:
    """The interpreter that an active environment was made from, so that builds do not depend on the active one."""
    try:
        lines = (python.parent.parent / "pyvenv.cfg").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return python
    homes = [value.strip() for key, _, value in (line.partition("=") for line in lines) if key.strip() == "home"]
    base = Path(homes[0], python.name) if homes else python
    return base if os.access(base, os.X_OK) else python


def _ask(python: Path) -> FoundPython | None:
    """None if it does not run, as a shim of a version that is not installed."""
    try:
        done = run_probe([python, "-I", "-S", "-c", _ASK_VERSION], 20.0)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version, _, base = done.stdout.strip().partition(" ")
    return FoundPython(python, version, Path(base or python)) if done.returncode == 0 and version else None
