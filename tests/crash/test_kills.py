"""SIGKILL at any moment, of orchestrators and of supervisors, many times in a row: the ideas come to the same end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import pytest

from agent.core.journal.action_results import Closed
from agent.core.journal.events import Finished
from agent.core.journal.fold import fold
from agent.edges.run import step_folder as step
from agent.edges.system.processes import Identity, is_running, send_signal
from tests.crash.crash_idea import Tale, check_nothing_lost, new_ideas, outcome_of, processes_in, supervised
from tests.crash.driver import drive_batch
from tests.crash.points import start_child

HERE = Path(__file__).parents[2]
VICTIMS = ("orchestrator", "supervisor", "orchestrator and git", "orchestrator")
FINE = (0, 3)  # completed; paused after supervisors were killed too often in a row

Begin = Callable[[Path], int]


def begin_forked(batch: Path) -> int:
    """An orchestrator without the second that an interpreter takes to start."""
    return start_child(partial(drive_batch, batch), batch.parent / "errors")


def begin_anew(batch: Path) -> int:
    return start_child(partial(_become_driver, batch), batch.parent / "errors")


def _become_driver(batch: Path) -> None:
    os.chdir(HERE)
    os.execv(sys.executable, [sys.executable, "-m", "tests.crash.driver", str(batch)])


@dataclass
class Killer:
    """Kills orchestrators and supervisors of a batch in turn, at random moments of their lives, and counts."""

    begin: Begin
    random: Random
    kills: int
    longest_s: float
    killed: Counter[str] = field(default_factory=Counter)

    @property
    def is_done(self) -> bool:
        return self.killed.total() >= self.kills and self.killed["supervisor"] > 0  # which may come late, under load

    def kill_until_ended(self, batch: list[Tale]) -> None:
        """Until all were killed or all ideas have ended."""
        while not self.is_done and not all(fold(told.events()).ended for told in batch):
            pid = self.begin(batch[0].workspace.path.parent)
            time.sleep(self.random.uniform(0.0, self.longest_s))
            victim = VICTIMS[self.killed.total() % len(VICTIMS)]
            if victim == "supervisor":
                self.killed[victim] += kill_supervisor(batch, self.random.uniform(0.0, 0.15))
                time.sleep(self.random.uniform(0.0, 0.3))
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                (os.killpg if victim == "orchestrator and git" else os.kill)(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                self.killed["orchestrator" if victim == "supervisor" else victim] += 1


def kill_supervisor(batch: list[Tale], after_s: float) -> int:
    """Kill the next supervisor that begins, after it has worked for a while. 0 if none came in time."""
    give_up_s = time.monotonic() + 4.0
    while not (doomed := supervisors_of(batch)):
        if time.monotonic() > give_up_s:
            return 0
        time.sleep(0.01)
    time.sleep(after_s)
    alive = [identity for identity in doomed if is_running(identity)]
    send_signal(alive, signal.SIGKILL)
    return len(alive)


def supervisors_of(batch: list[Tale]) -> list[Identity]:
    """Those that are at work now."""
    claims = [step.read_claim(path) for told in batch for path in told.workspace.attempts.iterdir() if path.is_dir()]
    found = [Identity(claim.pid, claim.start_ticks) for claim in claims if claim and claim.by == "supervisor"]
    return [identity for identity in found if is_running(identity)]


def finish(batch: list[Tale], begin: Begin) -> None:
    for _ in range(20):
        _, status = os.waitpid(begin(batch[0].workspace.path.parent), 0)
        assert os.waitstatus_to_exitcode(status) in FINE
        if all(fold(told.events()).ended for told in batch):
            return
    pytest.fail("the ideas do not end")


@dataclass(frozen=True)
class End:
    """The end of an idea, and the number of runs of its steps."""

    outcome: dict[str, object]
    supervised: Counter[str]


def ends_of(batch: list[Tale]) -> dict[str, End]:
    return {told.workspace.path.name: End(outcome_of(told.workspace), supervised(told.workspace)) for told in batch}


def kill_many(root: Path, killer: Killer, *names: str, sandbox: str) -> int:
    """Kill in batch after batch, check that each comes to its usual end, and return the number of lost steps."""
    undisturbed = new_ideas(root / "undisturbed", *names, sandbox=sandbox)
    finish(undisturbed, killer.begin)
    ends, lost, batches = ends_of(undisturbed), 0, 0
    while not killer.is_done:
        batches += 1
        batch = new_ideas(root / f"killed {batches}", *names, sandbox=sandbox)
        killer.kill_until_ended(batch)
        finish(batch, killer.begin)
        check_same_ends(batch, ends)
        lost += lost_steps(batch)
    print(f"{killer.killed.total()} kills {dict(killer.killed)} in {batches} batches, {lost} steps lost")
    return lost


def check_same_ends(batch: list[Tale], ends: dict[str, End]) -> None:
    root = batch[0].workspace.path.parent.parent
    for told in batch:
        check_nothing_lost(told)
        end = ends[told.workspace.path.name]
        now = outcome_of(told.workspace)
        for part, value in end.outcome.items():
            assert now[part] == value, part
        assert supervised(told.workspace) == end.supervised
    said = (root / "said").read_text()
    assert "unexpected" not in said and "scientist: " not in said, said
    check_nobody_left(root)


def check_nobody_left(root: Path) -> None:
    give_up_s = time.monotonic() + 10.0
    while left := processes_in(root):
        assert time.monotonic() < give_up_s, "\n".join(left)
        time.sleep(0.05)


def lost_steps(batch: list[Tale]) -> int:
    results = [e.result for told in batch for e in told.events() if isinstance(e, Finished)]
    return sum(isinstance(r, Closed) and r.exit is None for r in results)


def test_kills_at_random_moments_lose_nothing(root: Path) -> None:
    killer = Killer(begin_forked, Random(7), 8, 0.5)
    kill_many(root / "few", killer, "momentum", sandbox="off")
    assert killer.killed["supervisor"] > 0


@pytest.mark.slow
def test_two_hundred_kills_in_a_row_lose_nothing(root: Path) -> None:
    """Three ideas a batch, each orchestrator in an interpreter of its own, each run in a sandbox if there is one."""
    killer = Killer(begin_anew, Random(1), 200, 2.2)
    assert kill_many(root / "many", killer, "momentum", "warmth", "patience", sandbox="auto") > 0
