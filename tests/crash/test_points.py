"""A kill at any point of an idea, or of its recovery, does not change the end of the idea."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from agent.errors import ScientistError
from tests.crash.crash_idea import new_ideas
from tests.crash.words_told import Whole, check_same_end, tell_until

SHARDS = 8
LAST = 40  # a recovery passes at least as many points as are left, where that many are left
# One of each kind; the slow test takes every one.
FEW = (
    "half of momentum/.agent/journal.jsonl",
    "git update-ref killed",
    "rename momentum/run_",
    "before finished applied",
    "rename momentum/.agent/tmp/publish-*/evaluation.json",
)


def crash_and_resume(root: Path, whole: Whole, *numbers: int) -> None:
    """Die at each point in turn, then go on to the end. Later points are counted from the recovery's beginning."""
    (told,) = new_ideas(root / f"at {numbers}", "momentum")
    labels = [whole.points[numbers[0] - 1]]
    try:
        for crash, number in enumerate(numbers):
            passed = tell_until(told, number)
            assert len(passed) == number
            if crash == 0:
                assert passed == list(whole.points[:number]), "the story is not told alike"
            else:
                labels.append(passed[-1])
        tell_until(told)
        check_same_end(told, whole)
    except (AssertionError, ScientistError) as error:
        raise AssertionError(f"crash at {numbers} of {len(whole.points)}, {'; '.join(labels)}: {error}") from error
    shutil.rmtree(root / f"at {numbers}")


def test_the_points_are_of_every_kind(whole: Whole) -> None:
    kinds = Counter(label.split()[0] for label in whole.points)
    assert min(kinds[kind] for kind in ("before", "after", "open", "empty", "half", "rename", "git", "mkdir")) > 10
    assert len(whole.points) > 500
    print(f"{len(whole.points)} points: {dict(kinds)}")


@pytest.mark.parametrize("label", [*FEW[:2], *(pytest.param(label, marks=pytest.mark.slow) for label in FEW[2:])])
def test_a_crash_at_a_point_of_each_kind_changes_nothing(root: Path, whole: Whole, label: str) -> None:
    numbers = [n for n, point in enumerate(whole.points, start=1) if point.startswith(label)]
    crash_and_resume(root, whole, numbers[len(numbers) // 2])


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_crash_at_every_point_changes_nothing(root: Path, whole: Whole, shard: int) -> None:
    failed = []
    numbers = range(1 + shard, len(whole.points) + 1, SHARDS)
    for number in numbers:
        try:
            crash_and_resume(root, whole, number)
        except AssertionError as error:
            failed.append(str(error))
    print(f"{len(numbers)} points, {len(failed)} failed")
    assert not failed, "\n\n".join(failed)


def again(random: Random, whole: Whole, crashes: int) -> list[int]:
    """A point of the story, and of recoveries from it."""
    first = random.randint(1, len(whole.points) - LAST)
    return [first, *(random.randint(1, LAST // crashes) for _ in range(crashes - 1))]


def test_a_crash_while_recovering_from_a_crash_changes_nothing(root: Path, whole: Whole) -> None:
    crash_and_resume(root, whole, *again(Random(3), whole, 3))


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(2))
def test_many_crashes_while_recovering_from_crashes_change_nothing(root: Path, whole: Whole, shard: int) -> None:
    random = Random(shard)
    for _ in range(25):
        crash_and_resume(root, whole, *again(random, whole, random.randint(2, 4)))
