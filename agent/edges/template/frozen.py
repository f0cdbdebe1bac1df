"""A template as it was at launch: one copy named by its hash, which every run and resume uses."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from agent.edges.system.deep_folders import MAX_DEPTH
from agent.edges.system.files import fsync_folder, fsync_tree
from agent.errors import IntegrityError, UsageError

__all__ = [
    "LARGE_BYTES",
    "SETTLED_NS",
    "SKIPPED_FOLDERS",
    "check_frozen",
    "freeze_template",
    "hash_folder",
    "unplant",
    "walk_template",
]

LARGE_BYTES = 1 << 20  # a smaller file is read again each time
SETTLED_NS = 2_000_000_000  # a file that changed later than this before it was read may change unseen
MOST_FILES = 100_000
MOST_GIB = 16

SKIPPED_FOLDERS = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", ".venv"})
_EDITOR_LOCK = ".#"  # Emacs marks a file that is being edited with a link that leads nowhere


def freeze_template(folder: Path, store: Path) -> Path:
    """Copy the whole template to `store`/<hash>, once, make the copy's files read-only, and return it.

    A link is copied as what it names. A copy that was changed since is put aside and made anew.

    Raises: UsageError if the folder cannot be copied, or changes meanwhile.
    """
    name = hash_folder(folder)
    copy = store / name
    if copy.is_dir() and _still_is(copy, name):
        unplant(copy)
        return copy
    store.mkdir(parents=True, exist_ok=True)
    temporary = store / f".{name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _copy_files(folder, temporary)
        if not _still_is(temporary, name):
            raise UsageError(f"template {folder}", "changed while it was copied", "launch again")
        fsync_tree(temporary)
        _put_in_place(temporary, copy)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    fsync_folder(store)
    check_frozen(copy)
    return copy


def _still_is(copy: Path, name: str) -> bool:
    """Whether the copy holds the files of which `name` is the hash."""
    try:
        return hash_folder(copy) == name
    except (UsageError, OSError):
        return False


def _copy_files(folder: Path, target: Path) -> None:
    """Copy each file that the hash counts, read-only. Empty folders are left out. A large file that another copy of the
    store holds already is shared with it.

    Files are read-only against mistakes. `check_frozen` protects the copy: read-only folders would make `rm -rf` fail.
    """
    target.mkdir()
    for path in walk_template(folder):
        place = target / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        with reading(folder, path):
            twin = _find_twin(target.parent, path.relative_to(folder), path)
            if twin:
                os.link(twin, place)
                continue
            shutil.copyfile(path, place)
        place.chmod(0o444)


def _find_twin(store: Path, name: Path, path: Path) -> Path | None:
    """A read-only file of that name and content in a copy of the store, if the file is large."""
    status = path.stat()
    if status.st_size < LARGE_BYTES:
        return None
    for twin in store.glob(f"[!.]*/{glob.escape(str(name))}"):
        found = twin.lstat()
        is_like = stat.S_ISREG(found.st_mode) and found.st_size == status.st_size and not found.st_mode & 0o222
        if is_like and found.st_dev == store.stat().st_dev and _digest_file(twin) == _digest_file(path):
            return twin
    return None


def _put_in_place(temporary: Path, copy: Path) -> None:
    """Rename the whole copy to its name. If another launch was faster, its copy stays; a changed one is put aside."""
    try:
        temporary.rename(copy)
    except OSError:
        if not os.path.lexists(copy):
            raise
        if not _still_is(copy, copy.name):
            copy.rename(copy.with_name(f".{copy.name}.changed.{time.time_ns()}"))
            temporary.rename(copy)


def unplant(copy: Path) -> None:
    """Remove compiled files that a run put beside sealed sources, to be imported in their place. The hash skips them.

    Raises: OSError if they cannot be removed.
    """
    for place, folders, _ in os.walk(copy):
        if "__pycache__" in folders:
            folders.remove("__pycache__")
            planted = Path(place, "__pycache__")
            while os.path.lexists(planted):
                with contextlib.suppress(FileNotFoundError):  # another idea's step removes it at the same time
                    planted.unlink() if planted.is_symlink() else shutil.rmtree(planted)


def check_frozen(copy: Path) -> None:
    """Raises: IntegrityError if a frozen template is gone or was changed."""
    if not copy.is_dir():
        raise IntegrityError(f"template {copy}", "is missing", "put the frozen copy back; a resume uses no other")
    if not _still_is(copy, copy.name):
        last = _last_changed(copy)
        look = f"look at {last}, which changed last; " if last else ""
        raise IntegrityError(
            f"template {copy}", "was changed since launch", f"{look}put the frozen copy back, or launch the idea again"
        )


def _last_changed(copy: Path) -> str:
    try:
        last = max(walk_template(copy), key=lambda path: path.stat().st_ctime_ns, default=None)
    except UsageError as error:
        return error.where.removeprefix(f"{copy}/")
    return str(last.relative_to(copy)) if last else ""


def hash_folder(folder: Path) -> str:
    """First 16 hex digits of a SHA-256 over every file's relative path and content. A link counts as the file that it
    names.

    Raises: UsageError naming what cannot be read, or a link that cannot be followed.
    """
    total = hashlib.sha256()
    for path in sorted(walk_template(folder)):
        total.update(os.fsencode(path.relative_to(folder)) + b"\0")
        with reading(folder, path):
            total.update(_digest_file(path))
    return total.hexdigest()[:16]


def _digest_file(path: Path) -> bytes:
    """SHA-256 of a file. That of a large one is remembered in this process, by all that changes if the file does."""
    status = path.stat()
    stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
    is_settled = time.time_ns() - status.st_ctime_ns > SETTLED_NS
    return _digest_large(path, stamp) if status.st_size >= LARGE_BYTES and is_settled else _digest(path)


@lru_cache(maxsize=10_000)
def _digest_large(path: Path, _stamp: tuple[int, ...]) -> bytes:
    return _digest(path)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextlib.contextmanager
def reading(folder: Path, path: Path) -> Iterator[None]:
    """Turn an error about the template's `path` into a UsageError that names it."""
    try:
        yield
    except OSError as error:
        raise UsageError(str(path), f"cannot be read: {error.strerror}", f"template {folder.name} holds it") from error


