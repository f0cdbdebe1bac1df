"""A folder that looks like a clone, in which the commands of a page are run as they stand.

A plain `scientist` command runs in this process, since a new one imports for a second. Every other line is a shell's.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from unittest import mock

import pytest

from agent.cli import app
from tests.cli.conftest import example, folder, limit, scientist  # noqa: F401 - all but limit are fixtures
from tests.paths import ROOT

LIMIT_S = 600
HOME = "~/.cache/scientist"
_COPIED = ("ideas", "templates", "tests/data", "examples", "README.md", "pyproject.toml")

# "scientist show workspaces/*/momentum 1   # one run": no pipe, variable, redirection or second command.
_PLAIN = re.compile(r"scientist( [^|&;<>$`()\\#]*)?(#.*)?")
# "cat > x <<'END'", "a \\" and "export A=b" concern the lines below them.
_JOINED = re.compile(r"<<|\\$|^export |^cd ", re.MULTILINE)

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The parts of this repository that commands of the documents name, to be written to."""
    place = tmp_path / "clone"
    for name in _COPIED:
        source, target = ROOT / name, place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copyfile(source, target)
    return place


@pytest.fixture
def own_python(tmp_path: Path) -> Path:
    """An environment that sees all packages of this one, so that `pip install` in a page changes nothing here."""
    place = tmp_path / "own"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    here = sysconfig.get_path("purelib")
    Path(packages, "of_the_tests.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    command = place / "bin/scientist"
    command.write_text(f"#!{place / 'bin/python'}\nfrom agent.cli import main\n\nmain()\n")
    command.chmod(0o755)
    return place / "bin"


@pytest.fixture
def shell(clone: Path, tmp_path: Path) -> Shell:
    """Run a script in the clone: both streams come back as one text, as a terminal shows them."""

    def run(
        script: str, variables: Mapping[str, str] | None = None, programs: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCIENTIST_")}
        path = os.pathsep.join([str(programs or Path(sys.executable).parent), os.environ["PATH"]])
        environment = kept | {"PATH": path, "COLUMNS": "200", "SCIENTIST_CACHE": str(tmp_path / "cache")}
        environment |= variables or {}
        done = subprocess.CompletedProcess(script, 0, "")
        for part, is_plain in parts_of(script, whole=programs is not None):
            one = run_here(part, clone, environment) if is_plain else run_in_bash(part, clone, environment)
            done.returncode, done.stdout = one.returncode, done.stdout + one.stdout
            if one.returncode:
                break
        # Paths stand in the documents as seen from the clone, and the cache in its usual place.
        for path, name in ((f"{clone}/", ""), (str(tmp_path / "cache"), HOME), (str(Path(HOME).expanduser()), HOME)):
            done.stdout = done.stdout.replace(path, name)
        return done

    return run


def parts_of(script: str, *, whole: bool) -> list[tuple[str, bool]]:
    """Plain commands one by one, and the lines between them for a shell, each with whether it is plain."""
    if whole or _JOINED.search(script):
        return [(script, False)]
    found: list[tuple[str, bool]] = []
    for is_plain, group in groupby(script.splitlines(), lambda line: bool(_PLAIN.fullmatch(line))):
        lines = list(group)
        found += [(line, True) for line in lines] if is_plain else [("\n".join(lines), False)]
    return found


def run_here(line: str, place: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a plain command in this process."""
    said = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with (
        limit(LIMIT_S),
        contextlib.chdir(place),
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(tempfile, "tempdir", None),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        words = [
            (sorted(map(str, Path().glob(word))) if "*" in word else []) or [word]  # as bash does
            for word in shlex.split(line, comments=True)[1:]
        ]
        code = app.run([word for found in words for word in found])
    return subprocess.CompletedProcess(line, code, said.buffer.getvalue().decode())


def run_in_bash(script: str, place: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
