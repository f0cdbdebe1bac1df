"""Runs the idea of crash_idea.py in processes that die at a given point, and compares its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from agent.cli import drive
from tests.crash.crash_idea import (
    LINES,
    SwiftRunner,
    Tale,
    check_nothing_lost,
    new_ideas,
    outcome_of,
    supervised,
    use_tellers,
)
from tests.crash.points import CRASHED, Points, in_child


@dataclass(frozen=True)
class Whole:
    """The idea without a crash: the points that it passed, and its end."""

    points: tuple[str, ...]
    outcome: dict[str, object]
    supervised: Counter[str]
    files: list[str]


def tell_whole(root: Path) -> Whole:
    (told,) = new_ideas(root, "momentum")
    points = tell_until(told)
    check_nothing_lost(told)
    outcome = outcome_of(told.workspace)
    assert outcome["ended"] == (True, "1 run completed, 1 given up", ())
    assert Counter(role for role, _ in told.entries("ask")) == {role: len(lines) for role, lines in LINES.items()}
    return Whole(tuple(points), outcome, supervised(told.workspace), kept_files(told))


def tell_until(told: Tale, dies_at: int = 0) -> list[str]:
    """Run until the process dies at a point or the idea ends, and return the points that were passed."""
    code, errors = tell_in_child(told, dies_at)
    assert code == (CRASHED if dies_at else 0), errors or f"exit code {code}, of {dies_at}"
    return (told.records / "points").read_text().splitlines()


def tell_in_child(told: Tale, dies_at: int = 0) -> tuple[int, str]:
    """Go on in a child process, and return how it ended, with its traceback if it failed."""
    errors = told.records / "errors"
    code = in_child(partial(_tell, told, dies_at), errors)
    return code, "\n".join(errors.read_text().splitlines()[-12:]) if code == 1 else ""


def _tell(told: Tale, dies_at: int) -> None:
    points = Points(told.workspace.path.parent, told.records / "points", dies_at)
    with pytest.MonkeyPatch.context() as patch:
        use_tellers(patch)
        patch.setattr(drive, "runner_for", lambda launched: SwiftRunner(apart=points.silence))
        patch.setattr(drive, "say", lambda text: None)
        patch.setattr(drive, "note", lambda text: None)
        points.watch()
        told.tell()


def kept_files(told: Tale) -> list[str]:
    """The files of the workspace at the end, without evidence of crashes."""
    passing = (".git/objects", ".git/logs", ".agent/rescue", ".agent/attempts", ".agent/blobs", ".agent/tmp")
    path = told.workspace.path
    found = sorted(str(p.relative_to(path)) for p in path.rglob("*"))
    return [name for name in found if not name.startswith(passing)]


def check_same_end(told: Tale, whole: Whole) -> None:
    """Check that the end is the same as without a crash, and that no acknowledged event was lost."""
    check_nothing_lost(told)
    assert supervised(told.workspace) == whole.supervised, "a step was run twice"
    check_same_outcome(told, whole)


def check_same_outcome(told: Tale, whole: Whole) -> None:
    outcome = outcome_of(told.workspace)
    for part, value in whole.outcome.items():
        assert outcome[part] == value, part
    assert kept_files(told) == whole.files
