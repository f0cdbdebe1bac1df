"""Several orchestrators, dead and alive, here and elsewhere: one works on a workspace, the others are told who."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from agent.core.journal.action_results import Opened
from agent.core.journal.events import Finished
from agent.core.journal.kinds import Step
from agent.edges.workspace.layout import Workspace
from agent.edges.workspace.lock import HOLDER, Holder, read_holder, this_process
from tests.cli.conftest import Scientist, only_workspace
from tests.paths import QUADRATIC

Begin = Callable[..., subprocess.Popen[str]]
LAUNCH = (
    "launch",
    "ideas.json",
    "--template",
    QUADRATIC,
    "--profile",
    "slow",
    "--max-runs",
    1,
    "--pause-before",
    "run",
)


def runs_opened(workspace: Path) -> list[str]:
    results = [e.result for e in Workspace(workspace).journal().events if isinstance(e, Finished)]
    return [r.folder for r in results if isinstance(r, Opened) and r.step is Step.RUN]


def both(begin: Begin, *arguments: object) -> list[tuple[int, int, str]]:
    """Exit code, process number and words of two commands that were started together."""
    processes = [begin(*arguments) for _ in range(2)]
    return [(p.wait(), p.pid, p.communicate()[1]) for p in processes]


def test_of_two_resumes_one_works_and_the_other_names_it(begin: Begin, scientist: Scientist, folder: Path) -> None:
    scientist(*LAUNCH, "--idea", 1)
    path = only_workspace(folder)
    won, lost = sorted(both(begin, "resume", path))
    assert (won[0], lost[0]) == (0, 5), (won, lost)
    assert f"{path}: locked by process {won[1]} on {os.uname().nodename}; " in lost[2]
    assert runs_opened(path) == ["run_1.1"]
    assert scientist("verify", path).returncode == 0


@pytest.mark.slow
def test_two_resumes_of_everything_share_the_workspaces(begin: Begin, scientist: Scientist, folder: Path) -> None:
    scientist(*LAUNCH)
    first, second = both(begin, "resume", "--all")
    paths = [only_workspace(folder, name) for name in ("momentum", "rates")]
    assert [runs_opened(path) for path in paths] == [["run_1.1"]] * 2
    assert scientist("verify", paths[0].parent).returncode == 0
    for (code, _, told), (_, other, _) in ((first, second), (second, first)):
        # workspaces/batch/momentum: locked by process 4711 on node7
        refused = re.findall(r"(\S+): locked by process (\d+) on", told)
        assert all(int(pid) == other for _, pid in refused)
        assert code == (5 if refused else 0), told
    assert {first[0], second[0]} >= {5}, "they met at the first one"


# Holders that are gone, or cannot be seen


@pytest.fixture
def paused(scientist: Scientist, folder: Path) -> Path:
    launch = ("launch", "ideas.json", "--idea", 1, "--template", QUADRATIC, "--max-runs", 1)
    assert scientist(*launch, "--pause-before", "run").returncode == 3
    return only_workspace(folder)


def leave(path: Path, **changes: object) -> Holder:
    holder = replace(this_process(), **changes)  # type: ignore[arg-type]
    (path / ".agent" / HOLDER).write_text(json.dumps(asdict(holder)))
    return holder


@pytest.mark.slow  # quick: tests/edges/workspace/test_lock.py
def test_a_lock_of_another_host_stays_until_it_is_unlocked(scientist: Scientist, paused: Path) -> None:
    there = leave(paused, host="node17", pid=4711, boot_id="another")
    for _ in range(2):
        refused = scientist("resume", paused)
        assert refused.returncode == 5 and len(refused.stderr.strip().splitlines()) == 1
        assert (
            "process 4711 on node17" in refused.stderr
            and f"scientist unlock {shlex.quote(str(paused))}" in refused.stderr
        )
        assert read_holder(paused / ".agent") == there
    unlocked = scientist("unlock", paused)
    assert unlocked.returncode == 0 and "no longer held by process 4711 on node17" in unlocked.stdout
    assert scientist("resume", paused).returncode == 0


OTHERS = [pytest.param(gone, marks=pytest.mark.slow) for gone in ("reused pid", "before a reboot")]


@pytest.mark.parametrize("gone", ["dead", *OTHERS])
def test_a_stale_holder_of_this_host_is_taken_over_without_a_word(
    scientist: Scientist, paused: Path, gone: str
) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    here = this_process()
    leave(
        paused,
        **{
            "dead": {"pid": process.pid},
            "reused pid": {"start_ticks": here.start_ticks - 1},
            "before a reboot": {"boot_id": "another"},
        }[gone],
    )
    assert scientist("status", paused, "--json").stdout.count('"paused"') == 1
    resumed = scientist("resume", paused)
    assert resumed.returncode == 0 and not re.search("lock|held|holder", resumed.stderr), resumed.stderr


HOLD = """
import sys
from pathlib import Path
from agent.edges.workspace.lock import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_live_holder_is_not_unlocked_wherever_it_says_it_is(scientist: Scientist, paused: Path) -> None:
    """On this machine it is known to live. For another host that shares the locks, the kernel knows."""
    command = [sys.executable, "-c", HOLD, str(paused / ".agent")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"held\n"
        for _ in range(2):
            refused = scientist("unlock", paused)
            assert refused.returncode == 5 and "end it first: scientist stop " in refused.stderr, refused.stderr
            there = leave(paused, host="node17", pid=4711)
        assert "process 4711 on node17" in refused.stderr and read_holder(paused / ".agent") == there
        process.communicate()
    assert read_holder(paused / ".agent") is None
    assert scientist("resume", paused).returncode == 0
