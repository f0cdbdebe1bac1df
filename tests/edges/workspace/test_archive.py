"""An archive of workspaces: what it leaves out, and what it says about."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from agent.core.text.secret_files import may_hold_secret
from agent.edges.workspace.archive import find_private, pack
from agent.edges.workspace.layout import Workspace


def test_an_archive_written_into_its_own_workspace_does_not_hold_itself(tmp_path: Path) -> None:
    workspace = tmp_path / "batch" / "idea"
    workspace.mkdir(parents=True)
    (workspace / "notes.txt").write_text("x")
    pack(workspace / "idea.tar.gz", "batch", [Workspace(workspace)], [])
    with tarfile.open(workspace / "idea.tar.gz") as archive:
        assert archive.getnames() == ["batch/idea", "batch/idea/notes.txt", "batch/batch.json"]


def test_files_that_may_hold_a_secret_are_named(tmp_path: Path) -> None:
    template = tmp_path / ".templates" / "0123456789abcdef"
    for name in (".env", ".gitignore", "conf/api_keys.json", "tokenizer.json", "experiment.py"):
        (template / name).parent.mkdir(parents=True, exist_ok=True)
        (template / name).write_text("x")
    found = list(find_private([Workspace(tmp_path)], [template], str))
    assert found == [f".templates/0123456789abcdef/{name}" for name in (".env", "conf/api_keys.json")]


@pytest.mark.parametrize(
    ("name", "is_private"),
    [(".env.local", True), ("server.pem", True), ("hf_token.txt", True), ("keys.py", False), (".env_notes", False)],
)
def test_names_tell_of_secrets(name: str, is_private: bool) -> None:
    assert may_hold_secret(name) is is_private
