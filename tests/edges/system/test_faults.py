from __future__ import annotations

import errno
import resource
import signal
from pathlib import Path

import pytest

from agent.edges.system.faults import find_fault, is_machine_fault, say_fault


@pytest.mark.parametrize(
    ("problem", "number"),
    [
        ("error: file write error: No space left on device", errno.ENOSPC),
        ("fatal: unable to create '/w/.git/index.lock': Read-only file system", errno.EROFS),
        ("error: unable to read 1a2b: Input/output error", errno.EIO),
        ("fatal: not a valid object name", None),
        ("fatal: sha1 file '.git/index.lock' write error. Out of diskspace", None),
    ],
)
def test_a_fault_is_known_by_the_words_of_the_system(tmp_path: Path, problem: str, number: int | None) -> None:
    assert find_fault(problem, tmp_path) == number
    assert list(tmp_path.iterdir()) == []


def test_words_of_gits_own_are_tried_out(tmp_path: Path) -> None:
    """git's words are taken for the system's error if a trial write fails."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        for said in ("fatal: sha1 file 'index.lock' write error. Out of diskspace", "couldn't write '1.lock'"):
            assert find_fault(said, tmp_path) == errno.EFBIG
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_a_place_for_a_folder_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", refuse)
    problem = "cannot update the ref 'refs/heads/main': unable to create directory for '/w/.git/refs/heads/main'"
    assert find_fault(problem, tmp_path) == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_a_fault_is_told_with_file_and_remedy(tmp_path: Path) -> None:
    remedy = "free space or mend the disk, then resume"
    assert say_fault(OSError(errno.EIO, "Input/output error", "/a"), tmp_path) == f"/a: Input/output error; {remedy}"
    assert say_fault(OSError(errno.EIO, "Input/output error"), tmp_path).startswith(f"{tmp_path}: Input/output error; ")
    busy = OSError(errno.EBUSY, "is held by process 7 (git): let it end, or end it", "/w/.git/index.lock")
    late = TimeoutError(errno.ETIMEDOUT, "does not answer", "squeue")
    assert say_fault(late, tmp_path) == "squeue: does not answer; then resume"
    closed = PermissionError(errno.EACCES, "Permission denied", "/w/notes.txt")
    assert say_fault(closed, tmp_path).endswith("denied; give yourself the right to it (chmod, chown), then resume")
    assert not is_machine_fault(closed)
    assert "disk" not in say_fault(busy, tmp_path) and say_fault(busy, tmp_path).endswith("or end it; then resume")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "allow more open files (ulimit -n), then resume"),
        (OSError(errno.EFBIG, "File too large"), "allow larger files (ulimit -f), then resume"),
        (MemoryError(), "free memory, then resume"),
    ],
)
def test_a_limit_of_the_machine_is_told_with_the_setting_that_moves_it(
    error: OSError | MemoryError, remedy: str, tmp_path: Path
) -> None:
    assert is_machine_fault(error) and say_fault(error, tmp_path).endswith(f"; {remedy}")
    assert not is_machine_fault(FileNotFoundError(errno.ENOENT, "x")) and not is_machine_fault(ValueError())


def test_something_that_stands_in_the_way_is_named_and_no_disk_is_blamed(tmp_path: Path) -> None:
    (tmp_path / "holder.json").mkdir()
    (tmp_path / "new").touch()
    with pytest.raises(OSError) as caught:
        (tmp_path / "new").replace(tmp_path / "holder.json")
    told = say_fault(caught.value, tmp_path)
    assert told == f"{tmp_path / 'holder.json'}: Is a directory; move what stands there away, then resume"
    assert not is_machine_fault(caught.value)
