"""Entries of the cache that this program made, by their kind, with the processes that use them; and their removal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from agent.edges.system.deep_folders import remove_tree
from agent.edges.system.processes import all_processes
from agent.edges.template.cache.claim import claim_of, hold_alone
from agent.edges.template.data import store_size

__all__ = ["CacheEntry", "EntryKind", "Removal", "find_entries", "find_users", "remove_entry"]

# "0123456789abcdef", of an environment and of a template's baseline runs
_DIGEST = re.compile(r"[0-9a-f]{16}")
# ".gone.0123456789abcdef.4711": its removal was interrupted
_GONE = re.compile(r"\.gone\..+\.[0-9]+")
_MARKS = ("pyvenv.cfg", ".complete", "bin")  # of a virtual environment, however far its build came


class EntryKind(StrEnum):
    """What an entry is for."""

    ENVIRONMENT = "environment"
    UNFINISHED = "unfinished environment"
    DATA = "prepared data"
    BASELINES = "files of baseline runs"
    GONE = "rest of a removal"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A folder of the cache."""

    path: Path
    kind: EntryKind
    bytes: int
    # Templates and workspaces in sight that use it, and running processes.
    used_by: tuple[str, ...] = field(default=())


class Removal(StrEnum):
    """What came of the removal of an entry."""

    REMOVED = "removed"
    IN_USE = "in use"
    FAILED = "could not be removed"


def find_entries(cache: Path, data: Path) -> list[CacheEntry]:
    """Every entry that this program made. Links, and whatever else lies there, are passed over.

    Raises: OSError if a folder cannot be read.
    """
    found = [(path, kind) for path in _folders_in(cache) if (kind := _kind_of(path))]
    for place, kind in ((data, EntryKind.DATA), (cache / "baselines", EntryKind.BASELINES)):
        inner = [] if place.is_symlink() else _folders_in(place)
        found += [(path, EntryKind.GONE) for path in inner if _GONE.fullmatch(path.name)]
        found += [(path, kind) for path in inner if _is_ours(path, kind)]
    return [CacheEntry(path, kind, store_size(path)) for path, kind in found]


def _folders_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _is_ours(path: Path, kind: EntryKind) -> bool:
    """Whether a folder of data or of baseline runs was made here: SCIENTIST_CACHE may name a folder with data of its
    owner.
    """
    if kind is EntryKind.BASELINES:
        return _DIGEST.fullmatch(path.name) is not None
    return claim_of(path).is_file() or (path / "store.lock").is_file()  # the second in those of version 0.1


def _kind_of(path: Path) -> EntryKind | None:
    """The kind of a folder in the cache itself. None if it is somebody else's."""
    if _GONE.fullmatch(path.name):
        return EntryKind.GONE
    if not _DIGEST.fullmatch(path.name):
        return None
    if (path / ".complete").is_file():
        return EntryKind.ENVIRONMENT
    is_ours = {inner.name for inner in path.iterdir()} & {*_MARKS} or Path(f"{path}.lock").is_file()
    return EntryKind.UNFINISHED if is_ours else None


def find_users(entries: Iterable[CacheEntry]) -> dict[Path, list[str]]:
    """Running processes whose command line or environment names a file of an entry, as far as this user may look."""
    names = {entry.path: {os.fsencode(path) + b"/" for path in (entry.path, entry.path.resolve())} for entry in entries}
    found: dict[Path, list[str]] = {}
    for process in all_processes():
        words = b"".join(_read(f"/proc/{process.pid}/{part}") for part in ("cmdline", "environ"))
        if process.pid == os.getpid() or not words:
            continue
        for path, spelt in names.items():
            if any(name in words for name in spelt):
                found.setdefault(path, []).append(f"process {process.pid}")
    return found


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - of every process
            return file.read()
    except OSError:
        return b""


def remove_entry(entry: CacheEntry) -> Removal:
    """Remove an entry that nobody uses at this moment. No link in it is followed.

    It is renamed first: a command that looks for it finds it whole or not at all.
    """
    try:
        with hold_alone(entry.path) as is_free:
            if not is_free or find_users([entry]):
                return Removal.IN_USE
            gone = entry.path
            if entry.kind is not EntryKind.GONE:
                gone = entry.path.with_name(f".gone.{entry.path.name}.{os.getpid()}")
                entry.path.rename(gone)
            remove_tree(gone)
            return Removal.FAILED if os.path.lexists(gone) else Removal.REMOVED
    except OSError:
        return Removal.FAILED


def with_users(entries: Sequence[CacheEntry], users: Mapping[Path, Sequence[str]]) -> list[CacheEntry]:
    """The entries, each with those who use it, a file in it, or a folder above it, of which they may use anything."""
    found = []
    for entry in entries:
        near = [path for path in users if path.is_relative_to(entry.path) or entry.path.is_relative_to(path)]
        names = dict.fromkeys((*entry.used_by, *(name for path in near for name in users[path])))
        found.append(replace(entry, used_by=tuple(names)))
    return found
