"""Going on with an idea that has ended, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Launched, Scientist, only_workspace


def test_an_ended_batch_gets_more_runs(scientist: Scientist, launched: Launched, folder: Path) -> None:
    launched("--max-runs", 1)
    workspace = only_workspace(folder)
    batch = workspace.parent
    for total in (1, 0):
        refused = scientist("resume", workspace, "--max-runs", total)
        assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1 and "--max-runs" in refused.stderr
    assert "1 is the total of all runs, and it has 1 already" in scientist("resume", batch, "--max-runs", 1).stderr
    unheard = scientist("resume", workspace, "--tell", "Go on.")
    assert unheard.returncode == 2 and "no model would read it" in unheard.stderr
    assert str(folder) not in unheard.stderr + refused.stderr, "paths as they can be typed"
    before = (workspace / ".agent/journal.jsonl").read_text()

    done = scientist("resume", workspace, "--max-runs", 2, "--tell", "Try more momentum.")
    assert done.returncode == 0, done.stderr
    assert "goes on: up to 2 runs in all, 1 done so far" in done.stderr and "2 completed runs" in done.stdout
    assert (workspace / ".agent/journal.jsonl").read_text().startswith(before)
    assert "Try more momentum. (shown in run 2)" in scientist("show", workspace).stdout
    assert "ok:" in scientist("verify", workspace).stdout

    rest = scientist("resume", batch, "--max-runs", 2)  # the first idea has its two
    assert rest.returncode == 0 and "momentum: has ended already: 2 runs completed" in rest.stderr
    ideas = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert [(idea["state"], idea["run"], idea["max_runs"]) for idea in ideas] == [("completed", 2, 2)] * 2


def test_edits_made_after_the_end_are_kept_before_it_goes_on(
    scientist: Scientist, launched: Launched, folder: Path
) -> None:
    launched("--max-runs", 1)
    workspace = only_workspace(folder)
    (workspace / "experiment.py").write_text("print('by hand')\n")
    for command in (("resume", workspace, "--max-runs", 2), ("replicate", workspace)):
        refused = scientist(*command)
        assert refused.returncode == 6 and "resume --discard-edits" in refused.stderr
    done = scientist("resume", "--discard-edits", workspace)
    assert "kept as refs/rescue/" in done.stderr and "has ended already" in done.stderr
    assert "by hand" not in (workspace / "experiment.py").read_text()
    assert "ok: " in scientist("verify", workspace).stdout