def walk_template(folder: Path) -> Iterator[Path]:
    """Every file of the template, also below links to folders. Names of SKIPPED_FOLDERS are passed over.

    Raises: UsageError naming a link that leads nowhere, back to a folder in which it lies or to a place of keys and
    settings, a pipe, socket or device, and what cannot be read. A template may not hold more than MOST_FILES files or
    MOST_GIB, nor folders deeper than MAX_DEPTH.
    """
    size, remedy = 0, "keep data elsewhere, and name it with --data"
    for count, path in enumerate(_walk(folder, folder, ())):
        if count == MOST_FILES:
            raise UsageError(f"template {folder}", f"holds more than {MOST_FILES:,} files", remedy)
        with reading(folder, path):
            size += path.stat().st_size
        if size > MOST_GIB << 30:
            problem = f"holds more than {MOST_GIB} GiB, as {path.relative_to(folder)}"
            raise UsageError(f"template {folder}", problem, remedy)
        yield path


def _walk(top: Path, folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    with reading(top, folder):
        status = folder.stat()
        names = sorted(os.listdir(folder))  # noqa: PTH208 - Path sorts names that are no UTF-8 just as well, slower
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise UsageError(
            str(folder), "is a link to a folder in which it lies", "remove it, or link what the code needs"
        )
    if len(above) > MAX_DEPTH:
        raise UsageError(str(folder), f"lies deeper than {MAX_DEPTH} folders", "move it up")
    for path in (folder / name for name in names):
        with reading(top, path):
            kind = _kind_of(path)
            if kind in ("file", "folder") and path.is_symlink() and (place := _closed_place(top, path)):
                kind = f"a link to {place}, where keys and settings are kept, and runs would read it"
        if kind == "folder":
            if path.name not in SKIPPED_FOLDERS:
                yield from _walk(top, path, (*above, here))
        elif kind == "file":
            yield path
        elif path.name not in SKIPPED_FOLDERS and not path.name.startswith(_EDITOR_LOCK):
            raise UsageError(str(path), f"is {kind}", "remove it, or put a file in its place")


# Hidden folders in which data sets and programs are kept.
_OPEN = frozenset({".cache", ".local"})
_SYSTEM = ("/etc", "/proc", "/sys", "/dev", "/run", "/var/run")


def _closed_place(top: Path, link: Path) -> str:
    """The end of a link that leads out of the template to a hidden place, as ~/.ssh, or one of the system; else ""."""
    end, own = Path(os.path.realpath(link)), Path(os.path.realpath(top))
    if end.is_relative_to(own):
        return ""
    shared = os.path.commonpath([end, own])
    is_hidden = any(part.startswith(".") and part not in _OPEN for part in end.relative_to(shared).parts)
    return str(end) if is_hidden or any(end.is_relative_to(place) for place in _SYSTEM) else ""


def _kind_of(path: Path) -> str:
    """ "file", "folder", or what else it is, in words."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"a link to {path.readlink()}, which is not there"
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return f"a link to {path.readlink()}, which leads in a circle"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "a pipe, socket or device"
