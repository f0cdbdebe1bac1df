"""The real command in a real process, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

QUADRATIC = Path(__file__).parent.parent / "data" / "quadratic"
SCIENTIST = Path(sys.executable).parent / "scientist"
IDEAS = [
    {"Name": "momentum", "Title": "Momentum helps", "Experiment": "Try momentum."},
    {"Name": "rates", "Title": "Rates help", "Experiment": ["Try a high rate.", "Try a low one."]},
]

Scientist = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with an ideas file."""
    place = tmp_path / "a place"
    place.mkdir()
    (place / "ideas.json").write_text(json.dumps(IDEAS))
    return place


def environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SCIENTIST_")}
    return kept | {"COLUMNS": "200"} | extra


@pytest.fixture
def scientist(folder: Path) -> Scientist:
    """Run the command to its end."""

    def run(*arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCIENTIST, *map(str, arguments)],
            cwd=folder,
            env=environment(**extra),
            capture_output=True,
            text=True,
            timeout=120,
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


def only_workspace(folder: Path, name: str = "momentum") -> Path:
    (found,) = folder.glob(f"workspaces/*/{name}")
    return found
