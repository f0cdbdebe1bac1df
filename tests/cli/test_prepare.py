"""Data prepared by launch, resume and setup, as a user meets it."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import py_compile
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.places import data_limit_gib
from agent.edges.system.processes import running_below
from agent.edges.workspace.layout import Workspace
from agent.errors import UsageError
from tests.cli.conftest import SCIENTIST, Scientist, environment, only_workspace
from tests.overlays import prepared_quadratic

LAUNCH = ("launch", "ideas.json", "--idea", "1", "--max-runs", "1", "--template")


@pytest.fixture
def cache(folder: Path) -> Path:
    return folder / "cache"


@pytest.fixture
def template(folder: Path) -> Path:
    return prepared_quadratic(folder / "quadratic")


def wait_for(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_launch_prepares_once_and_every_command_after_it_finds_the_data(
    scientist: Scientist, folder: Path, cache: Path, template: Path
) -> None:
    done = scientist(*LAUNCH, template, SCIENTIST_CACHE=str(cache))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("data ready in") == 1 and "  samples are ready" in done.stderr
    launched = Workspace(only_workspace(folder)).journal().events[0]
    (training,) = (cache / "data" / "quadratic" / "training").iterdir()
    assert launched.training == launched.evaluation == training.name  # type: ignore[union-attr]
    stamp = training.stat().st_mtime_ns
    again = scientist("setup", template, "--profile", "small", SCIENTIST_CACHE=str(cache))
    assert again.stdout.startswith("/") and again.stderr.count("data ready") == 0
    assert training.stat().st_mtime_ns == stamp


def test_setup_prepares_with_the_interpreter_that_is_named(
    scientist: Scientist, folder: Path, cache: Path, template: Path
) -> None:
    done = scientist("setup", "quadratic", "--python", sys.executable, "--profile", "small", SCIENTIST_CACHE=str(cache),
                     SCIENTIST_TEMPLATES=str(folder))  # fmt: skip
    assert done.returncode == 0 and done.stdout == f"{sys.executable}\n"
    assert "preparing the data of template quadratic at profile small" in done.stderr
    assert list((cache / "data" / "quadratic" / "evaluation").iterdir())
    assert scientist("setup", template, "--profile", "huge").returncode == 2
    assert not list((template / "sealed").glob("__pycache__"))


def test_a_preparation_that_fails_leaves_no_workspace(
    scientist: Scientist, folder: Path, cache: Path, template: Path
) -> None:
    path = template / "profiles" / "small.json"
    path.write_text(path.read_text().replace('"samples": 256', '"samples": 0'))
    done = scientist(*LAUNCH, template, SCIENTIST_CACHE=str(cache))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "scientist: template quadratic, profile small: its data cannot be prepared, exit code 1: "
        "prepare.py: error: hidden.samples is 0; set it to at least 1"
    )
    assert not list(folder.glob("workspaces/[!.]*"))


@pytest.mark.parametrize("limit", ["much", "-1", "0", "nan", "inf"])
def test_a_limit_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv("SCIENTIST_DATA_MAX_GIB", limit)
    with pytest.raises(UsageError, match=f"SCIENTIST_DATA_MAX_GIB={limit}: is no size in GiB"):
        data_limit_gib()


def test_a_limit_is_a_number_and_none_where_it_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIENTIST_DATA_MAX_GIB", " 2.5 ")
    assert data_limit_gib() == 2.5
    monkeypatch.setenv("SCIENTIST_DATA_MAX_GIB", "")
    assert data_limit_gib() is None


def test_an_interrupt_while_data_is_prepared_leaves_nothing_running(folder: Path, cache: Path, template: Path) -> None:
    prepared_quadratic(folder / "slow", pause_s=60)
    process = subprocess.Popen(
        [SCIENTIST, *LAUNCH, "slow"],
        cwd=folder,
        env=environment(SCIENTIST_CACHE=str(cache)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pids = cache / "data" / "quadratic" / "pids"
    wait_for(lambda: pids.is_file() and len(pids.read_text().split()) == 2)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 130, said
    assert time.monotonic() - started < 2
    wait_for(lambda: not any(Path(f"/proc/{pid}/cwd").exists() for pid in pids.read_text().split()), 2)
    assert not list(folder.glob("workspaces/[!.]*"))


def pause_at_once(scientist: Scientist, folder: Path, cache: Path, place: Path | None = None) -> Path:
    """A workspace with its data prepared, whose runs find the disk full."""
    place = place or prepared_quadratic(folder / "full", note="full")
    path = place / "experiment.py"
    path.write_text(path.read_text().replace("def main():\n", 'def main():\n    raise OSError(28, "No space left")\n'))
    done = scientist(*LAUNCH, place, SCIENTIST_CACHE=str(cache))
    assert done.returncode == 3, done.stderr
    return only_workspace(folder)


@pytest.fixture
def paused(scientist: Scientist, folder: Path, cache: Path) -> Path:
    return pause_at_once(scientist, folder, cache)


def events_in(workspace: Path) -> int:
    return len((workspace / ".agent" / "journal.jsonl").read_text().splitlines())


def test_a_resume_makes_data_again_that_was_deleted(scientist: Scientist, cache: Path, paused: Path) -> None:
    shutil.rmtree(cache / "data")
    done = scientist("resume", paused, SCIENTIST_CACHE=str(cache))
    assert done.returncode == 3 and "data ready in" in done.stderr
    assert list((cache / "data" / "quadratic" / "training").iterdir())


def test_a_resume_prepares_without_compiled_code_that_a_step_planted(
    scientist: Scientist, folder: Path, cache: Path, tmp_path: Path
) -> None:
    place = prepared_quadratic(folder / "planted")
    source = place / "sealed" / "words.py"
    source.write_text("WORD = 1\n")
    prepare = place / "sealed" / "prepare.py"
    prepare.write_text(prepare.read_text().replace("import time\n", "import time\nimport words\n"))
    paused = pause_at_once(scientist, folder, cache, place)
    (honest,) = folder.glob("workspaces/.templates/*/sealed/words.py")
    forged, trace = tmp_path / "words.py", tmp_path / "trace"
    forged.write_text(f"open({str(trace)!r}, 'w')\n")
    code = importlib.util.cache_from_source(str(honest))
    py_compile.compile(str(forged), cfile=code)
    header = struct.pack("<II", int(honest.stat().st_mtime), honest.stat().st_size)
    Path(code).write_bytes(Path(code).read_bytes()[:8] + header + Path(code).read_bytes()[16:])
    shutil.rmtree(cache / "data")
    assert "data ready in" in scientist("resume", paused, SCIENTIST_CACHE=str(cache)).stderr
    assert not trace.exists()


def test_a_resume_with_other_data_is_refused(scientist: Scientist, cache: Path, paused: Path) -> None:
    before = events_in(paused)
    done = scientist("resume", paused, SCIENTIST_CACHE=str(cache), HF_REVISION="newer")
    assert done.returncode == 6, done.stderr
    assert "is other data than this idea was launched with" in done.stderr
    assert events_in(paused) == before
    assert scientist("resume", paused, SCIENTIST_CACHE=str(cache)).returncode == 3


def test_a_resume_whose_data_cannot_be_made_says_so(scientist: Scientist, cache: Path, paused: Path) -> None:
    shutil.rmtree(cache / "data")
    (cache / "data").touch()
    done = scientist("resume", paused, SCIENTIST_CACHE=str(cache))
    assert done.returncode == 2 and "cannot be made: Not a directory" in done.stderr


def test_stop_ends_a_preparation_at_resume(scientist: Scientist, folder: Path, cache: Path, paused: Path) -> None:
    """Somebody else is preparing the same data: the resume waits for the lock of the store."""
    (training,) = (cache / "data" / "quadratic" / "training").iterdir()
    lock = cache / "data" / "quadratic" / f"{training.name}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        resumed = subprocess.Popen(
            [SCIENTIST, "resume", paused], cwd=folder, env=environment(SCIENTIST_CACHE=str(cache)),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_for(lambda: any(lock.name in opened for opened in open_files_below(resumed.pid)))
        assert scientist("stop", paused).returncode == 0
        _, said = resumed.communicate(timeout=10)
    assert resumed.returncode == 3 and "stopped by request while data was prepared" in said


def open_files_below(pid: int) -> list[str]:
    """What the children of a process have open."""
    found = []
    for process in running_below([pid]):
        with contextlib.suppress(OSError):
            found += [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
    return found
