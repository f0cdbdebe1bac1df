"""Launching a replay, and the editor aider, as a user types it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Scientist
from tests.paths import QUADRATIC

CONTROL = "control: hyper-parameter sweep; the idea was not implemented"


def trees(workspace: Path) -> list[str]:
    """Tree hash of every commit, newest first."""
    said = subprocess.check_output(["git", "-C", workspace, "log", "--format=%T"], text=True)
    return said.split()


@pytest.mark.slow  # quick: tests/loop/test_replay.py
def test_a_replayed_batch_has_the_same_trees_and_says_everywhere_what_it_is(scientist: Scientist, folder: Path) -> None:
    launch = ("launch", "ideas.json", "--idea", "momentum", "--template", QUADRATIC, "--max-runs", 1)
    assert scientist(*launch, "--workspaces", "first").returncode == 0
    (recorded,) = folder.glob("first/*/momentum")
    done = scientist(*launch, "--workspaces", "second", "--model", f"replay/{recorded.relative_to(folder)}")
    assert done.returncode == 0, done.stderr
    (replayed,) = folder.glob("second/*/momentum")
    assert trees(replayed) == trees(recorded) and len(trees(recorded)) >= 3
    said = f"{CONTROL}; replay of {recorded}"
    assert f"replay of {recorded}: no model is asked." in done.stderr
    assert f"1 completed run ({said})" in done.stdout
    assert CONTROL in (replayed / "notes.txt").read_text()
    for command in ("history", "show"):
        assert said in scientist(command, replayed).stdout
    (standing,) = json.loads(scientist("status", "second", "--json").stdout)["workspaces"]
    assert standing["control"] == said and standing["tokens_in"] == 0


def test_a_replay_of_nothing_and_an_editor_that_is_not_there_are_one_line(scientist: Scientist, tmp_path: Path) -> None:
    launch = ("launch", "ideas.json", "--template", QUADRATIC)
    refused = scientist(*launch, "--model", "replay/nowhere")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "nowhere: is not a workspace" in refused.stderr
    refused = scientist(*launch, "--editor", "aider")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "--editor aider: offline/sweep takes no other model's help" in refused.stderr
    assert scientist("launch", "ideas.json", "--editor", "vi").returncode == 2
    assert scientist("setup", "aider", "--python", "python").returncode == 2
