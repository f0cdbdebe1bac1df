"""Digests of files and folders by their contents. Those of large files are remembered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import TypeAdapter

from agent.edges.system.files import write_durably
from agent.edges.template.frozen import LARGE_BYTES, SETTLED_NS, SKIPPED_FOLDERS

__all__ = ["digest_files", "digest_place", "digest_text", "walk_files"]

MOST_REMEMBERED = 20_000

# Traces of editors, of file managers, of network filesystems and of downloads, which come and go beside the data.
_TRACES = (".swp", ".swo", ".DS_Store")
_TRACE_HEADS = (".#", ".nfs", ".fuse_hidden")

# By path: size, time of the last change of its contents, of the last change at all, inode, device, digest.
_Known = dict[str, tuple[int, int, int, int, int, str]]
_KNOWN: TypeAdapter[_Known] = TypeAdapter(_Known)


def walk_files(folder: Path, *, hidden: bool = False) -> Iterator[Path]:
    """Regular files below a folder in a fixed order, without compiled ones. Links are followed, but not in a circle.

    hidden: those whose name begins with a dot, too, as a run can read them.
    """
    above: dict[str, tuple[str, ...]] = {}
    for place, folders, names in os.walk(folder, followlinks=True):
        real, outer = os.path.realpath(place), above.get(str(Path(place).parent), ())
        if real in outer:
            folders.clear()
            continue
        above[place] = (*outer, real)
        passed = SKIPPED_FOLDERS | {".cache"}
        folders[:] = sorted(n for n in folders if n not in passed and (hidden or not n.startswith(".")))
        paths = (Path(place, n) for n in sorted(names) if not n.startswith(".") or (hidden and not _is_trace(n)))
        yield from (path for path in paths if path.is_file())


def _is_trace(name: str) -> bool:
    return name.endswith(_TRACES) or name.startswith(_TRACE_HEADS)


def digest_files(base: Path, paths: Iterable[Path]) -> str:
    """Digest of the names below `base` and of the contents of files."""
    total = hashlib.sha256()
    for path in paths:
        if path.is_file():
            total.update(os.fsencode(path.relative_to(base)) + b"\0")
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


def digest_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def digest_place(place: Path, store: Path | None = None) -> str:
    """Digest of a folder's names and contents, or of one file's. "" if there is nothing.

    store: the file that keeps the digests of large files, each by all that changes if the file does.
    Raises: OSError if something cannot be read.
    """
    if not place.exists():
        return ""
    total, known = hashlib.sha256(), _load(store)
    before = dict(known)
    for path in walk_files(place, hidden=True) if place.is_dir() else [place]:
        total.update(os.fsencode(os.path.relpath(path, place)) + b"\0")
        total.update(_digest_file(path, known).encode())
    if store and known != before:
        _save(store, known)
    return total.hexdigest()[:16]


def _digest_file(path: Path, known: _Known) -> str:
    status = path.stat()
    stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
    name = os.path.realpath(path)
    if (found := known.get(name)) and found[:5] == stamp:
        return found[5]
    asked_ns = time.time_ns()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if status.st_size >= LARGE_BYTES and asked_ns - status.st_ctime_ns > SETTLED_NS:
        known.pop(name, None)
        known[name] = (*stamp, digest)
    return digest


def _load(store: Path | None) -> _Known:
    try:
        return _KNOWN.validate_json(store.read_bytes()) if store else {}
    except (OSError, ValueError):
        return {}


def _save(store: Path, known: _Known) -> None:
    kept = dict(list(known.items())[-MOST_REMEMBERED:])
    with contextlib.suppress(OSError, ValueError):  # they are computed again; a name may be no UTF-8
        store.parent.mkdir(parents=True, exist_ok=True)
        write_durably(store, json.dumps(kept).encode())
