"""show, history and diff: what they say first, on a batch, and on a terminal."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from agent.cli.commands.diff import choose_pager
from agent.edges.workspace.lock import hold_lock
from tests.cli.conftest import Launched, Scientist, only_workspace
from tests.cli.screens import terminal
from tests.paths import QUADRATIC


@pytest.fixture
def batch(launched: Launched, folder: Path) -> Path:
    """A batch of two ideas, each with one run."""
    launched("--max-runs", 1)
    return only_workspace(folder).parent.relative_to(folder.resolve())


def test_show_begins_with_state_best_run_baseline_and_verdict(batch: Path, scientist: Scientist, folder: Path) -> None:
    place = batch / "momentum"
    lines = scientist("show", place).stdout.splitlines()
    assert lines[:3] == ["Momentum helps", f"workspace: {place}", "state: completed: 1 run completed"]
    heads = [line.partition(":")[0] for line in lines[3:8]]
    assert heads == ["control", "best", "baseline", "verdict", "results"]
    assert lines[4].startswith("best: run 1: score=") and "baseline: score=0.6782 (plain, 5 runs)" in lines
    assert f"  {place}/plots/losses.png" in lines and f"notes: {place}/notes.txt" in lines
    found = json.loads(scientist("show", place, "--json").stdout)
    assert Path(found["figures"][0]).is_file() and Path(found["notes"]).is_file()
    (row,) = found["rows"]
    assert row["verdict"] in ("better", "worse", "no difference") and row["baseline"] == pytest.approx(0.6782, abs=1e-4)
    run = scientist("show", place, 1).stdout.splitlines()
    assert (
        run[0] == f"run 1 of {place}" and run[2].startswith("state: completed in ") and run[3].startswith("verdict: ")
    )
    (metrics,) = [line for line in run if line.startswith("metrics: ")]
    assert metrics.startswith("metrics: score=") and "steps" not in metrics, "a control is no result"
    assert "controls: steps=40" in run and f"log: scientist logs {place} 1" in run
    refused = scientist("show", place, 9)
    assert refused.returncode == 2 and "run 9: is not finished, or does not exist; finished: 1" in refused.stderr
    for odd in ("9" * 5000, ""):
        refused = scientist("show", place, odd)
        assert refused.returncode == 2 and f'RUN "{odd}": is no run number' in refused.stderr
    assert scientist("show", place, "run/1").stdout == "\n".join(run) + "\n"
    lost = scientist("diff", place, 9)
    assert lost.returncode == 2 and lost.stderr.endswith(f"see: scientist history {place}\n")
    assert scientist("diff", place, "start", "run_1").stdout == scientist("diff", place, "start", 1).stdout != ""
    late = scientist("logs", place, 9, "-f")
    assert late.returncode == 2 and late.stderr.startswith(f"scientist: {place}: run 9: has no log; there are: ")
    silent = scientist("logs", place, 1, "-f")
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "run 1 has printed nothing\n")


def test_show_of_an_idea_at_work_proposes_no_resume(batch: Path, scientist: Scientist, folder: Path) -> None:
    idea = folder / batch / "momentum"
    journal = idea / ".agent/journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:3]))
    assert "go on: scientist resume" in scientist("show", idea).stdout
    with hold_lock(idea / ".agent"):
        at_work = scientist("show", idea).stdout
        assert "state: running: run 1 of 1\n" in at_work and "scientist resume" not in at_work
        refused = scientist("resume", idea)
    assert refused.returncode == 5 and f"or end it: scientist stop {shlex.quote(str(idea))}\n" in refused.stderr


def test_show_of_a_batch_is_a_table_and_names_what_to_look_at(batch: Path, scientist: Scientist, folder: Path) -> None:
    whole = scientist("show", batch)
    assert whole.returncode == 0 and whole.stderr == ""
    for name in ("momentum", "rates"):
        assert f"look: scientist show {batch}/{name}" in whole.stdout
    named = scientist("show", *sorted((folder / batch).glob("*")))  # as a shell expands BATCH/*
    assert named.returncode == 0 and named.stdout == whole.stdout
    listed = json.loads(scientist("show", batch, "--json").stdout)
    assert [idea["title"] for idea in listed["ideas"]] == ["Momentum helps", "Rates help"]
    refused = scientist("show", batch, 1)
    assert refused.returncode == 2 and f"name one: scientist show {batch}/momentum 1 or: " in refused.stderr
    (folder / batch / "rates/.agent/journal.jsonl").write_text("no event\n")
    damaged = scientist("show", batch)
    assert damaged.returncode == 6 and "momentum" in damaged.stdout and "journal.jsonl:1" in damaged.stderr
    for odd in (batch / "nothing", "first"):
        refused = scientist("show", batch / "momentum", odd)
        assert refused.returncode == 2 and refused.stderr.count("\n") == 1, refused.stderr


def test_run_0_stands_first_and_is_the_baseline(scientist: Scientist, folder: Path) -> None:
    bare = shutil.copytree(QUADRATIC, folder / "bare", ignore=shutil.ignore_patterns("baselines"))
    scientist("launch", "ideas.json", "--idea", "momentum", "--template", bare, "--max-runs", 1)
    shown = scientist("show", only_workspace(folder)).stdout
    runs = [line for line in shown.splitlines() if line.startswith("  run ")]
    assert runs[0].startswith("  run 0: score=") and runs[0].endswith(" (the template as it is; verified)")
    assert runs[1].startswith("  run 1: score=") and "(run 0, the template as it is)" in shown
    assert "verdict: no verdict" not in scientist("show", only_workspace(folder), 0, "--json").stdout


def test_history_tells_the_metric_that_counts_first(batch: Path, scientist: Scientist) -> None:
    lines = scientist("history", batch / "momentum").stdout.splitlines()
    (completed,) = [line.strip() for line in lines if " completed: " in line]
    assert completed.startswith("completed: score=") and " steps=40" in completed


def test_diff_shows_code_and_notes_on_request(batch: Path, scientist: Scientist) -> None:
    place = batch / "momentum"
    code = scientist("diff", place, "start", 1).stdout
    assert code.startswith("diff --git a/experiment.py b/experiment.py\n") and code.count("diff --git") == 1
    assert scientist("diff", place).stdout == code, "all that the idea changed"
    whole = scientist("diff", place, "start", "--notes").stdout
    assert code in whole and "diff --git a/notes.txt b/notes.txt\n" in whole
    notes = scientist("diff", place, 1)
    assert (notes.returncode, notes.stdout) == (0, "")
    assert notes.stderr == f"{place}: notes.txt alone differs: see it with --notes\n"
    same = scientist("diff", place, 1, 1)
    assert (same.returncode, same.stdout, same.stderr) == (0, "", f"{place}: nothing differs\n")


def test_a_terminal_gets_colours_folded_lines_and_a_pager(batch: Path, folder: Path) -> None:
    place = batch / "momentum"
    with terminal(60, 200) as seen:
        seen.start(folder, "diff", place, "start", 1)
        assert seen.end() == 0
        rows = {line[:5]: seen.colours(row) for row, line in enumerate(seen.lines()) if line.strip()}
    assert rows["+LR ="] == {"green"} and rows["-LR ="] == {"red"}
    with terminal(56, 200) as seen:
        seen.start(folder, "show", place)
        assert seen.end() == 0
        lines = seen.lines()
    assert "verdict: " in "\n".join(lines) and "control: hyper-parameter sweep; the idea was not" in lines
    assert "    implemented" in lines
    with terminal(60, 10) as seen:
        seen.start(folder, "diff", place, "start", 1, "--notes", GIT_PAGER="sed 's/^/paged /'", NO_COLOR="1")
        assert seen.end() == 0
        paged = seen.everything()
        assert b"\x1b[3" not in seen.written
    assert paged[0] == "paged diff --git a/experiment.py b/experiment.py" and all(map(str.strip, paged))
    with terminal(60, 10) as seen:
        seen.start(folder, "diff", place, "start", 1, GIT_PAGER="no-such-pager")
        assert seen.end() == 0 and seen.everything()[0].startswith("diff --git")


def test_the_pager_is_the_one_that_git_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_PAGER", "PAGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("PAGER", "tail -n 5")
    assert choose_pager() == "tail -n 5"
    monkeypatch.setenv("GIT_PAGER", "cat")
    assert choose_pager() == ""
