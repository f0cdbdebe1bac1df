from __future__ import annotations

from pathlib import Path

from agent.edges.git.repo import Repo
from agent.effects.commit import commit

TRAILERS = {"Run": "1", "Step-Id": "0123abcd"}


def test_a_commit_that_was_made_before_a_crash_keeps_its_own_words(tmp_path: Path) -> None:
    """A version of the program that words notes.txt otherwise may have been killed after its commit."""
    repo = Repo(tmp_path)
    repo.create({"notes.txt": "# Notes\n"}, "Start")
    made = commit(repo, {"notes.txt": "# Notes\nas 0.1 words it\n"}, "Run 1: record the results", TRAILERS)
    assert commit(repo, {"notes.txt": "# Notes\nas it is worded today\n"}, "Run 1: record", TRAILERS) == made
    assert (tmp_path / "notes.txt").read_text() == "# Notes\nas 0.1 words it\n"
    assert repo.dirty_files() == [] and not list((tmp_path / ".git" / "refs").glob("rescue/*"))
