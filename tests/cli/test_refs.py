"""Reference texts, as a user lays them beside an ideas file."""

from __future__ import annotations

from pathlib import Path

from agent.edges.workspace.refs import read_refs
from tests.cli.conftest import Scientist, only_workspace
from tests.paths import QUADRATIC


def test_launch_copies_the_texts_beside_the_ideas_and_a_changed_copy_stops_a_resume(
    scientist: Scientist, folder: Path
) -> None:
    (folder / "refs" / "momentum").mkdir(parents=True)
    (folder / "refs" / "common.md").write_text("For every idea.")
    (folder / "refs" / "momentum" / "paper.md").write_text("On momentum.")
    arguments = ("launch", "ideas.json", "--idea", "1", "--max-runs", "1", "--template", QUADRATIC)
    done = scientist(*arguments)
    assert done.returncode == 0, done.stderr
    agent = only_workspace(folder) / ".agent"
    assert [(r.name, r.text) for r in read_refs(agent)] == [
        ("refs/momentum/paper.md", "On momentum."),
        ("refs/common.md", "For every idea."),
    ]
    (folder / "refs" / "common.md").write_bytes(b"\xff")
    refused = scientist(*arguments)
    assert refused.returncode == 2 and "common.md: is not UTF-8" in refused.stderr
