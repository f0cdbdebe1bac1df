"""scientist replicate, as a user types it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from agent.edges.workspace.lock import hold_lock
from tests.cli.conftest import Launched, Scientist, only_workspace
from tests.paths import QUADRATIC


def test_a_run_is_replicated_and_every_reading_command_knows_it(
    scientist: Scientist, launched: Launched, folder: Path
) -> None:
    launched("--max-runs", 1)
    workspace = only_workspace(folder)
    for run, problem in (
        ("7", "is not finished, or does"),
        ("x", "is no run number"),
        ("", "run '': is no run number"),
        ("-1", "No such option"),
    ):
        refused = scientist("replicate", workspace, run)
        assert refused.returncode == 2 and problem in refused.stderr and len(refused.stderr.splitlines()) == 1
    assert "momentum' 1 or: " in scientist("replicate", workspace.parent, 1).stderr
    assert scientist("replicate", workspace, "--seeds", 0).returncode == 2
    with hold_lock(workspace / ".agent"):
        assert scientist("replicate", workspace).returncode == 5

    journal = workspace / ".agent/journal.jsonl"
    ended = len(journal.read_text().splitlines())
    done = scientist("replicate", workspace, "--seeds", 2)  # of the best run
    assert done.returncode == 0, done.stderr
    assert "run 1 again with seeds 10001, 10002" in done.stderr and "smoke" not in done.stderr
    assert "over 2 fresh seeds of the code of run 1" in done.stdout and "Verdict of the mean: " in done.stdout
    for reading in (("show", workspace), ("show", workspace, 1), ("status", workspace)):
        said = scientist(*reading).stdout
        assert "run 1 again" in said or "- seed 10002: score = " in said
    assert "record 2 replications in notes.txt" in scientist("history", workspace).stdout
    assert "ok: " in scientist("verify", workspace).stdout
    (idea,) = json.loads(scientist("status", workspace, "--json").stdout)["workspaces"]
    assert (idea["state"], idea["run"], idea["tokens_in"]) == ("completed", 1, 0)
    assert "2 ended" in scientist().stdout

    more = scientist("replicate", workspace, "1", "--seeds", 1, "--json")  # fresh ones, beside those that there are
    found = json.loads(more.stdout)
    assert [one["seed"] for one in found["replications"]] == [10001, 10002, 10003]
    assert all(one["completed"] and one["values"]["score"] for one in found["replications"])

    whole = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(whole[: ended + 1]))  # a crash before the first seed
    assert "0 of 2 seeds; go on: scientist replicate" in scientist("status").stdout
    assert "seeds that are left: scientist replicate" in scientist("resume", workspace).stderr


def test_an_idea_without_a_completed_run_has_nothing_to_replicate(scientist: Scientist, folder: Path) -> None:
    scientist("launch", "ideas.json", "--idea", "momentum", "--template", QUADRATIC, "--pause-before", "run")
    for run in ("best", "1"):
        refused = scientist("replicate", only_workspace(folder), run)
        assert refused.returncode == 2 and "0 is the template's own code" in refused.stderr


def test_an_ended_idea_says_what_may_be_done_with_it(scientist: Scientist, launched: Launched, folder: Path) -> None:
    launched("--max-runs", 1)
    place = only_workspace(folder).resolve()
    ways = json.loads(scientist("show", place, "--json").stdout)["further"]
    assert ways == [
        f"more runs: scientist resume {shlex.quote(str(place))} --max-runs 4",
        f"fresh seeds: scientist replicate {shlex.quote(str(place))} 1",
        f"another idea from there: scientist launch IDEAS --from {shlex.quote(f'{place}@run/1')}",
    ]
