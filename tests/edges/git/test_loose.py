from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.edges.git.loose import read_branch
from agent.edges.git.repo import BRANCH, Repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path)
    repo.create({"a.py": "A = 1\n"}, "Begin")
    return repo


def pack(repository: Path) -> None:
    subprocess.run(["git", "-C", repository.parent, "pack-refs", "--all"], check=True)


def lead_elsewhere(repository: Path) -> None:
    """Git allows a branch to be another name of a branch."""
    (repository / "refs/heads/other").write_bytes((repository / BRANCH).read_bytes())
    (repository / BRANCH).write_text("ref: refs/heads/other\n")


def detach(repository: Path) -> None:
    (repository / "HEAD").write_bytes((repository / BRANCH).read_bytes())


def test_the_branch_is_read_without_a_process(repo: Repo) -> None:
    first = repo.head()
    second = repo.commit({"a.py": "A = 2\n"}, "Go on")
    assert first != second == repo.head() == read_branch(repo.folder / ".git", BRANCH)


@pytest.mark.parametrize("change", [pack, lead_elsewhere, detach])
def test_git_is_asked_for_what_is_not_plain(change: Callable[[Path], None], repo: Repo) -> None:
    head = repo.head()
    change(repo.folder / ".git")
    assert read_branch(repo.folder / ".git", BRANCH) == "" and repo.head() == head


@pytest.mark.parametrize(
    ("name", "content"),
    [("HEAD", ""), ("HEAD", "ref: \n"), (BRANCH, ""), (BRANCH, "3f2c\n"), (BRANCH, "g" * 40 + "\n")],
)
def test_what_is_broken_is_no_commit(name: str, content: str, repo: Repo) -> None:
    (repo.folder / ".git" / name).write_text(content)
    assert read_branch(repo.folder / ".git", BRANCH) == "" == repo.head()


@pytest.mark.parametrize("name", ["HEAD", BRANCH])
def test_a_pipe_in_the_place_of_a_branch_is_not_waited_for(name: str, repo: Repo) -> None:
    (repo.folder / ".git" / name).unlink()
    os.mkfifo(repo.folder / ".git" / name)
    assert read_branch(repo.folder / ".git", BRANCH) == ""


def test_where_there_is_no_repository_there_is_no_branch(tmp_path: Path) -> None:
    assert read_branch(tmp_path / ".git", BRANCH) == ""
