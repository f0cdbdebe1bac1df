"""Walls as a machine has them: its interpreter, its libraries, and what a step is given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.edges.sandbox import interpreter
from agent.edges.sandbox.choose import Sandbox
from agent.edges.sandbox.interpreter import interpreter_folders
from agent.edges.sandbox.resolve import build_walls
from agent.edges.sandbox.walls import WantedWalls
from agent.errors import UsageError

PYTHON = Path(sys.executable)
BWRAP = Sandbox("bwrap", bwrap="/usr/bin/bwrap")


def test_an_interpreters_library_and_links_are_given_and_no_home(tmp_path: Path) -> None:
    found = interpreter_folders(PYTHON, (str(tmp_path),))
    assert {str(PYTHON), sys.prefix, sys.base_prefix} <= set(found)
    assert "/" not in found
    wide = interpreter_folders(PYTHON, (str(Path(sys.prefix) / "home"),))
    assert sys.prefix not in wide, "it holds the user's home"
    assert any(str(folder).startswith(f"{sys.prefix}/lib") for folder in wide), "its packages are given all the same"


def test_this_interpreter_is_known_as_it_would_answer() -> None:
    assert interpreter.own_folders() == interpreter._ask(PYTHON)


def test_a_virtual_environment_that_holds_the_workspaces_is_given_in_parts(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    for folder in (packages, tmp_path / "bin", tmp_path / "workspaces"):
        folder.mkdir(parents=True)
    base = Path(sys.executable).resolve()
    (tmp_path / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    (tmp_path / "bin" / "python").symlink_to(base)
    python = tmp_path / "bin" / "python"
    walls = build_walls(BWRAP, WantedWalls(interpreter=str(python), closed=(f"{tmp_path}/workspaces/batch",)), {})
    ours = {path for path in walls.read if Path(path).is_relative_to(tmp_path)}
    assert {str(python), f"{tmp_path}/pyvenv.cfg", f"{tmp_path}/lib"} <= ours
    assert not [path for path in ours if (tmp_path / "workspaces").is_relative_to(path)]
    assert str(tmp_path) in build_walls(BWRAP, WantedWalls(interpreter=str(python)), {}).read


def test_an_interpreter_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be asked for its folders"):
        interpreter_folders(tmp_path / "python")


def test_walls_hold_what_is_given_and_what_libraries_need(tmp_path: Path) -> None:
    given, own, library = (tmp_path / name for name in ("sealed", "work", "cuda"))
    for folder in (given, own, library):
        folder.mkdir()
    environment = {"LD_LIBRARY_PATH": f"{library}:relative:/nowhere/at/all", "CUDA_HOME": "/"}
    wanted = WantedWalls(interpreter=sys.executable, read=(str(given), f"{tmp_path}/absent"), write=(str(own),))
    walls = build_walls(BWRAP, wanted, environment)
    assert {str(given), str(library), "/usr"} <= set(walls.read) and walls.write == (str(own),)
    assert not {"/", "/proc", "/nowhere/at/all", str(tmp_path / "absent"), "/etc", "/root", "/home"} & set(walls.read)
    assert "/etc/resolv.conf" not in walls.read and not walls.devices
    assert (
        "/etc/resolv.conf" in build_walls(BWRAP, WantedWalls(interpreter=sys.executable, network=True), {}).read
        or not Path("/etc/resolv.conf").exists()
    )
