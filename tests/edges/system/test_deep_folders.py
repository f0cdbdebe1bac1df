from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.edges.system.deep_folders import MAX_DEPTH, TooDeep, remove_tree, walk_tree


def dig(folder: Path, levels: int) -> None:
    """Folders within folders, beyond any path's length."""
    place = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=place))
    os.close(place)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("x")
    (folder / "link").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    return folder


def test_every_entry_is_met_once_and_folders_after_what_is_in_them(tree: Path) -> None:
    assert sorted(entry.path for entry in walk_tree(tree)) == ["a", "a/b", "a/b/file", "link", "pipe"]
    paths = [entry.path for entry in walk_tree(tree) if entry.path.startswith("a")]
    assert paths == ["a/b/file", "a/b", "a"]
    assert [entry.path for entry in walk_tree(tree) if entry.is_folder] == ["a/b", "a"]


def test_a_folder_that_is_gone_or_a_link_has_no_entries(tree: Path) -> None:
    assert list(walk_tree(tree / "absent")) == [] and list(walk_tree(tree / "link")) == []


def test_what_cannot_be_told_by_name_is_too_deep(tree: Path) -> None:
    dig(tree / "a", MAX_DEPTH - 1)
    with pytest.raises(TooDeep):
        list(walk_tree(tree))
    (tree / "shallow").mkdir()
    dig(tree / "shallow", MAX_DEPTH - 2)
    assert len(list(walk_tree(tree / "shallow"))) == MAX_DEPTH - 1


def test_a_closed_folder_is_opened_and_walked(tree: Path) -> None:
    (tree / "a").chmod(0)
    assert "a/b/file" in [entry.path for entry in walk_tree(tree)]


def test_any_depth_is_removed_and_nothing_outside(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tree / "a" / "b").chmod(0)
    (tree / "a").chmod(0o500)
    for name in ("deep", "other"):
        (tree / name).mkdir()
        dig(tree / name, 3000)
    remove_tree(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_link_is_no_tree_to_remove(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "absent")
    assert (tree / "a" / "b" / "file").exists()
