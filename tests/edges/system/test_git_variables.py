from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.edges.git.repo import Repo
from agent.edges.system.git_variables import forget_git_variables


def test_variables_of_another_repository_are_forgotten_and_those_of_servers_kept() -> None:
    kept = {
        "GIT_SSH_COMMAND": "ssh -i key",
        "GIT_ASKPASS": "x",
        "GIT_SSL_CAINFO": "/ca",
        "GIT_CONFIG_GLOBAL": "/home/a/.gitconfig",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "url.x.insteadOf",
        "GIT_PYTHON_REFRESH": "quiet",
        "PATH": "/bin",
        "DIGIT_X": "1",
    }
    lost = dict.fromkeys(
        ("GIT_DIR", "GIT_QUARANTINE_PATH", "GIT_ATTR_SOURCE", "GIT_DEFAULT_REF_FORMAT", "GIT_FUTURE"), "x"
    )
    environment = kept | lost
    forget_git_variables(environment)
    assert environment == kept


ODD = {
    "GIT_DEFAULT_HASH": "sha256",
    "GIT_AUTHOR_DATE": "yesterday",
    "GIT_COMMITTER_DATE": "@-1",
    "GIT_QUARANTINE_PATH": "/nowhere",
    "GIT_ATTR_SOURCE": "nothing",
    "GIT_DEFAULT_REF_FORMAT": "reftable",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_ICASE_PATHSPECS": "1",
    "GIT_CEILING_DIRECTORIES": "/",
    "GIT_INDEX_VERSION": "99",
    "GIT_REPLACE_REF_BASE": "refs/heads/",
    "GIT_TEMPLATE_DIR": "/nowhere",
    "GIT_TRACE": "1",
    "GIT_TRACE_SETUP": "1",
    "GIT_REFLOG_ACTION": "x",
    "GIT_IMPLICIT_WORK_TREE": "0",
}


def test_a_repository_is_made_whatever_git_variables_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ODD.items():
        monkeypatch.setenv(name, value)
    forget_git_variables(os.environ)
    repo = Repo(tmp_path)
    repo.create({"a.py": "a = 1\n"}, "Start")
    (commit,) = repo.log()
    assert commit.files == ("a.py",) and len(commit.sha) == 40


def test_a_default_of_another_hash_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    repo = Repo(tmp_path)
    repo.create({"a.py": "a = 1\n"}, "Start")
    assert len(repo.head()) == 40
