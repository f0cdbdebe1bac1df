"""A template as it was at launch: one copy named by its hash, which every run and resume uses."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from agent.edges.system.files import fsync_folder, fsync_tree
from agent.errors import IntegrityError, UsageError

__all__ = ["check_frozen", "freeze_template", "hash_folder", "unplant"]

_SKIPPED_FOLDERS = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", ".venv"})


def freeze_template(folder: Path, store: Path) -> Path:
    """Copy the whole template to `store`/<hash>, once, make the copy's files read-only, and return it."""
    name = hash_folder(folder)
    copy = store / name
    if copy.is_dir():
        check_frozen(copy)
        unplant(copy)
        return copy
    store.mkdir(parents=True, exist_ok=True)
    temporary = store / f".{name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        shutil.copytree(
            folder,
            temporary,
            ignore=lambda _, names: [n for n in names if n in _SKIPPED_FOLDERS],
            ignore_dangling_symlinks=True,
        )
        fsync_tree(temporary)
        temporary.rename(copy)
        _make_files_read_only(copy)
    except shutil.Error as error:
        path, _, problem = error.args[0][0]
        raise UsageError(f"template {folder}", f"{path} cannot be copied: {problem}") from error
    except OSError:
        if not copy.is_dir():  # else another launch was faster
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    fsync_folder(store)
    check_frozen(copy)
    return copy


def _make_files_read_only(copy: Path) -> None:
    """Make the files read-only against mistakes. `check_frozen` protects the copy: read-only folders would make `rm
    -rf` fail.
    """
    for place, _, names in os.walk(copy):
        for name in names:
            Path(place, name).chmod(0o444)


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
    if hash_folder(copy) != copy.name:
        last = max(_walk(copy), key=lambda path: path.stat().st_ctime_ns, default=None)
        look = f"look at {last.relative_to(copy)}, which changed last; " if last else ""
        raise IntegrityError(
            f"template {copy}", "was changed since launch", f"{look}put the frozen copy back, or launch the idea again"
        )


def hash_folder(folder: Path) -> str:
    """First 16 hex digits of a SHA-256 over every file's relative path and content. A link counts as the file that it
    names.
    """
    total = hashlib.sha256()
    for path in sorted(_walk(folder)):
        total.update(os.fsencode(path.relative_to(folder)) + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir():
            if path.name not in _SKIPPED_FOLDERS:
                yield from _walk(path)
        elif path.is_file():
            yield path
