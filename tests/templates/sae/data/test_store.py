"""sealed/data/store.py with real processes, real locks and real kills."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from data import store as cache
from data.store import COMPLETE, Damaged, NoRoom, Store, StoreEntry, reading

from tests.templates.sae.conftest import SEALED

KEY, OTHER = "a" * 24, "b" * 24
MIB = 1 << 20


def writer(size: int = 1000, fill: bytes = b"x") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "activations.bin").write_bytes(fill * size)
        (folder / "meta.json").write_text("{}")

    return make


def never(folder: Path) -> None:
    raise AssertionError("made although it is there")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> Store:
    return Store(tmp_path / "store", 100 * MIB, said.append)


@contextmanager
def process(store: Store, body: str) -> Iterator[subprocess.Popen[str]]:
    """Another process with `store` open, killed at the end of the block."""
    code = (
        "import sys, time, os; from pathlib import Path; from data.store import *\n"
        f"store = Store(Path({str(store.root)!r}), {store.limit}, lambda line: print(line, flush=True))\n{body}"
    )
    environment = {**os.environ, "PYTHONPATH": str(SEALED)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


SLOW = """
def make(folder):
    (folder / "activations.bin").write_bytes(b"half")
    print("writing", flush=True)
    time.sleep({seconds})
    (folder / "activations.bin").write_bytes(b"whole")
