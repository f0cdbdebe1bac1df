from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.edges.system.untrusted import Untrusted, read_untrusted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("key")
    folder = tmp_path / "work" / "run 3"
    folder.mkdir(parents=True)
    return folder / "final_info.json"


def problem_of(path: Path, max_bytes: int = 100, within: Path | None = None) -> str:
    found = read_untrusted(path, max_bytes, within=within)
    assert isinstance(found, Untrusted) and found.path == path
    return found.problem


def test_regular_file_is_read(file: Path) -> None:
    file.write_bytes(b"\xff{}")
    assert read_untrusted(file, 3) == b"\xff{}"


def test_absent_file_or_folder_is_none(file: Path) -> None:
    assert read_untrusted(file, 100) is None
    assert read_untrusted(file.parent / "no" / "where.json", 100, within=file.parent) is None


def test_symbolic_link_is_not_followed(file: Path) -> None:
    file.symlink_to("../../secret")
    assert "symbolic link" in problem_of(file)


def test_symbolic_link_as_parent_is_not_followed(file: Path, tmp_path: Path) -> None:
    (tmp_path / "final_info.json").write_text("key")
    file.parent.rmdir()
    file.parent.symlink_to(tmp_path)
    assert "symbolic link" in problem_of(file)


def test_symbolic_link_further_up_is_not_followed(file: Path, tmp_path: Path) -> None:
    deep = file.parent / "a" / "b" / "c.json"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.json").write_text("key")
    (file.parent / "a").symlink_to(tmp_path)
    assert "symbolic link" in problem_of(deep, within=file.parent)


def test_links_above_the_trusted_folder_are_fine(file: Path, tmp_path: Path) -> None:
    file.write_text("{}")
    (tmp_path / "alias").symlink_to("work")
    assert read_untrusted(tmp_path / "alias" / "run 3" / file.name, 100) == b"{}"


def test_fifo_does_not_block(file: Path) -> None:
    os.mkfifo(file)
    assert problem_of(file) == "is not a regular file"


def test_folder_is_refused(file: Path) -> None:
    file.mkdir()
    assert problem_of(file) == "is not a regular file"


def test_hard_link_is_refused(file: Path, tmp_path: Path) -> None:
    os.link(tmp_path / "secret", file)
    assert problem_of(file) == "has 2 links, and one is allowed"


def test_huge_file_is_refused_unread(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(2**40)
    assert problem_of(file) == "is larger than 100 bytes"


def test_endless_special_file_is_refused() -> None:
    assert problem_of(Path(f"/proc/{os.getpid()}/maps"), 10) == "is larger than 10 bytes"  # its size is given as 0


def test_way_out_of_the_folder_is_refused(file: Path, tmp_path: Path) -> None:
    assert "inside" in problem_of(tmp_path / "work" / ".." / "secret", within=tmp_path)
    assert "inside" in problem_of(tmp_path / "secret", within=tmp_path / "work")
