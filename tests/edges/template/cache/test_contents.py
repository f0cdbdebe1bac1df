"""The cache: what lies there and who uses it, and a removal that touches nothing else."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.edges.template.cache import claim as claims
from agent.edges.template.cache.claim import claim, claimed_path, hold_alone, release_claims
from agent.edges.template.cache.contents import EntryKind, Removal, find_entries, find_users, remove_entry, with_users

ENV, RUNS = "0123456789abcdef", "c" * 16


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with an environment, one that was not finished, data, and things of somebody else."""
    place = tmp_path / "the cache"
    for name in (f"{ENV}/bin", "fedcba9876543210/bin", "data/sae/training", f"baselines/{RUNS}/run", "mine", "b" * 16):
        (place / name).mkdir(parents=True)
    (place / ENV / ".complete").write_text("{}")
    (place / ENV / "bin" / "python").symlink_to(sys.executable)
    (place / "data/sae/training/x.bin").write_bytes(b"x" * 1000)
    (place / "mine" / "thesis.txt").write_text("dear")
    (place / ("a" * 16)).symlink_to(place / "mine")
    (place / "data/sae.use").touch()
    (place / "digests.json").write_text("{}")
    return place


def kinds(cache: Path) -> dict[str, EntryKind]:
    return {entry.path.name: entry.kind for entry in find_entries(cache, cache / "data")}


def test_only_what_this_program_made_is_listed(cache: Path) -> None:
    assert kinds(cache) == {
        ENV: EntryKind.ENVIRONMENT,
        "fedcba9876543210": EntryKind.UNFINISHED,
        "sae": EntryKind.DATA,
        RUNS: EntryKind.BASELINES,
    }
    (cache / "data").rename(cache / "elsewhere")
    (cache / "data").symlink_to(cache / "elsewhere")
    assert "sae" not in kinds(cache)
    assert find_entries(cache / "none", cache / "none" / "data") == []


def test_data_of_somebody_else_in_the_same_folder_are_passed_over(cache: Path) -> None:
    for name in ("data/imagenet/train", "data/old", "baselines/papers"):
        (cache / name).mkdir(parents=True)
    (cache / "data/old/store.lock").touch()
    assert {"sae", "old", RUNS} < kinds(cache).keys() and not {"imagenet", "papers"} & kinds(cache).keys()


def test_users_count_for_the_entry_in_which_a_file_of_theirs_lies(cache: Path) -> None:
    entries = find_entries(cache, cache / "data")
    found = with_users(entries, {cache / ENV / "bin/python": ["template a"], cache / "data/sae": ["b"]})
    assert {one.path.name: one.used_by for one in found if one.used_by} == {ENV: ("template a",), "sae": ("b",)}
    assert all(one.used_by == ("all",) for one in with_users(entries, {cache: ["all"]}))


def test_a_running_process_keeps_an_entry(cache: Path) -> None:
    (entry,) = (one for one in find_entries(cache, cache / "data") if one.path.name == ENV)
    command = [str(cache / ENV / "bin" / "python"), "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert find_users([entry]) == {entry.path: [f"process {process.pid}"]}
        assert remove_entry(entry) is Removal.IN_USE and entry.path.is_dir()
        process.communicate(b"\n")
    assert remove_entry(entry) is Removal.REMOVED


def test_a_removal_follows_no_link_and_leaves_the_rest(cache: Path) -> None:
    (cache / ENV / "lib").symlink_to(cache / "mine")
    (cache / ENV / "closed").mkdir(mode=0o500)
    for entry in find_entries(cache, cache / "data"):
        assert remove_entry(entry) is Removal.REMOVED
    left = {path.name for path in cache.iterdir()}
    assert left == {"a" * 16, "b" * 16, "baselines", "data", "digests.json", "mine"}
    assert (cache / "mine" / "thesis.txt").read_text() == "dear" and kinds(cache) == {}


def test_an_interrupted_removal_is_ended_by_the_next(cache: Path) -> None:
    (cache / ENV).rename(cache / f".gone.{ENV}.4711")
    (entry,) = (one for one in find_entries(cache, cache / "data") if one.kind is EntryKind.GONE)
    assert remove_entry(entry) is Removal.REMOVED and not entry.path.exists()


def test_an_entry_that_is_claimed_or_built_stays(cache: Path) -> None:
    (entry,) = (one for one in find_entries(cache, cache / "data") if one.path.name == ENV)
    try:
        claim(entry.path)
        assert remove_entry(entry) is Removal.IN_USE
    finally:
        release_claims()
    lock = os.open(f"{entry.path}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert remove_entry(entry) is Removal.IN_USE
    os.close(lock)
    assert remove_entry(entry) is Removal.REMOVED
    assert not list(cache.glob(f"{ENV}*"))  # its claim and lock went with it


def test_what_was_removed_just_before_the_claim_is_made_again(cache: Path) -> None:
    made = []

    def find() -> Path:
        if made:
            (cache / ENV / "bin").mkdir(parents=True, exist_ok=True)
            (cache / ENV / "bin" / "tool").touch()
        made.append(1)
        return cache / ENV / "bin" / "tool"

    try:
        assert claimed_path(find, cache).exists() and len(made) == 2
        assert claimed_path(lambda: Path(sys.executable), cache) == Path(sys.executable)
    finally:
        release_claims()


def test_a_claim_on_a_file_that_went_with_its_entry_is_made_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, first = cache / ENV, []
    flock = fcntl.flock

    def remove_first(descriptor: int, how: int) -> None:
        if not first:
            first.append(1)
            claims.claim_of(entry).unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    try:
        claim(entry)
        with hold_alone(entry) as is_free:
            assert not is_free
    finally:
        release_claims()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_keeps_its_entries(cache: Path) -> None:
    (entry,) = (one for one in find_entries(cache, cache / "data") if one.path.name == ENV)
    cache.chmod(0o500)
    try:
        claim(entry.path)
        assert remove_entry(entry) is Removal.FAILED and entry.path.is_dir()
    finally:
        cache.chmod(0o700)
        release_claims()
