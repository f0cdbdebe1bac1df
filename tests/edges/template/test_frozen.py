from __future__ import annotations

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.edges.template.frozen import check_frozen, freeze_template, hash_folder, unplant
from agent.edges.template.load import load_template
from agent.errors import IntegrityError, UsageError
from tests.paths import QUADRATIC


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(QUADRATIC, tmp_path / "a template's folder" / "quadratic")


def test_freezing_copies_everything_once(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    copy = freeze_template(folder, store)
    assert copy == store / hash_folder(folder) and hash_folder(copy) == copy.name
    assert (copy / "sealed" / "evaluate.py").read_bytes() == (folder / "sealed" / "evaluate.py").read_bytes()
    stamp = copy.stat()
    assert freeze_template(folder, store) == copy == freeze_template(copy, store)
    assert copy.stat().st_ino == stamp.st_ino and [p.name for p in store.iterdir()] == [copy.name]


def test_changing_the_template_makes_another_copy_and_leaves_the_first(folder: Path, tmp_path: Path) -> None:
    first = freeze_template(folder, tmp_path / "store")
    (folder / "experiment.py").write_text("changed = 1\n")
    second = freeze_template(folder, tmp_path / "store")
    assert first != second
    check_frozen(first)
    check_frozen(second)


def test_every_byte_and_every_path_counts(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    (folder / "sub").mkdir(parents=True)
    (folder / "experiment.py").write_bytes(b"ab")
    (folder / "sub" / "b.py").write_bytes(b"c")
    hashes = {hash_folder(folder)}

    def expect_another() -> None:
        size = len(hashes)
        hashes.add(hash_folder(folder))
        assert len(hashes) == size + 1

    for content in (b"aB", b"\x00b", b"abc", b"a", b"", b"ab\n"):
        (folder / "experiment.py").write_bytes(content)
        expect_another()
    (folder / "sub" / "b.py").rename(folder / "sub" / "B.py")
    expect_another()
    (folder / "sub" / "B.py").rename(folder / "b.py")
    expect_another()
    (folder / "empty").touch()
    expect_another()
    (folder / os.fsdecode(b"not UTF-8 \xff")).touch()
    expect_another()
    (folder / "new\nline").touch()
    expect_another()


def test_the_place_of_the_folder_and_what_python_leaves_do_not_count(folder: Path, tmp_path: Path) -> None:
    before = hash_folder(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    for name in ("__pycache__/a.pyc", "sealed/__pycache__/b.pyc", ".git/config", ".venv/bin/python"):
        (moved / name).parent.mkdir(parents=True, exist_ok=True)
        (moved / name).write_text("x")
    assert hash_folder(moved) == before
    copy = freeze_template(moved, tmp_path / "store")
    assert not list(copy.rglob("__pycache__")) and not (copy / ".git").exists()


def test_links_are_frozen_as_what_they_name(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "datasets"
    data.mkdir()
    (data / "train.bin").write_bytes(b"1")
    (folder / "data").symlink_to(data)
    (folder / "one").symlink_to(data / "train.bin")
    (folder / ".#experiment.py").symlink_to("user@host.1234")  # an editor's lock
    copy = freeze_template(folder, tmp_path / "store")
    check_frozen(copy)
    assert load_template(copy).hash == copy.name == hash_folder(folder)
    assert (copy / "data" / "train.bin").read_bytes() == b"1" and not (copy / "one").is_symlink()
    (data / "train.bin").write_bytes(b"2")
    assert hash_folder(folder) != copy.name
    check_frozen(copy)


def make_writable(copy: Path) -> None:
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755)


def test_files_of_a_frozen_copy_are_read_only(folder: Path, tmp_path: Path) -> None:
    copy = freeze_template(folder, tmp_path / "store")
    assert {stat.S_IMODE(path.stat().st_mode) for path in copy.rglob("*") if path.is_file()} == {0o444}
    assert stat.S_IMODE((folder / "experiment.py").stat().st_mode) & 0o200


def test_compiled_files_planted_beside_sealed_sources_are_removed(folder: Path, tmp_path: Path) -> None:
    copy = freeze_template(folder, tmp_path / "store")
    make_writable(copy)
    elsewhere = tmp_path / "precious"
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    (copy / "sealed" / "__pycache__" / "sub").mkdir(parents=True)
    (copy / "sealed" / "__pycache__" / "evaluate.cpython-311.pyc").write_bytes(b"forged")
    (copy / "sealed" / "__pycache__" / "link").symlink_to(elsewhere / "mine")
    (copy / "profiles" / "__pycache__").symlink_to(elsewhere)
    check_frozen(copy)  # the hash passes them over
    unplant(copy)
    assert not [p for p in copy.rglob("*") if p.name == "__pycache__"]
    assert (elsewhere / "mine").exists()
    (copy / "sealed" / "__pycache__").mkdir()
    freeze_template(folder, tmp_path / "store")  # a launch that finds the copy prepares data with it
    assert not (copy / "sealed" / "__pycache__").exists()


def test_compiled_files_that_two_ideas_remove_at_once_are_no_failure(folder: Path, tmp_path: Path) -> None:
    copy = freeze_template(folder, tmp_path / "store")
    for _ in range(20):
        (copy / "sealed" / "__pycache__").mkdir()
        for number in range(100):
            (copy / "sealed" / "__pycache__" / f"{number}.pyc").touch()
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(unplant, [copy] * 4)) == [None] * 4
        assert not (copy / "sealed" / "__pycache__").exists()
    check_frozen(copy)


@pytest.mark.parametrize("change", ["add", "alter", "remove", "all"])
def test_a_frozen_copy_that_changed_is_refused_even_by_a_new_launch(folder: Path, tmp_path: Path, change: str) -> None:
    copy = freeze_template(folder, tmp_path / "store")
    make_writable(copy)
    match change:
        case "add":
            (copy / "new.txt").touch()
        case "alter":
            (copy / "plot.py").write_text("")
        case "remove":
            (copy / "plot.py").unlink()
        case "all":
            shutil.rmtree(copy)
    with pytest.raises(IntegrityError, match="is missing" if change == "all" else "was changed"):
        check_frozen(copy)
    if change != "all":
        with pytest.raises(IntegrityError, match="was changed"):
            freeze_template(folder, tmp_path / "store")


def test_two_launches_that_freeze_at_once_agree(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "store"
    copytree = shutil.copytree

    def another_is_faster(*arguments: object, **options: object) -> object:
        monkeypatch.undo()
        copytree(folder, store / hash_folder(folder))
        return copytree(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(shutil, "copytree", another_is_faster)
    copy = freeze_template(folder, store)
    assert [p.name for p in store.iterdir()] == [copy.name]
    check_frozen(copy)


def test_a_copy_that_fails_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(UsageError, match="pipe cannot be copied"):
        freeze_template(folder, tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []
