from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.edges.system.files import fsync_folder, write_durably


def test_content_is_written_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "with 'quotes' and spaces \u00e9.bin"
    content = bytes(range(256)) * 5000
    write_durably(path, content)
    assert path.read_bytes() == content
    write_durably(path, b"")
    assert path.read_bytes() == b""
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["a" * 255, "\u00e9" * 127])
def test_a_file_with_the_longest_name_is_written(tmp_path: Path, name: str) -> None:
    write_durably(tmp_path / name, b"a")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"a")]


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    path = tmp_path / "link"
    path.symlink_to("target")
    write_durably(path, b"new")
    assert not path.is_symlink() and path.read_bytes() == b"new"
    assert (tmp_path / "target").read_text() == "mine"


def test_a_full_disk_leaves_the_old_content_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
        with pytest.raises(OSError, match="too large"):
            write_durably(path, b"n" * 1001)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_in_the_way_raises_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        write_durably(tmp_path / "file", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_durably(tmp_path / "no" / "file", b"new")
    with pytest.raises(FileNotFoundError):
        fsync_folder(tmp_path / "no")


def test_every_kill_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([65 + n]) * 300_000 for n in range(2)]
    write_durably(path, contents[0])
    code = (
        "import sys, itertools\nfrom pathlib import Path\nfrom agent.edges.system.files import write_durably\n"
        "contents = [bytes([65 + n]) * 300_000 for n in range(2)]\nprint('on', flush=True)\n"
        "for content in itertools.cycle(contents): write_durably(Path(sys.argv[1]), content)\n"
    )
    for delay_s in (0.0, 0.013, 0.029):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline() == b"on\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(delay_s)
        process.kill()
        process.wait()
        process.stdout.close()
        assert path.read_bytes() in contents


def test_content_and_name_reach_the_disk_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a power cut would show a fault, so that the test looks at the order of the calls."""
    calls: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def record_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        calls.append("fsync " + ("folder" if name == tmp_path.name else "content"))
        fsync(descriptor)

    def record_rename(path: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "rename", record_rename)
    write_durably(tmp_path / "file", b"content")
    assert calls == ["fsync content", "rename", "fsync folder"]


def test_a_kill_leaves_its_temporary_file_in_the_scratch_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, place = tmp_path / "scratch", tmp_path / "place"
    scratch.mkdir()
    place.mkdir()
    seen: list[list[Path]] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append([*scratch.iterdir(), *place.iterdir()]))
    write_durably(place / "file", b"new", scratch=scratch)
    assert [path.parent for path in seen[0]] == [scratch]
    assert (place / "file").read_bytes() == b"new" and not list(scratch.iterdir())


def test_a_scratch_folder_is_made_where_it_is_missing(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"new", scratch=tmp_path / "a" / "b")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert list((tmp_path / "a" / "b").iterdir()) == []
