"""A kill at any point of a launch leaves the whole batch or none, and never stands in the way of the next launch."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from agent.edges.verify import verify
from agent.edges.workspace.layout import find_workspaces
from tests.crash.crash_idea import new_ideas
from tests.crash.points import CRASHED, Points, in_child

NAMES = ("momentum", "warmth")
STRIDE = 23


def launch(root: Path, log: Path, dies_at: int) -> None:
    Points(root, log, dies_at).watch()
    new_ideas(root, *NAMES)


@pytest.fixture(scope="module")
def points(root: Path) -> list[str]:
    """The points of a launch that nobody disturbs."""
    log = root / "points of a launch"
    assert in_child(partial(launch, root / "launched", log, 0), root / "errors") == 0
    return log.read_text().splitlines()


@pytest.mark.parametrize("stride", [STRIDE, pytest.param(1, marks=pytest.mark.slow)])
def test_a_launch_that_was_killed_made_all_or_nothing(root: Path, points: list[str], stride: int) -> None:
    made = 0
    assert len(points) > 100
    for number in range(1, len(points) + 1, stride):
        place, log = root / f"launch {number}", root / "points"
        assert in_child(partial(launch, place, log, number), root / "errors") == CRASHED
        assert log.read_text().splitlines() == points[:number]
        found = find_workspaces(place)
        if not found:
            assert not (place / "batch").exists(), points[number - 1]
            found = [told.workspace for told in new_ideas(place, *NAMES)]
        else:
            made += 1
        assert [workspace.path.name for workspace in found] == list(NAMES)
        assert [verify(workspace).disagreements for workspace in found] == [(), ()], points[number - 1]
        shutil.rmtree(place)
    print(f"{len(points)} points of a launch, {made} after it was made")
