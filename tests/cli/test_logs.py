"""Logs as they are picked and followed, on folders that a test fills step by step."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.commands import logs as module
from agent.cli.commands.logs import Tail, follow_idea
from agent.edges.workspace.layout import Workspace
from tests.cli.conftest import Scientist


class Idea:
    """A workspace of which there are only logs and the types of events."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / ".agent/attempts").mkdir(parents=True)
        self.note("launched")

    def note(self, kind: str) -> None:
        with (self.path / ".agent/journal.jsonl").open("a") as file:
            file.write(json.dumps({"event": {"type": kind}}) + "\n")

    def log(self, folder: str, text: str) -> None:
        step = self.path / ".agent/attempts" / folder
        step.mkdir(exist_ok=True)
        with (step / "log.txt").open("a") as file:
            file.write(text)


@pytest.fixture
def idea(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Idea:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    return Idea(tmp_path / "idea")


def test_the_newest_step_that_printed_something_is_shown(idea: Idea, scientist: Scientist) -> None:
    refused = scientist("logs", idea.path)
    assert refused.returncode == 2 and "no step has begun; wait for the first: scientist logs -f" in refused.stderr
    idea.log("run_1.1.smoke", "short\n")
    idea.log("run_1.1", "epoch 1\n")
    idea.log("run_1.1.evaluate", "")
    idea.log("plot.1", "")
    done = scientist("logs", idea.path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "epoch 1\n", "run_1.1: training of run 1\n")
    asked = scientist("logs", idea.path, "run_1.1.smoke")
    assert (asked.stdout, asked.stderr) == ("short\n", "")
    silent = scientist("logs", idea.path, "plot.1")
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "plot.1 (figures) has printed nothing\n")


def follow(idea: Idea, run: int | None, play: Callable[[], None]) -> None:
    """Follow while `play` writes. It must come to an end by itself."""
    player = threading.Thread(target=play)
    player.start()
    follow_idea(Tail(Workspace(idea.path), run, module._put_lines))
    player.join()


def test_an_idea_is_followed_from_before_its_first_step_to_its_end(
    idea: Idea, capsys: pytest.CaptureFixture[str]
) -> None:
    def play() -> None:
        time.sleep(0.05)
        idea.note("started")
        for folder, text in (
            ("run_1.1.smoke", "tiny\n"),
            ("run_1.1", "epoch 1\nepoch "),
            ("run_1.1", "2\n"),
            ("run_1.1.evaluate", ""),
            ("run_2.1", "no end of line"),
            ("plot.1", "drawn\n"),
        ):
            idea.log(folder, text)
            time.sleep(0.05)
        idea.note("ended")

    follow(idea, None, play)
    said = capsys.readouterr()
    assert said.out == (
        "==> run_1.1.smoke: smoke test of run 1 <==\ntiny\n"
        "\n==> run_1.1: training of run 1 <==\nepoch 1\nepoch 2\n"
        "\n==> run_2.1: training of run 2 <==\nno end of line\n"
        "\n==> plot.1: figures <==\ndrawn\n"
    )
    assert said.err.startswith("waits for the first step; Ctrl-C leaves\nwaits: it has not begun")


def test_one_run_is_followed_past_its_smoke_test_to_its_end(idea: Idea, capsys: pytest.CaptureFixture[str]) -> None:
    idea.log("run_1.1", "old\n")
    idea.note("started")

    def play() -> None:
        for folder in ("run_2.1.smoke", "run_2.1", "run_2.1.evaluate", "run_3.1"):
            idea.log(folder, f"of {folder}\n")
            time.sleep(0.05)

    follow(idea, 2, play)
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("of ")] == [
        "of run_2.1.smoke",
        "of run_2.1",
        "of run_2.1.evaluate",
    ]


def test_a_run_after_the_figures_is_the_newest_and_is_followed(
    idea: Idea, scientist: Scientist, capsys: pytest.CaptureFixture[str]
) -> None:
    for second, folder in enumerate(("run_1.1", "plot.1", "run_2.1.smoke"), start=1):  # more runs after an end
        idea.log(folder, f"of {folder}\n")
        os.utime(idea.path / ".agent/attempts" / folder / "log.txt", (second, second))
    idea.note("resumed")
    assert scientist("logs", idea.path).stdout == "of run_2.1.smoke\n"

    def play() -> None:
        time.sleep(0.05)
        idea.log("run_2.1", "of run_2.1\n")
        time.sleep(0.05)
        idea.note("ended")

    follow(idea, 2, play)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("of ")] == ["of run_2.1.smoke", "of run_2.1"]


def test_whoever_joins_late_sees_the_step_at_work_and_a_pause(idea: Idea, capsys: pytest.CaptureFixture[str]) -> None:
    idea.log("run_1.1.smoke", "seen before\n")
    idea.log("run_1.1", "epoch 1\n")
    idea.note("paused")

    def play() -> None:
        time.sleep(0.05)
        idea.note("ended")

    follow(idea, None, play)
    said = capsys.readouterr()
    assert said.out == "==> run_1.1: training of run 1 <==\nepoch 1\n"
    assert "waits: the idea is paused; to go on: scientist resume " in said.err


def test_a_batch_names_its_ideas_and_the_command(scientist: Scientist, folder: Path) -> None:
    batch = folder / "batch"
    ideas = [Idea(batch / name) for name in ("first", "second")]
    (batch / "batch.json").write_text(json.dumps({"schema_version": 1, "workspaces": ["first", "second"]}))
    for command in (["logs"], ["history"], ["diff"]):
        more = ["1"] if command == ["diff"] else []
        done = scientist(*command, "batch", *more)
        assert done.returncode == 2 and done.stdout == ""
        ways = [" ".join(["scientist", *command, f"batch/{name}", *more]) for name in ("first", "second")]
        assert done.stderr == f"scientist: batch: is a batch of 2 ideas; name one: {ways[0]} or: {ways[1]}\n"
    (batch / "batch.json").write_text(json.dumps({"schema_version": 1, "workspaces": ["first"]}))
    ideas[0].log("run_1.1", "of the only idea\n")
    assert scientist("logs", "batch").stdout == "of the only idea\n"
