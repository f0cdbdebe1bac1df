"""Random SIGKILLs over batches of three ideas: what is lost, and what is asked or run again.

python -m tests.bench.kills [KILLS] [SEED] [SANDBOX]

The victim is the orchestrator, its whole group, one of its git commands, a supervisor, or a process of a run. Each
batch is compared with one that nobody disturbed: commits, trees, tags, values, plans, words, and all published files.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from agent.core.journal.fold import fold
from agent.edges.system.processes import Identity, read_process, running_below, send_signal
from tests.crash.crash_idea import Tale, check_nothing_lost, new_ideas, outcome_of
from tests.crash.test_kills import begin_anew, check_nobody_left, ends_of, finish, supervisors_of

NAMES = ("momentum", "warmth", "patience")
VICTIMS = ("orchestrator", "group", "git", "supervisor", "run")
LONGEST_S = 6.0
WAIT_S = 15.0
POLL_S = 0.002


def kill_one(pid: int, victim: str, batch: list[Tale]) -> bool:
    """Kill the victim, waited for if it has to come first. False if none came."""
    if victim in ("orchestrator", "group"):
        (os.killpg if victim == "group" else os.kill)(pid, signal.SIGKILL)
        return True
    until_s = time.monotonic() + WAIT_S
    while time.monotonic() < until_s:
        if found := find(pid, victim, batch):
            send_signal(found[:1], signal.SIGKILL)
            return True
        time.sleep(POLL_S)
    return False


def find(pid: int, victim: str, batch: list[Tale]) -> list[Identity]:
    if victim == "git":
        return [p.identity for p in running_below([pid]) if name_of(p.pid) == "git"]
    supervisors = supervisors_of(batch)
    if victim == "supervisor":
        return supervisors
    return [process.identity for process in running_below(identity.pid for identity in supervisors)][-1:]


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def disturb(batch: list[Tale], random: Random, killed: Counter[str], kills: int) -> None:
    """Begin and kill until the ideas have ended, or there were enough kills."""
    while killed.total() < kills and not all(fold(told.events()).ended for told in batch):
        pid = begin_anew(batch[0].workspace.path.parent)
        own = read_process(pid)
        assert own
        time.sleep(random.uniform(0.0, LONGEST_S))
        victim = random.choice(VICTIMS)
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            continue
        killed[victim] += kill_one(pid, victim, batch)
        if victim not in ("orchestrator", "group"):
            time.sleep(random.uniform(0.0, LONGEST_S))  # it goes on by itself
            send_signal([own.identity], signal.SIGKILL)
            killed["orchestrator"] += 1
        os.waitpid(pid, 0)


def questions(batch: list[Tale]) -> int:
    return sum(len(told.entries("ask")) for told in batch)


def main(kills: int, seed: int, sandbox: str) -> int:
    """Print the counts, and return how many ideas did not come to the end of the undisturbed ones."""
    root, random, killed = Path(tempfile.mkdtemp(prefix="kills-")), Random(seed), Counter[str]()
    undisturbed = new_ideas(root / "undisturbed", *NAMES, sandbox=sandbox)
    finish(undisturbed, begin_anew)
    ends, wanted, ideas, same, more = ends_of(undisturbed), questions(undisturbed), 0, 0, 0
    while killed.total() < kills:
        batch = new_ideas(root / f"killed {ideas}", *NAMES, sandbox=sandbox)
        disturb(batch, random, killed, kills)
        finish(batch, begin_anew)
        for told in batch:
            ideas += 1
            check_nothing_lost(told)
            end, now = ends[told.workspace.path.name].outcome, outcome_of(told.workspace)
            differing = [part for part, value in end.items() if now[part] != value]
            same += not differing
            print(f"{told.workspace.path}: {'same' if not differing else f'differs: {differing}'}", flush=True)
        more += questions(batch) - wanted
        check_nobody_left(root)
        print(f"{killed.total()} kills {dict(killed)}", flush=True)
    print(f"{killed.total()} kills {dict(killed)}: {same} of {ideas} ideas the same, {more} questions asked again")
    if same == ideas:
        shutil.rmtree(root)
    return ideas - same


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    sys.exit(main(int(given.get(0, 64)), int(given.get(1, 1)), given.get(2, "auto")))
