"""An interpreter is found on PATH, or where pyenv, uv and conda put theirs; else what was seen is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agent.edges.template.interpreters import PythonPlaces, find_python, python_places
from agent.errors import UsageError

VERSION = ".".join(map(str, sys.version_info[:3]))


def fake_python(folder: Path, name: str, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / name
    python.write_text(f"#!/bin/sh\necho {version}\n")
    python.chmod(0o755)
    return python


def test_find_python_takes_the_first_version_that_fits(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    for name, version in (("python3.11", "3.11.2"), ("python3.12", "3.12.9"), ("python3", "3.9.1")):
        fake_python(folder, name, version)
    assert find_python(">=3.11,<3.13", PythonPlaces(str(folder))).path == folder / "python3.11"
    assert find_python(">=3.12", PythonPlaces(str(folder))).path == folder / "python3.12"
    assert find_python("==3.9.*", PythonPlaces(str(folder))).path == folder / "python3"


def test_find_python_believes_the_interpreter_and_not_its_name(tmp_path: Path) -> None:
    fake_python(tmp_path / "bin", "python3.11", "3.8.1")
    broken = fake_python(tmp_path / "bin", "python3.12", "")
    broken.write_text("#!/bin/sh\nexit 127\n")
    with pytest.raises(UsageError, match=r"no Python >=3\.11 on PATH .*python3\.11 is 3\.8\.1.*--python PATH"):
        find_python(">=3.11", PythonPlaces(str(tmp_path / "bin")))


def test_find_python_falls_back_to_our_own() -> None:
    assert find_python(f"=={VERSION}").path.exists()


def test_find_python_looks_behind_an_active_environment(tmp_path: Path) -> None:
    base = fake_python(tmp_path / "usr", "python3.11", "3.11.9")
    fake_python(tmp_path / "venv", "unused", "")
    fake_python(tmp_path / "venv" / "bin", "python3.11", "3.11.9")
    search = str(tmp_path / "venv" / "bin")
    assert find_python(">=3.11", PythonPlaces(search)).path == tmp_path / "venv" / "bin" / "python3.11"
    (tmp_path / "venv" / "pyvenv.cfg").write_text(f"home = {base.parent}\nversion = 3.11.9\n")
    assert find_python(">=3.11", PythonPlaces(search)).path == base


def test_spec_that_is_none_is_named() -> None:
    with pytest.raises(UsageError, match=r"environment\.python: 'three' is no version range"):
        find_python("three")


PLACES = {
    "pyenv": ".pyenv/versions/3.12.4",
    "uv": ".local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu",
    "conda base": "miniforge3",
    "conda environment": "miniconda3/envs/torch",
}


@pytest.fixture
def nothing_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of somebody who has no interpreter on PATH, beside the one that runs us."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(sys, "executable", str(fake_python(tmp_path / "ours" / "bin", "python", "3.13.1")))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
def test_an_interpreter_is_found_where_it_is_usually_installed(nothing_on_path: Path, place: str) -> None:
    python = fake_python(nothing_on_path / place / "bin", "python3.12", "3.12.4")
    found = find_python(">=3.11,<3.13", python_places({"HOME": str(nothing_on_path)}))
    assert (found.path, found.version) == (python, "3.12.4")


@pytest.mark.parametrize(
    ("variable", "value", "place"),
    [
        ("PYENV_ROOT", "", "versions/3.12.4"),
        ("UV_PYTHON_INSTALL_DIR", "", "cpython-3.12.4-linux-x86_64-gnu"),
        ("XDG_DATA_HOME", "", "uv/python/cpython-3.12.4-linux-x86_64-gnu"),
        ("CONDA_PREFIX", "", ""),
        ("CONDA_EXE", "bin/conda", "envs/torch"),
        ("MAMBA_ROOT_PREFIX", "", "envs/torch"),
    ],
)
def test_variables_say_where_else(nothing_on_path: Path, tmp_path: Path, variable: str, value: str, place: str) -> None:
    root = tmp_path / "else where"
    python = fake_python(root / place / "bin", "python3.12", "3.12.4")
    places = python_places({"HOME": str(nothing_on_path), variable: str(root / value)})
    assert find_python(">=3.11,<3.13", places).path == python


def test_path_comes_first_and_then_the_minor_with_most_wheels_and_its_newest(
    nothing_on_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = nothing_on_path / ".pyenv" / "versions"
    for version in ("3.12.9", "3.11.2", "3.11.10"):
        fake_python(versions / version / "bin", f"python{version.rpartition('.')[0]}", version)
    places = python_places({"HOME": str(nothing_on_path)})
    assert find_python(">=3.11,<3.13", places).version == "3.11.10"
    on_path = fake_python(tmp_path / "bin", "python3.12", "3.12.1")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_python(">=3.11,<3.13", places).path == on_path, "environments that were built stay"


def test_one_that_is_not_there_is_told_with_what_was_seen_and_where(nothing_on_path: Path) -> None:
    fake_python(nothing_on_path / ".pyenv/versions/3.11.2/bin", "python3.11", "3.11.2")
    fake_python(nothing_on_path / "miniconda3/bin", "python3.10", "3.10.4")
    with pytest.raises(UsageError) as caught:
        find_python("==3.12.*", python_places({"HOME": str(nothing_on_path)}))
    home, ours = nothing_on_path, sys.executable
    assert str(caught.value) == (
        f"template environment: no Python ==3.12.* on PATH or under pyenv's {home}/.pyenv/versions or under uv's "
        f"{home}/.local/share/uv/python or under conda's {home}/miniconda3 "
        f"({ours} is 3.13.1, {home}/.pyenv/versions/3.11.2/bin/python3.11 is 3.11.2, "
        f"{home}/miniconda3/bin/python3.10 is 3.10.4); "
        "install one: uv python install 3.12, pyenv install 3.12, or give --python PATH"
    )


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_real_interpreters_of_this_machine_are_found(minor: int) -> None:
    """Skipped if this machine has none of that version, wherever it may lie."""
    try:
        found = find_python(f"==3.{minor}.*", python_places(os.environ))
    except UsageError as error:
        pytest.skip(str(error))
    assert found.version.startswith(f"3.{minor}.") and os.access(found.path, os.X_OK)
