"""Folders that an experiment filled, however deep, with any modes and links: walked and removed by descriptors.

No name in them is followed twice, no link is followed, and nothing blocks. Standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MAX_DEPTH", "FolderEntry", "TooDeep", "make_folder", "remove_tree", "walk_tree"]

MAX_DEPTH = 100
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OWNER = 0o700


class TooDeep(Exception):
    """Folders are nested deeper than MAX_DEPTH."""


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """`name` in the open folder `parent`, which stays open until the next one is asked for. path: from the top."""

    parent: int
    name: str
    path: str
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


def make_folder(prefix: str) -> str:
    """Make a new folder that is this user's alone, and return its path. `tempfile` takes long to import."""
    while True:
        path = f"{prefix}{os.urandom(5).hex()}"
        with contextlib.suppress(FileExistsError):
            Path(path).mkdir(0o700)
            return path


def walk_tree(folder: Path) -> Iterator[FolderEntry]:
    """Every entry below `folder`, a folder after its content. Entries that vanish meanwhile are left out.

    Raises: TooDeep.
    """
    with contextlib.suppress(OSError):
        top = os.open(folder, _FOLDER)
        try:
            yield from _walk(top, "", 1)
        finally:
            os.close(top)


def _walk(folder: int, path: str, depth: int) -> Iterator[FolderEntry]:
    if depth > MAX_DEPTH:
        raise TooDeep
    with os.scandir(folder) as names:  # not a list: there may be millions
        for found in names:
            with contextlib.suppress(OSError):
                name = found.name
                entry = FolderEntry(folder, name, path + name, os.stat(name, dir_fd=folder, follow_symlinks=False))
                if entry.is_folder:
                    inner = _open(folder, name)
                    try:
                        yield from _walk(inner, f"{entry.path}/", depth + 1)
                    finally:
                        os.close(inner)
                yield entry


def _open(parent: int, name: str) -> int:
    """Open a folder. If its owner's permissions were removed, restore them first."""
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except PermissionError:
        place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{place}", _OWNER)  # noqa: PTH101 - the folder that is open, and no other
        finally:
            os.close(place)
        return os.open(name, _FOLDER, dir_fd=parent)


def remove_tree(folder: Path) -> None:
    """Remove it with its content. Entries that cannot be removed stay.

    Folders are moved up beside each other before they are emptied, so that no depth is too deep.
    """
    with contextlib.suppress(OSError):
        top = os.open(folder, _FOLDER)
        try:
            _flatten(top)
        finally:
            os.close(top)
        folder.rmdir()


def _flatten(top: int) -> None:
    prefix, count = os.urandom(8).hex(), 0
    waiting = [""]
    while waiting:
        name = waiting.pop()
        with contextlib.suppress(OSError):
            place = _open(top, name) if name else os.dup(top)
            try:
                for inner in os.listdir(place):  # noqa: PTH208 - of a descriptor
                    count += 1
                    if moved := _take_away(place, inner, top, f"{prefix}.{count}"):
                        waiting.append(moved)
            finally:
                os.close(place)
            if name:
                os.rmdir(name, dir_fd=top)


def _take_away(place: int, name: str, top: int, new: str) -> str:
    """Remove a file, or move a folder to the top and return its name there."""
    with contextlib.suppress(OSError):
        try:
            os.unlink(name, dir_fd=place)
        except IsADirectoryError:
            os.close(_open(place, name))
            os.rename(name, new, src_dir_fd=place, dst_dir_fd=top)
            return new
    return ""
