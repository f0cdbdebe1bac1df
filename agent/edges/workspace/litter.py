"""Folders of launches that were killed while they made their batch: recognised for certain, and removed."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

from agent.edges.system.deep_folders import remove_tree
from agent.edges.system.processes import Identity, boot_id, is_running, read_process

__all__ = ["MAKER", "find_litter", "remove_litter", "remove_unfinished", "write_maker"]

MAKER = ".maker.json"
DAY_S = 86400.0
# ".20261129-101500-ideas.4711"
_BUILDING = re.compile(r"\.\d{8}-\d{6}-[^.]*\.\d+")
# ".0123456789abcdef.4711"
_COPYING = re.compile(r"\.[0-9a-f]{16}\.\d+")


def write_maker(folder: Path) -> None:
    """Record this process as the one that makes the batch in the folder."""
    process = read_process(os.getpid())
    assert process
    (folder / MAKER).write_text(json.dumps([*_place(), process.pid, process.start_ticks]), "ascii")


def remove_unfinished(folder: Path) -> None:
    """Remove a batch that this process does not finish. If a git that was interrupted still writes there, what is left
    keeps the name of its maker, and a later launch removes it.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != MAKER:
            path.unlink(missing_ok=True)
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {MAKER}:
        shutil.rmtree(folder, ignore_errors=True)


def remove_litter(workspaces: Path, templates: Path | None = None) -> None:
    """Remove what interrupted launches left: see find_litter."""
    for folder in find_litter(workspaces, templates):
        remove_tree(folder)


def find_litter(workspaces: Path, templates: Path | None = None) -> list[Path]:
    """Unfinished batches whose maker is dead, and, in a folder of frozen templates, copies that were not finished.

    A maker of this kernel and pid namespace is dead if that very process is gone. Of another, which may be on another
    machine, it is known only after a day without a change, and so is the end of a copy.
    """
    found = [folder for folder in _folders(workspaces, _BUILDING) if _is_dead(folder)]
    return found + [folder for folder in _folders(templates, _COPYING) if _is_old(folder)]


def _folders(place: Path | None, named: re.Pattern[str]) -> list[Path]:
    listed = sorted(place.glob(".*")) if place and place.is_dir() else []
    return [path for path in listed if named.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]


def _is_dead(folder: Path) -> bool:
    try:
        boot, namespace, pid, start_ticks = json.loads((folder / MAKER).read_bytes())
        if [boot, namespace] == _place():
            return not is_running(Identity(int(pid), int(start_ticks)))
    except (OSError, ValueError, TypeError):
        pass
    return _is_old(folder)


def _is_old(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > DAY_S
    except OSError:
        return False


def _place() -> list[str]:
    return [boot_id(), str(Path("/proc/self/ns/pid").readlink())]