entry = store.obtain("training", "{key}", 1000, make)
print("made" if entry.made else "found", flush=True)
"""


def leftovers(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.glob("*/.*"))


# ------------------------------------------------------------------------------------------------------ made and found


def test_an_entry_is_made_once_and_then_found(store: Store) -> None:
    made = store.obtain("training", KEY, 1000, writer())
    found = store.obtain("training", KEY, 1000, never)
    assert made == StoreEntry(store.root / "training" / KEY, 1002, made=True)
    assert found == StoreEntry(made.folder, 1002, made=False)
    assert {path.name for path in made.folder.iterdir()} == {"activations.bin", "meta.json", COMPLETE}
    assert not leftovers(store)


def test_a_maker_that_fails_leaves_nothing(store: Store) -> None:
    def fail(folder: Path) -> None:
        (folder / "activations.bin").write_bytes(b"half")
        raise KeyError("no")

    with pytest.raises(KeyError):
        store.obtain("training", KEY, 1000, fail)
    assert store.find("training", KEY) is None and not leftovers(store)
    assert store.obtain("training", KEY, 1000, writer()).made


def test_a_killed_maker_leaves_no_entry_and_the_next_one_cleans_up(store: Store) -> None:
    with process(store, SLOW.format(key=KEY, seconds=60)) as running:
        assert line(running) == "writing"
        assert [name.startswith(f".making-{KEY}") for name in leftovers(store)] == [True]
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert store.find("training", KEY) is None and leftovers(store)
    assert store.obtain("training", OTHER, 1000, writer()).made
    assert not leftovers(store), "another key's maker cleans up as well"
    assert store.obtain("training", KEY, 1000, writer()).made


def test_what_another_process_is_making_is_not_cleaned_up(store: Store) -> None:
    with process(store, SLOW.format(key=KEY, seconds=1.0)) as running:
        assert line(running) == "writing"
        assert store.obtain("training", OTHER, 1000, writer()).made
        assert line(running) == "made"
    assert store.obtain("training", KEY, 1000, never).folder.joinpath("activations.bin").read_bytes() == b"whole"


def test_two_processes_at_once_make_it_once(store: Store) -> None:
    with process(store, SLOW.format(key=KEY, seconds=0.7)) as first:
        assert line(first) == "writing"
        with process(store, SLOW.format(key=KEY, seconds=0.7)) as second:
            assert "waiting for it" in line(second)
            assert line(first) == "made"
            assert line(second) == "found"


# -------------------------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda folder: os.truncate(folder / "activations.bin", 999), "has 999 bytes, not 1000"),
        (lambda folder: flip(folder / "activations.bin"), "another checksum"),
        (lambda folder: (folder / "meta.json").unlink(), "meta.json is missing"),
        (lambda folder: (folder / COMPLETE).unlink(), "never finished"),
        (lambda folder: (folder / COMPLETE).write_text('{"files": {"activ'), "cannot be read"),
        (lambda folder: (folder / COMPLETE).write_text("[]"), "cannot be read"),
    ],
)
def test_damage_is_seen_and_mended(
    store: Store,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    small: bool,
    harm: Callable[[Path], None],
    what: str,
) -> None:
    monkeypatch.setattr(cache, "CHEAP_BYTES", MIB if small else 0)
    folder = store.obtain("training", KEY, 1000, writer()).folder
    assert store.find("training", KEY)
    harm(folder)
    assert store.find("training", KEY) is None
    assert what in said[-1]
    assert store.obtain("training", KEY, 1000, writer()).made
    assert (folder / "activations.bin").read_bytes() == b"x" * 1000 and not leftovers(store)


def flip(path: Path) -> None:
    with path.open("r+b") as f:
        f.seek(500)
        f.write(b"y")


def test_a_byte_flipped_behind_the_clock_is_seen_where_the_entry_is_small(store: Store) -> None:
    path = store.obtain("training", KEY, 1000, writer()).folder / "activations.bin"
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.find("training", KEY) is None


def test_a_large_entry_is_read_again_only_after_its_time_changed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHEAP_BYTES", 0)
    path = store.obtain("training", KEY, 1000, writer()).folder / "activations.bin"
    made_at = path.stat().st_mtime_ns
    read: list[Path] = []
    real = cache.digest
    monkeypatch.setattr(cache, "digest", lambda path: read.append(path) or real(path))
    assert store.find("training", KEY) and not read
    os.utime(path)
    assert store.find("training", KEY) and read == [path]
    assert path.stat().st_mtime_ns == made_at
    assert store.find("training", KEY) and read == [path]


# ------------------------------------------------------------------------------------------------------------ eviction


def make_three(store: Store) -> list[Path]:
    folders = []
    for age, key in enumerate(("c" * 24, "d" * 24, "e" * 24)):
        folders.append(store.obtain("training", key, 30 * MIB, writer(30 * MIB)).folder)
        os.utime(folders[-1] / COMPLETE, (age + 1, age + 1))
    return folders


def test_what_was_asked_for_longest_ago_goes_first(store: Store, said: list[str]) -> None:
    first, second, third = make_three(store)
    assert store.find("training", first.name), "asking for it makes it the youngest"
    store.obtain("training", KEY, 30 * MIB, writer(30 * MIB))
    assert [path.exists() for path in (first, second, third)] == [True, False, True]
    assert sum("making room" in text for text in said) == 1


def test_nothing_goes_while_there_is_room(store: Store) -> None:
    folders = make_three(store)
    store.obtain("training", KEY, 9 * MIB, writer(9 * MIB))
    assert all(path.exists() for path in folders)


def test_an_entry_that_is_read_stays(store: Store) -> None:
    first, second, third = make_three(store)
    body = f"with reading(Path({str(first)!r})):\n    print('reading', flush=True)\n    time.sleep(60)"
    with process(store, body) as running:
        assert line(running) == "reading"
        store.obtain("training", KEY, 30 * MIB, writer(30 * MIB))
        assert [path.exists() for path in (first, second, third)] == [True, False, True]
        running.kill()
        running.wait()
    store.obtain("training", OTHER, 30 * MIB, writer(30 * MIB))
    assert not first.exists(), "a dead reader protects nothing"


def test_where_all_is_in_use_the_store_says_so(store: Store) -> None:
    folders = make_three(store)
    with reading(folders[0]), reading(folders[1]), reading(folders[2]), pytest.raises(NoRoom) as caught:
        store.obtain("training", KEY, 30 * MIB, writer(30 * MIB))
    assert (caught.value.limit, caught.value.needed) == (store.limit, 30 * MIB)
    assert all(path.exists() for path in folders) and not leftovers(store)


def test_what_another_process_is_making_counts(store: Store) -> None:
    slow = SLOW.format(key=KEY, seconds=60).replace("1000, make", f"{90 * MIB}, make")
    with process(store, slow) as running:
        assert line(running) == "writing"
        with pytest.raises(NoRoom):
            store.obtain("training", OTHER, 30 * MIB, writer(30 * MIB))
    assert store.obtain("training", OTHER, 30 * MIB, writer(30 * MIB)).made


def test_a_full_disk_is_seen_before_writing(store: Store) -> None:
    store.limit = 1 << 60
    free = shutil.disk_usage(store.root.parent).free
    with pytest.raises(NoRoom) as caught:
        store.obtain("training", KEY, free + (1 << 40), never)
    assert caught.value.limit is None and caught.value.free <= free + MIB and caught.value.needed > free


def test_a_disk_that_fills_up_meanwhile_is_the_same_error(store: Store) -> None:
    def fill(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NoRoom):
        store.obtain("training", KEY, 1000, fill)
    assert not leftovers(store)


# ------------------------------------------------------------------------------------------------------------- readers


def test_reading_what_is_not_finished_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Damaged), reading(tmp_path / "nowhere"):
        pass


def test_finding_takes_no_time(store: Store) -> None:
    store.obtain("training", KEY, 30 * MIB, writer(30 * MIB))
    started = time.monotonic()
    assert store.find("training", KEY)
    assert time.monotonic() - started < 0.3


def test_the_list_names_every_file(store: Store) -> None:
    def make(folder: Path) -> None:
        writer()(folder)
        (folder / "hub" / "deep").mkdir(parents=True)
        (folder / "hub" / "deep" / "f").write_bytes(b"1")

    folder = store.obtain("evaluation", KEY, 1000, make).folder
    assert set(json.loads((folder / COMPLETE).read_text())["files"]) == {"activations.bin", "meta.json", "hub/deep/f"}
    (folder / "hub" / "deep" / "f").write_bytes(b"2")
    assert store.find("evaluation", KEY) is None
