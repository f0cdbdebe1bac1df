"""Choice of a sandbox, and the paths that its walls leave open. tests/attacks tries the walls themselves."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.edges.sandbox import choose as sandbox
from agent.edges.sandbox import landlock as confine
from agent.edges.sandbox.bwrap import Descriptors, bwrap_argv, read_exit_code
from agent.edges.sandbox.choose import NO_SANDBOX, Sandbox, choose_sandbox
from agent.edges.sandbox.policy import confine_plan
from agent.edges.sandbox.walls import Bounds, Walls
from agent.errors import UsageError
from tests.sandboxes import needs_bwrap, needs_landlock

PYTHON = Path(sys.executable)


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """Nothing that an earlier test tried is remembered, before or after."""
    tried = (sandbox._try_bwrap, sandbox._try_landlock)
    for one in tried:
        one.cache_clear()
    yield
    for one in tried:
        one.cache_clear()


@needs_bwrap
def test_bwrap_comes_first_and_leaves_nothing_open() -> None:
    assert choose_sandbox("auto") == Sandbox("bwrap", (), str(shutil.which("bwrap")))


@needs_landlock
def test_without_bwrap_landlock_is_taken_and_names_its_gaps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = choose_sandbox("auto")
    assert found.kind == "landlock" and any("command lines" in gap for gap in found.gaps)
    with pytest.raises(UsageError, match=r"--sandbox bwrap: no sandbox works here \(bwrap: is not installed\)"):
        choose_sandbox("bwrap")


@needs_landlock
def test_a_bwrap_that_does_not_work_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = choose_sandbox("auto")
    assert (found.kind, found.missed) == ("landlock", "bwrap: bwrap: No permissions to create new namespace")
    with pytest.raises(UsageError, match="bwrap: bwrap: No permissions to create new namespace"):
        choose_sandbox("bwrap")


def test_where_nothing_works_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(confine, "landlock_abi", lambda: 0)
    with pytest.raises(UsageError) as caught:
        choose_sandbox("auto")
    assert caught.value.exit_code == 2
    assert "bwrap: is not installed; landlock: the kernel has none" in str(caught.value)
    assert "install bubblewrap, or take the risk with --sandbox off" in str(caught.value)
    assert choose_sandbox("off") == NO_SANDBOX and NO_SANDBOX.gaps


def test_bwrap_binds_a_folder_inside_another_after_it_and_reads_once(tmp_path: Path) -> None:
    walls = Walls("bwrap", ("/a/b/c", "/a"), ("/a/b/work",), (("/x/data", "/d"),), bwrap="bwrap")
    argv = bwrap_argv(walls, Bounds(memory_gib=1), ["true", "x"], Descriptors(7, 8), tmp="/t", work="/a/b/work")
    shown = " ".join(argv)
    assert "--ro-bind-try /a /a --bind /a/b/work /a/b/work --symlink /d /x/data --remount-ro /" in shown
    assert "/a/b/c" not in argv, "it is there already"
    assert "--disable-userns" in argv and "--share-net" not in argv and argv[-3:] == ["--", "true", "x"]
    assert "--size 1073741824 --tmpfs /dev/shm" in shown
    argv = bwrap_argv(walls, Bounds(), ["true"], Descriptors(7, 8, 9), tmp="/t", work="/")
    assert "--ro-bind-data 9 /etc/hosts" in " ".join(argv), "localhost has an address"
    open_walls = replace(walls, read=("/etc/hosts",), network=True, confines=True)
    argv = bwrap_argv(open_walls, Bounds(), ["true"], Descriptors(7, 8, 9), tmp="/t", work="/")
    assert "--share-net" in argv and "--ro-bind-data" not in argv, "the machine's names are known there"
    assert "--disable-userns" not in argv


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b'{ "child-pid": 5 }\n{ "exit-code": 3 }\n', 3),
        (b'{ "child-pid": 5 }\n', None),
        (b'garbage\n[1]\n{ "exit-code": 139 }\n', 139),
        (b"", None),
    ],
)
def test_the_exit_code_that_bwrap_tells(said: bytes, code: int | None) -> None:
    assert read_exit_code(said) == code


def test_a_plan_for_a_kernel_without_landlock_is_bwraps(monkeypatch: pytest.MonkeyPatch) -> None:
    walls = Walls("landlock", ("/usr",), bwrap="/usr/bin/bwrap")
    monkeypatch.setattr(confine, "landlock_abi", lambda: 0)
    assert confine_plan(walls)["nested"][0] == "/usr/bin/bwrap"
    monkeypatch.setattr(confine, "landlock_abi", lambda: 6)
    assert confine_plan(walls)["nested"] == []


@pytest.mark.parametrize(("kills", "problem"), [(0, ""), (1, ""), (2, "exit code -9")])
def test_a_probe_that_somebody_killed_is_tried_once_more(kills: int, problem: str, tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.touch()
    with tempfile.TemporaryFile() as rules:
        rules.write(b"rules")
        rules.seek(0)
        code = (
            f"import os; assert os.read({rules.fileno()}, 9) == b'rules'; count = open({str(count)!r}, 'a')\n"
            f"if count.tell() < {kills}: count.write('x'); count.close(); os.kill(os.getpid(), 9)"
        )
        command = [sys.executable, "-I", "-S", "-c", code]
        assert sandbox._try_command(command, rules.fileno()) == problem


@pytest.mark.parametrize(("hangs", "problem"), [(1, ""), (2, "did not end within 0.3 s, twice")])
def test_a_probe_that_a_busy_machine_holds_up_is_tried_once_more(
    hangs: int, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "PROBE_TIMEOUT_S", 0.3)
    script = f"echo x >> tries; [ $(wc -l < tries) -gt {hangs} ] || exec sleep 60"
    assert sandbox._try_command(["sh", "-c", f"cd '{tmp_path}' && {script}"]) == problem


def test_a_machine_that_gives_no_process_is_no_reason_for_a_weaker_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(OSError, match="temporarily"):
        sandbox._try_command(["true"])
