"""Writing to disk so that a crash leaves the old content or the new, never half of it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_NAME_BYTES = 200  # of 255, so that there is room for more


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError of a descriptor's says which file it was."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def fsync_folder(folder: Path) -> None:
    """Make names created or renamed in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(folder: Path) -> None:
    """Make every regular file and folder below `folder` survive a power cut. Links are not followed."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    with naming(path):
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        fsync_folder(Path(place))


def write_durably(path: Path, content: bytes, *, scratch: Path | None = None) -> None:
    """Replace or create `path` by temporary file, fsync and rename. A failure leaves no temporary file.

    A kill may leave one in `scratch`, a folder of the same filesystem that is made if it is missing, else beside
    `path`.
    """
    if scratch and path.parent.is_dir():  # else the workspace is gone, and nothing of it is made again
        scratch.mkdir(parents=True, exist_ok=True)
    short = path.name if len(os.fsencode(path.name)) <= _NAME_BYTES else f"{path.name[:40]}{hash(path.name):x}"
    temporary = (scratch or path.parent) / f".{short}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            view = memoryview(content)
            with naming(path):
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def clock_of(folder: Path) -> float:
    """The time by the clock of the folder's filesystem, which may be another machine's."""
    probe = folder / f".clock.{os.getpid()}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


def place_of(folder: Path) -> str:
    """Device and inode of a folder, which a rename keeps and a copy does not. Empty if there is no folder."""
    try:
        status = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return f"{status.st_dev}:{status.st_ino}"


def make_way(path: Path, root: Path, rescue: Path) -> None:
    """Move to `rescue` an entry of another kind in the place of a file below `root`, or of a folder on the way to it.

    A link in the file's own place is replaced as the file is written.
    """
    folders = [p for p in reversed(path.parents) if p != root and p.is_relative_to(root)]
    is_wrong = [p.is_symlink() or (p.exists() and not p.is_dir()) for p in folders]
    is_wrong.append(path.is_dir() and not path.is_symlink())
    if True in is_wrong:  # the outermost, since nothing below a link is ours
        place = [*folders, path][is_wrong.index(True)]
        from shutil import move  # a supervisor, which starts without it, never gets here

        rescue.mkdir(parents=True, exist_ok=True)
        move(place, rescue / f"{place.name}.{time.time_ns()}")
