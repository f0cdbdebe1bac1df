"""No text takes a reader more than linear time, or makes it raise."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.hostile.readers import GROUPS
from tests.paths import ROOT

SMALL, STRIDE = 20_000, 421
LARGE, LARGE_STRIDE = 1_000_000, 41


def measure(group: str, chars: int, stride: int) -> None:
    """In a process of its own, which a limit of processor time ends."""
    words = [sys.executable, "-m", "tests.hostile.measure", group, str(chars), str(stride)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    wrong = [line for line in done.stdout.splitlines() if not line.startswith("worst")]
    assert (wrong, done.returncode) == ([], 0), f"at {done.stderr.splitlines()[-1:]}"


@pytest.mark.parametrize("group", GROUPS)
def test_readers_take_linear_time(group: str) -> None:
    measure(group, SMALL, STRIDE)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_readers_take_two_seconds_for_a_million_characters(group: str) -> None:
    measure(group, LARGE, LARGE_STRIDE)


@pytest.mark.slow  # .ci/run lint does the same
def test_no_regular_expression_is_slow() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.hostile.sources"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
