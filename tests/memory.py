"""Results that the tests of one call of pytest share, whichever worker computes them first."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

R = TypeVar("R")

_NAME = "TESTS_MEMORY"  # set for the workers of xdist
_places: list[Path] = []


def begin() -> Callable[[], None]:
    """Make the folder, or find that of the process that started this worker. Returns the call that removes it."""
    given = os.environ.get(_NAME)
    place = Path(given or tempfile.mkdtemp(prefix="tests-memory-"))
    os.environ[_NAME] = str(place)
    _places.append(place)

    def end() -> None:
        _places.remove(place)
        if not given:
            del os.environ[_NAME]
            shutil.rmtree(place, ignore_errors=True)

    return end


def remember(key: tuple[object, ...], compute: Callable[[], R]) -> R:
    """The result of `compute`, computed once. It depends on the key alone, whose repr tells it from others.

    A process that pytest did not start, as one of a benchmark, has no place to remember it in.
    """
    if not (_places or _NAME in os.environ):
        return compute()
    path = _place_of(key)
    if not path.exists():
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_bytes(pickle.dumps(compute()))
        aside.rename(path)
    found: R = pickle.loads(path.read_bytes())
    return found


def copy_made(key: tuple[object, ...], make: Callable[[Path], object], target: Path) -> None:
    """Copy to `target` the folder that `make` makes, which is made once. It depends on the key alone."""
    path = _place_of(key)
    if not path.exists():
        aside = path.with_suffix(f".{os.getpid()}")
        make(aside)
        try:
            aside.rename(path)
        except OSError:  # another worker was faster
            shutil.rmtree(aside)
    shutil.copytree(path, target, symlinks=True)


def _place_of(key: tuple[object, ...]) -> Path:
    place = _places[-1] if _places else Path(os.environ[_NAME])  # the second: a program that a test started
    return place / sha256(repr(key).encode("utf-8", "backslashreplace")).hexdigest()
