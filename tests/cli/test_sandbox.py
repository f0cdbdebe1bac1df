"""What holds the runs is chosen before anything is made, said aloud, and stands in every result."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.edges.sandbox import choose as sandbox
from agent.edges.sandbox import landlock as confine
from agent.edges.workspace.layout import Workspace
from tests.cli.conftest import Scientist, only_workspace
from tests.paths import QUADRATIC
from tests.sandboxes import needs_any, needs_bwrap

LAUNCH = ("launch", "ideas.json", "--idea", "1", "--template", QUADRATIC, "--max-runs", "1")


def read_tag(workspace: Path, name: str) -> dict[str, object]:
    text = subprocess.check_output(["git", "-C", workspace, "tag", "-l", "--format=%(contents)", name], text=True)
    found: dict[str, object] = json.loads(text.partition("\n\n")[2])
    return found


def test_without_a_sandbox_every_result_says_so(scientist: Scientist, folder: Path) -> None:
    done = scientist(*LAUNCH, "--sandbox", "off")
    assert done.returncode == 0
    assert "WARNING: --sandbox off: code that a model writes runs with your rights" in done.stderr
    workspace = only_workspace(folder)
    assert "Results are verified, without a sandbox." in (workspace / "notes.txt").read_text()
    assert read_tag(workspace, "run/1")["sandbox"] == "off"
    assert "without a sandbox" in scientist("status").stdout
    (row,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert row["best"]["sandbox"] == "off"
    assert "results: verified, without a sandbox" in scientist("show", workspace, "1").stdout
    assert json.loads((workspace / ".agent/attempts/run_1.1/exit.json").read_text())["sandbox"] == "off"


@needs_bwrap
def test_the_best_one_is_taken_by_itself_and_only_told(scientist: Scientist, folder: Path) -> None:
    done = scientist(*LAUNCH)
    assert done.returncode == 0 and "sandbox: bwrap\n" in done.stderr
    workspace = only_workspace(folder)
    assert read_tag(workspace, "run/1")["sandbox"] == "bwrap"
    shown = scientist("status").stdout + (workspace / "notes.txt").read_text()
    assert "without a sandbox" not in shown and "verified" in shown


def test_where_none_works_nothing_is_launched_or_resumed(
    scientist: Scientist, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scientist(*LAUNCH, "--sandbox", "off", "--pause-before", "run").returncode == 3
    workspace = only_workspace(folder)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "sh"):
        (tools / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setattr(confine, "landlock_abi", lambda: 0)
    for tried in (sandbox._try_bwrap, sandbox._try_landlock):
        tried.cache_clear()
    before = sorted(folder.rglob("*"))
    refused = scientist(*LAUNCH, "--workspaces", "elsewhere", PATH=str(tools))
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.strip().splitlines()[-1] == (
        "scientist: --sandbox auto: no sandbox works here (bwrap: is not installed; landlock: the kernel has none); "
        "install bubblewrap, or take the risk with --sandbox off"
    )
    assert [p for p in sorted(folder.rglob("*")) if p not in before and "elsewhere" not in p.parts] == []
    assert list((folder / "elsewhere").glob("*")) == []

    events = len(Workspace(workspace).journal().events)
    stopped = scientist("resume", workspace, "--sandbox", "auto", PATH=str(tools))
    assert stopped.returncode == 2 and "no sandbox works here" in stopped.stderr
    assert len(Workspace(workspace).journal().events) == events
    assert scientist("resume", workspace, PATH=str(tools)).returncode == 0, "it was launched with --sandbox off"
    for tried in (sandbox._try_bwrap, sandbox._try_landlock):
        tried.cache_clear()


def test_a_word_that_names_none_is_bad_input(scientist: Scientist, folder: Path) -> None:
    refused = scientist(*LAUNCH, "--sandbox", "docker")
    assert refused.returncode == 2 and "docker" in refused.stderr
    assert not (folder / "workspaces").exists()


def test_the_doctor_says_what_would_hold_the_runs(scientist: Scientist) -> None:
    off = scientist("doctor", "--template", QUADRATIC, "--sandbox", "off").stdout
    assert any(line.startswith("warn  sandbox: off: a run has your rights") for line in off.splitlines()), off
    found = scientist("doctor", "--template", QUADRATIC).stdout
    assert any(" sandbox: " in line and " off" not in line for line in found.splitlines()), found


READS_ELSEWHERE = """
import argparse, json, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", default="run_0")
out = pathlib.Path(parser.parse_args().out_dir)
out.mkdir(exist_ok=True)
numbers = [float(word) for word in pathlib.Path({data!r}).read_text().split()]
loss = sum(numbers) / len(numbers) + int(os.environ.get("SCIENTIST_SEED", "1")) / 100
(out / "final_info.json").write_text(json.dumps({{"loss": loss}}))
"""


@needs_any
def test_what_a_template_needs_elsewhere_is_opened_by_its_own_word(
    scientist: Scientist, folder: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data set" / "numbers.txt"
    data.parent.mkdir()
    data.write_text("1 2 3")
    template = folder / "templates" / "elsewhere"
    template.mkdir(parents=True)
    (template / "experiment.py").write_text(READS_ELSEWHERE.format(data=str(data)))
    (template / "prompt.md").write_text("# Task\n\nLower the loss.\n")
    head = 'schema_version = 1\nname = "elsewhere"\nplot = ""\neditable = ["experiment.py"]\n'
    metric = '[[metrics]]\nname = "loss"\npath = ["loss"]\ndirection = "lower"\nprimary = true\n'
    (template / "template.toml").write_text(head + metric)
    check = ("template", "check", "templates/elsewhere", "--python", sys.executable)
    refused = scientist(*check)
    assert refused.returncode == 1 and "No such file or directory" in refused.stdout + refused.stderr, refused
    assert f"template.toml: [sandbox] read = [{json.dumps(str(data))}]" in refused.stdout
    (template / "template.toml").write_text(head + f"[sandbox]\nread = [{json.dumps(str(data.parent))}]\n" + metric)
    passed = scientist(*check)
    assert passed.returncode == 0, passed.stdout
    (template / "template.toml").write_text(head + '[sandbox]\nread = ["relative"]\n' + metric)
    assert "'relative' is no absolute path" in scientist(*check).stdout
