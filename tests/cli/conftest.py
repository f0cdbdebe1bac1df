"""The command in a folder of its own: in this process, and in one of its own where that is what a test is about."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from agent.cli import app
from agent.edges.lint import Linter
from agent.edges.run.local_runner import LocalRunner
from tests.forked import ForkingRunner
from tests.loop.conftest import RememberingLinter
from tests.paths import QUADRATIC, ROOT

SCIENTIST = Path(sys.executable).parent / "scientist"
IDEAS = [
    {"Name": "momentum", "Title": "Momentum helps", "Experiment": "Try momentum."},
    {"Name": "rates", "Title": "Rates help", "Experiment": ["Try a high rate.", "Try a low one."]},
]

LIMIT_S = 120

Scientist = Callable[..., subprocess.CompletedProcess[str]]
Launched = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with an ideas file."""
    return make_folder(tmp_path)


def make_folder(parent: Path) -> Path:
    place = parent / "a place"
    place.mkdir()
    (place / "ideas.json").write_text(json.dumps(IDEAS))
    return place


def environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SCIENTIST_")}
    return kept | {"COLUMNS": "200"} | extra


@contextlib.contextmanager
def limit(seconds: int) -> Iterator[None]:
    """Fails the test at the end of that time, and gives handlers of signals back as they were."""

    def expire(number: int, frame: object) -> None:
        pytest.fail(f"took longer than {seconds} s")

    changed = (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in changed}
    signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture
def scientist(folder: Path) -> Scientist:
    """Run the command to its end in this process: what it imports takes seconds in each new one."""
    return partial(run_here, folder)


def run_here(folder: Path, *arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        limit(LIMIT_S),
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment(**extra), clear=True),
        mock.patch.object(tempfile, "tempdir", None),  # what TMPDIR said is remembered there
        mock.patch.object(Linter, "check", RememberingLinter.check),
        mock.patch.object(LocalRunner, "begin", ForkingRunner.begin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = app.run([str(argument) for argument in arguments])
    said = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return subprocess.CompletedProcess(arguments, code, *said)


Launches = dict[tuple[object, ...], tuple[Path, subprocess.CompletedProcess[str]]]


@pytest.fixture(scope="session")
def launches() -> Launches:
    """Launches of this session that came to their end: their folder and what they printed, by their options."""
    return {}


@pytest.fixture
def launched(folder: Path, launches: Launches, tmp_path_factory: pytest.TempPathFactory) -> Launched:
    """Give the folder the workspaces of a launch with these options, which is done once and copied from then on."""

    def copy(*options: object) -> subprocess.CompletedProcess[str]:
        if options not in launches:
            place = make_folder(tmp_path_factory.mktemp("launch"))
            launches[options] = place, run_here(place, "launch", "ideas.json", "--template", QUADRATIC, *options)
        place, done = launches[options]
        assert done.returncode == 0, done.stderr
        shutil.copytree(place / "workspaces", folder / "workspaces", symlinks=True)
        return done

    return copy


@pytest.fixture
def command(folder: Path) -> Scientist:
    """Run the installed command to its end, as a user does."""

    def run(*arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCIENTIST, *map(str, arguments)],
            cwd=folder,
            env=environment(**extra),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    return run


@pytest.fixture
def begin(folder: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the command and return at once, in a session of its own."""

    def start(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SCIENTIST, *map(str, arguments)],
            cwd=folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def example(folder: Path) -> Path:
    """A workspace that has ended, with two completed runs and calls of a model that cost something."""
    return shutil.copytree(
        ROOT / "examples" / "momentum", folder / "workspaces" / "example" / "momentum", symlinks=True
    )


def only_workspace(folder: Path, name: str = "momentum") -> Path:
    (found,) = folder.glob(f"workspaces/*/{name}")
    return found


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """Base address of a server that accepts each connection and closes it, as a provider that is down."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def close_each() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

        thread = threading.Thread(target=close_each)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
