"""Folders of prepared data by key: each is made once and whole, and shared by every run that asks for the same.

    <store>/<kind>/<key>/              an entry: its files and `complete`, written last
    <store>/<kind>/.making-<key>-<pid> a maker's folder, renamed into place once all of it is on the disk
    <store>/<kind>/.old-...            an entry being deleted
    <store>/<kind>-<key>.lock          held (flock) by the one process that makes this key
    <store>/store.lock                 held while bytes are counted, reserved and freed

`complete` lists every file with its size, SHA-256 and time of modification. Readers hold a shared flock on it. Eviction
asks for an exclusive one and passes over an entry that is in use. The time of modification of `complete` itself says
when the entry was last asked for. Sizes are compared whenever an entry is opened. `Store.find` also compares checksums,
if the entry is small (CHEAP_BYTES) or if a file's time of modification is not the recorded one, as after any write or
copy. This module needs no library beyond Python's own, so that finding an entry costs milliseconds.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMPLETE = "complete"
RESERVED = "reserved"
CHEAP_BYTES = 64 << 20


class Damaged(Exception):
    """An entry is not as its maker left it: the `folder`, and in `what` the difference."""

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(f"{folder}: {what}")
        self.folder, self.what = folder, what


class NoRoom(Exception):
    """The store cannot take an entry: bytes `needed` and `free` in `folder`, and the `limit` if that is the reason."""

    def __init__(self, folder: Path, needed: int, free: int, limit: int | None = None) -> None:
        super().__init__(f"{folder}: {needed} bytes needed, {free} free")
        self.folder, self.needed, self.free, self.limit = folder, needed, free, limit


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """An intact entry, `made` by this call or found."""

    folder: Path
    size_bytes: int
    made: bool


# ---------------------------------------------------------------------------------------------------------- one entry


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def seal(folder: Path) -> None:
    """Bring every file of a folder to the disk, then list them in `complete`."""
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        _sync(path)
        status = path.stat()
        name = path.relative_to(folder).as_posix()
        files[name] = {"bytes": status.st_size, "sha256": digest(path), "mtime_ns": status.st_mtime_ns}
    (folder / COMPLETE).write_text(json.dumps({"version": 1, "files": files}, indent=1) + "\n")
    _sync(folder / COMPLETE)
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        _sync(path)


def check_sizes(folder: Path) -> dict[str, dict[str, Any]]:
    """The files of an entry as `complete` lists them, {name: {"bytes", "sha256", "mtime_ns"}}.

    Raises: Damaged if the list or a file is missing or has another size.
    """
    try:
        files = json.loads((folder / COMPLETE).read_text())["files"]
        sizes = {name: int(record["bytes"]) for name, record in files.items()}
    except FileNotFoundError as e:
        raise Damaged(folder, f"{COMPLETE} is missing, so it was never finished") from e
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise Damaged(folder, f"{COMPLETE} cannot be read") from e
    for name, size in sizes.items():
        path = folder / name
        if not path.is_file():
            raise Damaged(folder, f"{name} is missing")
        if path.stat().st_size != size:
            raise Damaged(folder, f"{name} has {path.stat().st_size} bytes, not {size}")
    return files


def check_contents(folder: Path) -> int:
    """Bytes of an entry, after its sizes were compared, and its checksums if the rule above asks for them.

    Raises: Damaged.
    """
    files = check_sizes(folder)
    size_bytes = sum(record["bytes"] for record in files.values())
    for name, record in files.items():
        path = folder / name
        status = path.stat()
        if size_bytes > CHEAP_BYTES and status.st_mtime_ns == record.get("mtime_ns"):
            continue
        if digest(path) != record.get("sha256"):
            raise Damaged(folder, f"{name} has another checksum")
        if status.st_mtime_ns != record.get("mtime_ns"):
            with contextlib.suppress(OSError):  # a copied file of another owner is read again next time
                os.utime(path, ns=(status.st_atime_ns, int(record["mtime_ns"])))
    return size_bytes


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Keep an entry from being evicted while the block runs.

    Raises: Damaged if there is no finished entry.
    """
    try:
        f = (folder / COMPLETE).open("rb")
    except (FileNotFoundError, NotADirectoryError) as e:
        raise Damaged(folder, f"{COMPLETE} is missing, so it was never finished") from e
    with f:
        fcntl.flock(f, fcntl.LOCK_SH)
        if not _is_at(f.fileno(), folder / COMPLETE):
            raise Damaged(folder, "it was removed as it was opened")
        yield


# ---------------------------------------------------------------------------------------------------------- the store


