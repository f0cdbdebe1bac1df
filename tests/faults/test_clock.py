"""A clock that goes back: the journal stays valid, nothing has a negative age, and the idea comes to its end."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path

import pytest

from agent.edges.git.repo import Repo
from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import Running
from agent.edges.verify import verify
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.lock import hold_lock, read_holder, this_process
from tests.cli.conftest import Scientist
from tests.faults.fault_idea import tale_of, tell, whole_runner
from tests.loop.conftest import Study

DAY_S = 86_400.0


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every look at the clock be a day before the last one, for commits too."""
    looks = count(1)
    begun = time.time()

    def now() -> float:
        return begun - DAY_S * next(looks)

    for reader in (Journal, Repo):
        monkeypatch.setattr(reader.__init__, "__kwdefaults__", {**reader.__init__.__kwdefaults__, "clock": now})
    yield


def test_an_idea_comes_to_the_same_end(
    study: Study, expected: dict[str, object], backwards: None, scientist: Scientist
) -> None:
    state = tell(study, whole_runner())
    assert state.ended and tale_of(study.workspace) == expected
    lines = study.workspace.journal().lines
    assert all(later.time < earlier.time for earlier, later in pairwise(lines[1:]))
    assert verify(study.workspace).disagreements == ()
    assert state.spent.model_s >= 0 and state.spent.step_s >= 0

    commits = study.workspace.repo().log()
    assert all(later.time < earlier.time for earlier, later in pairwise(commits[1:]))
    told = json.loads(scientist("history", study.workspace.path, "--json").stdout)["edits"]
    assert [edit["commit"] for edit in told] == [commit.sha for commit in commits], "in the order of the edits"
    for command in ("status", "show", "history"):
        done = scientist(command, study.workspace.path)
        # -86400 s, -1.5 h
        assert done.returncode == 0 and not re.search(r"-\d[\d.]* ?(s|min|h|d|ago)\b", done.stdout), done.stdout


def test_a_live_step_and_a_live_holder_stay_what_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "run_1.1"
    folder.mkdir()
    step.claim(folder, "supervisor")
    for name in (step.CLAIM, step.HEARTBEAT):
        (folder / name).touch()
        os.utime(folder / name, (time.time() + DAY_S, time.time() + DAY_S))
    status = LocalRunner(clock=lambda: time.time() - DAY_S).poll(folder)
    assert isinstance(status, Running) and status.heartbeat_age_s == 0.0
    with hold_lock(tmp_path):
        os.utime(tmp_path / "holder.json", (0, 0))
        holder = read_holder(tmp_path)
        assert holder == this_process() and holder.is_alive()
