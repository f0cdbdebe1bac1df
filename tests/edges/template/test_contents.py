"""Digests of data and sources by their contents."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.edges.template import contents
from agent.edges.template.contents import digest_place, walk_files
from agent.edges.template.frozen import LARGE_BYTES


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "v1").mkdir(parents=True)
    (folder / "v2").mkdir()
    (folder / "v1" / "train.csv").write_text("1\n")
    (folder / "v2" / "train.csv").write_text("2\n")
    (folder / "zz").symlink_to("v1")
    return folder


def test_a_link_is_what_it_leads_to(data: Path) -> None:
    """Though the folder that it names was met before."""
    before = digest_place(data)
    (data / "zz").unlink()
    (data / "zz").symlink_to("v2")
    after = digest_place(data)
    (data / "zz").unlink()
    (data / "zz").mkdir()
    (data / "zz" / "train.csv").write_text("2\n")
    assert before != after == digest_place(data)


def test_links_in_a_circle_and_to_nowhere_end_the_walk(data: Path) -> None:
    before = digest_place(data)
    (data / "v1" / "up").symlink_to("..")
    (data / "lost").symlink_to("nowhere")
    assert digest_place(data) == before
    assert len(list(walk_files(data))) == 3


def test_hidden_files_count_where_a_run_can_read_them(data: Path) -> None:
    (data / ".hidden").mkdir()
    (data / ".hidden" / "x").write_text("x")
    assert len(list(walk_files(data))) == 3 and len(list(walk_files(data, hidden=True))) == 4
    before = digest_place(data)
    (data / ".cache").mkdir()
    for name in (".cache/lock", ".train.csv.swp", ".DS_Store", ".#train.csv", ".nfs0001"):
        (data / name).write_text("comes and goes")
    assert digest_place(data) == before


@pytest.mark.parametrize("at", [0, 777_777, LARGE_BYTES * 3 - 1])
def test_every_byte_of_a_large_file_counts_whatever_its_size_and_time_say(
    data: Path, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SETTLED_NS", -1)
    big, store = data / "big.bin", tmp_path / "cache" / "digests.json"
    with big.open("wb") as file:
        file.truncate(LARGE_BYTES * 3)
    before, status = digest_place(data, store), big.stat()
    assert digest_place(data, store) == before == digest_place(data)
    with big.open("r+b") as file:
        file.seek(at)
        file.write(b"x")
    os.utime(big, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest_place(data, store) == digest_place(data) != before


def test_a_large_file_is_read_once(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big, store = data / "big.bin", tmp_path / "digests.json"
    with big.open("wb") as file:
        file.truncate(LARGE_BYTES)
    digest_place(data, store)
    assert not store.exists()  # it may still be changed within the tick of its time
    monkeypatch.setattr(contents, "SETTLED_NS", -1)
    first = digest_place(data, store)
    kept = store.read_text()
    store.write_text(kept.replace(kept.split('"')[3][:8], "00000000"))
    assert digest_place(data, store) != first  # the remembered digest was taken
    for bad in ("", "[]", '{"a": 1}', "\0"):
        store.write_text(bad)
        assert digest_place(data, store) == first


def test_one_file_and_a_place_that_is_not_there_have_a_digest(data: Path) -> None:
    assert digest_place(data / "v1" / "train.csv") != digest_place(data / "v2" / "train.csv")
    assert digest_place(data / "nowhere") == ""
