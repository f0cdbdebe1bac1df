"""A temporary folder for crashes, in memory if possible, because every crash syncs the files that it writes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.words_told import Whole, tell_whole

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def whole(root: Path) -> Whole:
    return tell_whole(root / "whole")