class Store:
    """All entries under one folder, kept below `limit` bytes by evicting those asked for longest ago."""

    def __init__(self, root: Path, limit: int, report: Callable[[str], None]) -> None:
        self.root, self.limit, self.report = root, limit, report

    def find(self, kind: str, key: str) -> StoreEntry | None:
        """The intact entry, marked as asked for just now. None if there is none or it is damaged."""
        folder = self.root / kind / key
        if not folder.exists():
            return None
        try:
            with reading(folder):
                size_bytes = check_contents(folder)
                with contextlib.suppress(OSError):  # a store that others own is still good to read
                    os.utime(folder / COMPLETE)
        except Damaged as e:
            self.report(f"{e}; it is made again")
            return None
        return StoreEntry(folder, size_bytes, made=False)

    def obtain(self, kind: str, key: str, needed: int, make: Callable[[Path], None]) -> StoreEntry:
        """The entry, found or made by `make(folder)`, which writes all of its files into an empty folder.

        `needed` are the bytes that making takes at its peak. Of several processes that ask at once, one makes it.
        Raises: NoRoom, and any exception of `make`. Neither leaves files behind.
        """
        found = self.find(kind, key)
        if found:
            return found
        (self.root / kind).mkdir(parents=True, exist_ok=True)
        with self._locked(f"{kind}-{key}.lock", "another process prepares the same data: waiting for it"):
            found = self.find(kind, key)
            if found:
                return found
            folder = self.root / kind / key
            temporary = self._reserve(kind, key, needed)
            try:
                make(temporary)
                (temporary / RESERVED).unlink()
                seal(temporary)
                if folder.exists():
                    _remove(folder)
                temporary.rename(folder)
                _sync(folder.parent)
            except OSError as e:
                if e.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise NoRoom(self.root, needed, shutil.disk_usage(self.root).free) from e
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            return StoreEntry(folder, sum(record["bytes"] for record in check_sizes(folder).values()), made=True)

    # ------------------------------------------------------------------------------------------------------- making

    def _reserve(self, kind: str, key: str, needed: int) -> Path:
        """Make an empty folder for an entry and reserve the disk for it. The caller holds the key's lock."""
        with self._locked("store.lock"):
            self._sweep(kind, key)
            self._free_room(needed)
            temporary = self.root / kind / f".making-{key}-{os.getpid()}"
            temporary.mkdir()
            (temporary / RESERVED).write_text(str(needed))
            return temporary

    def _sweep(self, kind: str, key: str) -> None:
        """Delete the rests of killed processes: a maker's folder whose key nobody holds, an entry half deleted."""
        for path in self._folders(".old-*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self._folders(".making-*"):
            its_key = path.name.split("-")[1]
            if (path.parent.name, its_key) == (kind, key) or self._is_free(f"{path.parent.name}-{its_key}.lock"):
                shutil.rmtree(path, ignore_errors=True)

    def _free_room(self, needed: int) -> None:
        """Evict, oldest first, until `needed` bytes fit under the limit and on the disk.

        Raises: NoRoom if they do not, although every entry that may be evicted is gone.
        """
        candidates = sorted(self._entries(), key=_asked_for)
        while True:
            used, pending = 0, 0
            for path in (*self._entries(), *self._folders(".making-*")):
                used += max(_size(path), _reserved(path))
                pending += max(0, _reserved(path) - _size(path))
            free = shutil.disk_usage(self.root).free - pending
            if used + needed <= self.limit and needed <= free:
                return
            while candidates and not self._evict(candidates[0]):
                candidates.pop(0)
            if not candidates:
                break
            candidates.pop(0)
        if needed > free:
            raise NoRoom(self.root, needed, max(0, free))
        raise NoRoom(self.root, needed, max(0, self.limit - used), self.limit)

    def _evict(self, folder: Path) -> bool:
        """Delete an entry unless somebody reads it. True if it is gone."""
        try:
            f = (folder / COMPLETE).open("r+b")
        except FileNotFoundError:
            _remove(folder)
            return True
        except OSError:
            return False
        with f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            self.report(f"making room: {folder.parent.name}/{folder.name} ({_size(folder) / 1e9:.2f} GB) is removed")
            _remove(folder)
        return True

    # -------------------------------------------------------------------------------------------------------- locks

    @contextlib.contextmanager
    def _locked(self, name: str, while_waiting: str = "") -> Iterator[None]:
        with (self.root / name).open("a") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if while_waiting:
                    self.report(while_waiting)
                fcntl.flock(f, fcntl.LOCK_EX)
            yield

    def _is_free(self, name: str) -> bool:
        with (self.root / name).open("a") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def _folders(self, pattern: str) -> list[Path]:
        return [path for path in self.root.glob(f"*/{pattern}") if path.is_dir()]

    def _entries(self) -> list[Path]:
        return [path for path in self._folders("*") if not path.name.startswith(".")]


# ------------------------------------------------------------------------------------------------------ files, folders


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the path still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove(folder: Path) -> None:
    """Delete a folder so that no half of it is ever seen under its name."""
    aside = folder.with_name(f".old-{folder.name}-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes of all files below. A file that is deleted meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                total += path.stat().st_size
    return total


def _reserved(folder: Path) -> int:
    try:
        return int((folder / RESERVED).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _asked_for(folder: Path) -> int:
    """Time in ns at which an entry was last asked for. 0 for one that was never finished."""
    try:
        return (folder / COMPLETE).stat().st_mtime_ns
    except FileNotFoundError:
        return 0
