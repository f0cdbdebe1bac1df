"""scientist verify, on a workspace that a launch made."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Launched, Scientist, only_workspace


@pytest.fixture
def workspace(launched: Launched, folder: Path) -> Path:
    launched("--max-runs", 1)
    return only_workspace(folder)


def test_agreement_is_a_line_a_workspace_and_a_disagreement_exits_6(workspace: Path, scientist: Scientist) -> None:
    batch = workspace.parent
    done = scientist("verify", batch)
    first, second = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == ""
    assert first.startswith(f"{workspace}: ok: ") and first.endswith(" commits, 1 run") and " events, " in first
    assert second.startswith(f"{batch / 'rates'}: ok: ")

    globbed = scientist("verify", *sorted(batch.iterdir()), batch)  # as a shell expands workspaces/*/*
    assert (globbed.returncode, globbed.stdout, globbed.stderr) == (0, done.stdout, "")
    alone = scientist("verify", batch / "batch.json")
    assert alone.returncode == 2 and f"is the index of a batch; name the batch itself: {batch}" in alone.stderr

    path = workspace / "run_1" / "evaluation.json"
    path.chmod(0o644)
    path.write_text('{"score": 7}')
    with (workspace / ".agent" / "journal.jsonl").open("ab") as file:
        file.write(b"{")
    subprocess.run(
        ["git", "-C", workspace, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "Red \x1b[31m",
         "--allow-empty"],
        check=True,
    )  # fmt: skip
    done = scientist("verify", workspace, batch / "rates")
    commit, score, fine = done.stdout.splitlines()
    assert done.returncode == 6 and "\x1b" not in done.stdout and fine == second
    assert f"{workspace}: commit " in commit and "(Red \ufffd[31m): is on branch main" in commit
    assert score.startswith(f"{workspace}: run_1/evaluation.json: score is 7.0, the journal recorded 0.")
    assert done.stderr.startswith(f"{workspace}: remark: .agent/journal.jsonl has a torn tail, 1 B ")


def test_json_has_the_counts_and_every_disagreement(workspace: Path, scientist: Scientist) -> None:
    blob = next((workspace / ".agent" / "blobs").glob("*/*"))
    blob.unlink()
    done = scientist("verify", workspace, "--json")
    told = json.loads(done.stdout)
    (found,) = told["workspaces"]
    assert done.returncode == 6 and told["schema_version"] == 1
    assert (found["path"], found["ok"], found["runs"], found["remarks"]) == (str(workspace), False, 1, [])
    (problem,) = found["disagreements"]
    assert problem["where"] == f".agent/blobs/{blob.parent.name}/{blob.name}"
    assert problem["problem"].startswith("is missing, the ") and problem["remedy"]


def test_what_is_no_workspace_is_bad_input_and_one_without_journal_is_not(
    workspace: Path, scientist: Scientist, folder: Path
) -> None:
    refused = scientist("verify", folder / "nowhere")
    assert refused.returncode == 2 and "holds no workspace" in refused.stderr
    (workspace / ".agent" / "journal.jsonl").unlink()
    done = scientist("verify", workspace)
    assert done.returncode == 6 and ".agent/journal.jsonl:1: the launch is missing" in done.stdout


def test_a_workspace_that_is_gone_is_named_and_the_others_are_resumed(workspace: Path, scientist: Scientist) -> None:
    gone = workspace.parent / "rates"
    shutil.rmtree(gone)
    for arguments in ((workspace.parent,), ("--all",)):
        done = scientist("resume", *arguments)
        assert done.returncode == 6 and "/rates: is gone, though batch.json lists it; put it back" in done.stderr
    assert not gone.exists()
    (workspace.parent / "batch.json").write_text('{"schema_version": 1, "workspaces": ["momentum"]}')
    assert scientist("resume", workspace.parent).returncode == 0
