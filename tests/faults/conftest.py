"""Disks that are small or cannot be written, and an idea that ends as it starts on them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import begin, folder, scientist
from tests.faults.fault_idea import tale_of, tell, whole_runner
from tests.loop.conftest import Study, make_study, study

__all__ = ["begin", "folder", "make_study", "scientist", "study"]


def mount(*arguments: object) -> None:
    """Mount a folder. The test is skipped if this user may not mount."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no mounting here: {done.stderr.strip()}")


_TALES: list[dict[str, object]] = []


@pytest.fixture
def expected(make_study: Callable[..., Study]) -> dict[str, object]:
    """The end of the idea if nothing goes wrong, computed once."""
    if not _TALES:
        study = make_study(batch="undisturbed")
        tell(study, whole_runner())
        _TALES.append(tale_of(study.workspace))
    return _TALES[0]


@dataclass(frozen=True)
class SmallDisk:
    """A filesystem of a few MiB."""

    folder: Path

    def fill(self) -> None:
        """Leave no block free."""
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while filler.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def clear(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """The folder of the workspaces of `make_study` and the commands, on a small disk."""
    place = tmp_path / "work spaces"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=6m", "none", place)
    yield SmallDisk(place)
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[object]:
    """Makes a folder read-only for everybody, root too, until the test is over."""
    mounted: list[Path] = []

    def close(place: Path) -> None:
        mount("--bind", place, place)
        mounted.append(place)
        mount("-o", "remount,bind,ro", place)
        assert not os.access(place, os.W_OK)

    yield close
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)
