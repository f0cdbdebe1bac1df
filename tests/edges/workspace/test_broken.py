"""Files of a workspace's repository that git cannot read: named, moved to .agent/rescue, and the idea goes on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent.edges.git.broken import find_broken
from agent.edges.verify import verify
from agent.edges.workspace.hand_edits import check_untouched, discard_edits
from agent.edges.workspace.layout import Workspace, read_state
from agent.errors import IntegrityError
from tests.crash.crash_idea import new_ideas


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return new_ideas(tmp_path_factory.mktemp("broken root"), "momentum")[0].workspace


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("refs/heads/main", b""),
        ("refs/heads/main", b"\0" * 41),
        ("refs/heads/main", b"main\n"),
        ("refs/tags/run/1", b"\xff\xfe"),
        ("HEAD", b""),
        ("HEAD", b"\0\0\0\0"),
        ("config", b"\0" * 64),
        ("config", b"[core\n\tbare = false\n"),
    ],
)
def test_what_git_cannot_read_is_named_and_can_be_moved_away(workspace: Workspace, name: str, content: bytes) -> None:
    repository, state = workspace.path / ".git", read_state(workspace)
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_bytes(content)
    with pytest.raises(IntegrityError, match="cannot be read by git; put it back, or have it moved") as caught:
        check_untouched(workspace, workspace.repo(), state)
    assert caught.value.where == str(repository / name) and "--discard-edits" in caught.value.remedy
    first = verify(workspace).disagreements[0]
    assert (first.where, first.problem) == (f".git/{name}", "cannot be read by git")
    kept = discard_edits(workspace, workspace.repo(), state)
    assert kept == [f".git/{name}, in .agent/rescue"]
    check_untouched(workspace, workspace.repo(), state)
    assert verify(workspace).disagreements == () and workspace.repo().head() == state.code.head
    (aside,) = (workspace.agent / "rescue").glob(f"{Path(name).name}.*")
    assert aside.read_bytes() == content and f"was .git/{name}" in (workspace.agent / "rescue/moved.txt").read_text()
    aside.unlink()


def test_the_remedy_by_hand_works(workspace: Workspace) -> None:
    state, main = read_state(workspace), workspace.path / ".git/refs/heads/main"
    main.write_text("")
    main.unlink()
    subprocess.run(["git", "update-ref", "refs/heads/main", state.code.head], cwd=workspace.path, check=True)
    assert verify(workspace).disagreements == ()


def test_a_pipe_in_the_place_of_a_reference_is_not_waited_for(workspace: Workspace) -> None:
    pipe = workspace.path / ".git" / "refs" / "heads" / "pipe"
    os.mkfifo(pipe)
    assert find_broken(workspace.path) == [".git/refs/heads/pipe"]
    pipe.unlink()
