"""A workspace that cannot be written is read like any other, and whoever would change it is told in a line."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import SCIENTIST, Scientist, environment, only_workspace
from tests.paths import QUADRATIC

LAUNCH = ("launch", "ideas.json", "--idea", 1, "--template", QUADRATIC, "--max-runs", 2)


@pytest.fixture
def paused(scientist: Scientist, folder: Path) -> Path:
    """An idea with one run behind it, before its second."""
    assert scientist(*LAUNCH, "--pause-before", "run").returncode == 3
    path = only_workspace(folder)
    assert scientist("resume", path).returncode == 3
    return path


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in (root, *root.rglob("*"))}


def test_a_read_only_workspace_is_read_and_not_resumed(
    scientist: Scientist, folder: Path, paused: Path, read_only: Callable[[Path], None]
) -> None:
    writable = {command: said(scientist, paused, command) for command in READING}
    read_only(folder / "workspaces")
    before = snapshot(folder / "workspaces")
    for command in READING:
        assert said(scientist, paused, command) == writable[command], command
    for arguments in (
        ("resume", paused),
        ("resume", "--all"),
        ("resume", "--discard-edits", paused),
        ("launch", "ideas.json", "--template", QUADRATIC),
        ("stop", paused),
        ("tell", paused, "try more"),
        ("unlock", paused),
    ):
        refused = scientist(*arguments)
        told = [line for line in refused.stderr.splitlines() if line.startswith("scientist: ")]
        assert refused.returncode in (2, 3) and len(told) == 1, (arguments, refused.stderr)
        assert "cannot be written: Read-only file system" in told[0] and "; " in told[0], told
        assert refused.stdout == ""
    assert snapshot(folder / "workspaces") == before


READING = ("status", "show", "show 1", "history", "verify", "logs", "logs 1", "diff start", "diff start 1")


def said(scientist: Scientist, path: Path, command: str) -> str:
    name, *rest = command.split()
    done = scientist(name, path, *rest)
    assert done.returncode == 0 and "unexpected" not in done.stderr, (command, done.stderr)
    assert done.stdout or name == "logs", command
    return done.stdout


def test_of_a_batch_whatever_can_be_written_is_asked_to_stop(
    scientist: Scientist, folder: Path, read_only: Callable[[Path], None]
) -> None:
    scientist("launch", "ideas.json", "--template", QUADRATIC, "--pause-before", "run")
    closed, open_ = (only_workspace(folder, name) for name in ("momentum", "rates"))
    read_only(closed)
    told = scientist("stop", closed.parent)
    assert told.returncode == 2 and f"{closed}: cannot be written" in told.stderr
    assert f"{open_.relative_to(folder)}: asked to stop" in told.stdout and (open_ / ".agent" / "stop").exists()


@pytest.fixture
def protected(paused: Path) -> Iterator[Path]:
    """The same workspace, with folders and files that may only be read."""
    subprocess.run(["chmod", "-R", "a-w", paused.parent.parent], check=True)
    yield paused
    subprocess.run(["chmod", "-R", "u+w", paused.parent.parent], check=True)


@pytest.mark.slow
def test_a_workspace_without_write_permission_is_read_and_not_resumed(folder: Path, protected: Path) -> None:
    powerless = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    if powerless and not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv to take that away")

    def as_a_user(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [*powerless, SCIENTIST, *map(str, arguments)]
        return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)

    for command in ("status", "verify", "history"):
        done = as_a_user(command, protected)
        assert done.returncode == 0 and done.stdout, (command, done.stderr)
    refused = as_a_user("resume", protected)
    assert refused.returncode == 2 and len(refused.stderr.strip().splitlines()) == 1, refused.stderr
    assert f"{protected}: cannot be written: Permission denied; " in refused.stderr
