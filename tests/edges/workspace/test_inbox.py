"""Words on disk until the journal has them: once, in order, whatever crashes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.core.journal.events import Told
from agent.core.journal.words import MAX_CHARS
from agent.edges.workspace.inbox import INBOX, drop_word, put_word, take_in
from agent.errors import UsageError

NOW = 1_700_000_000.5


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    folder = tmp_path / "a b" / ".agent"
    folder.mkdir(parents=True)
    return folder


def put(agent: Path, text: str, now: float = NOW, token: str = "00000001") -> str:
    return put_word(agent, text, now=now, token=token)


def taken(agent: Path, known: set[str] | None = None) -> list[Told]:
    found: list[Told] = []
    take_in(agent, known or set(), found.append)
    return found


def waiting(agent: Path) -> list[str]:
    return sorted(p.name for p in (agent / INBOX).iterdir())


def test_a_word_is_taken_in_once(agent: Path) -> None:
    id = put(agent, "Use “half” the rate.\x1b[2J\nÄnd log it.\r\n")
    assert id == "1700000000500-00000001"
    assert taken(agent) == [Told(id, "Use “half” the rate.\nÄnd log it.")]
    assert taken(agent) == [] and waiting(agent) == []


def test_words_come_in_the_order_in_which_they_were_told(agent: Path) -> None:
    put(agent, "second", NOW + 1, "00000000")
    put(agent, "first", NOW, "ffffffff")
    put(agent, "first too", NOW, "fffffffe")
    assert [told.text for told in taken(agent)] == ["first too", "first", "second"]


def test_a_crash_between_journal_and_removal_tells_nothing_twice(agent: Path) -> None:
    id = put(agent, "once")
    assert taken(agent, {id}) == [] and waiting(agent) == []


def test_a_journal_that_cannot_be_written_leaves_the_word(agent: Path) -> None:
    put(agent, "once")

    def fail(told: Told) -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        take_in(agent, set(), fail)
    assert [told.text for told in taken(agent)] == ["once"]


def test_a_workspace_that_was_never_told_anything_has_no_inbox(agent: Path) -> None:
    assert taken(agent) == [] and not (agent / INBOX).exists()


def test_half_written_and_foreign_files_are_left_alone(agent: Path) -> None:
    put(agent, "whole")
    (agent / INBOX / ".1700000000500-00000002.txt.77.tmp").write_text("hal")
    (agent / INBOX / "README.txt").write_text("mine")
    assert [told.text for told in taken(agent)] == ["whole"]
    assert waiting(agent) == [".1700000000500-00000002.txt.77.tmp", "README.txt"]


def test_links_and_huge_files_under_a_words_name_tell_nothing(agent: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("key")
    (agent / INBOX).mkdir()
    (agent / INBOX / "1700000000500-00000001.txt").symlink_to(secret)
    (agent / INBOX / "1700000000500-00000002.txt").write_text("x" * (MAX_CHARS * 4 + 1))
    os.mkfifo(agent / INBOX / "1700000000500-00000003.txt")
    (agent / INBOX / "1700000000500-00000004.txt").write_bytes(b"\xff\x00 read\x07")
    assert [told.text for told in taken(agent)] == ["� read"]
    assert waiting(agent) == [] and secret.read_text() == "key"


@pytest.mark.parametrize("text", ["", "  \n", "\x00\x1b", "x" * (MAX_CHARS + 1)])
def test_a_text_that_cannot_be_used_is_refused(agent: Path, text: str) -> None:
    with pytest.raises(UsageError, match="tell: "):
        put(agent, text)
    assert not (agent / INBOX).exists()


def test_a_word_can_be_taken_back(agent: Path) -> None:
    drop_word(agent, put(agent, "never mind"))
    assert taken(agent) == []
