"""A folder that looks like a clone, in which the commands of a page are run as they stand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import folder, scientist  # noqa: F401 - fixtures
from tests.paths import ROOT

LIMIT_S = 600
HOME = "~/.cache/scientist"
_COPIED = ("ideas", "templates", "tests/data", "examples", "README.md", "pyproject.toml")

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
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=clone,
            env=kept | {"PATH": path, "COLUMNS": "200", "SCIENTIST_CACHE": str(tmp_path / "cache")} | (variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        # Paths stand in the documents as seen from the clone, and the cache in its usual place.
        for path, name in ((f"{clone}/", ""), (str(tmp_path / "cache"), HOME), (str(Path(HOME).expanduser()), HOME)):
            done.stdout = done.stdout.replace(path, name)
        return done

    return run
