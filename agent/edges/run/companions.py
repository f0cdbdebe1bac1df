"""Companions of the code in a step's folder: small files as copies, large ones as links to the template's own."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from agent.core.inputs.companions import is_drawn
from agent.core.journal.kinds import Step
from agent.edges.template.frozen import LARGE_BYTES
from agent.edges.template.load import Template

__all__ = ["put_companions"]

MOST_IN_FOLDER = 500  # files below a folder: one with more is linked as a whole
MOST_COPIED_BYTES = 8 << 20
MOST_OPENED = 500  # paths that a sandbox opens one by one
_READ_ONLY, _OWN_COPY = 0o444, 0o644


def put_companions(template: Template, work: Path, step: Step, code: Collection[str]) -> tuple[str, ...]:
    """Put the template's companions into the step's folder, and return the paths outside it that they lead to.

    What is there already stays. A figure is a copy that the code may draw anew, and a plot starts without one.
    """
    found = [path for path in template.companions if step is not Step.PLOT or not is_drawn(path)]
    links = {path for path in _linked_whole(found, [*template.files, *code]) if not _is_blocked(work, path)}
    room = MOST_COPIED_BYTES
    for path in found:
        if not links.isdisjoint(_above(path)) or _is_blocked(work, path):
            continue
        size = (template.folder / path).stat().st_size
        if size >= LARGE_BYTES or size > room:
            links.add(path)
            continue
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template.folder / path, work / path)
        (work / path).chmod(_OWN_COPY if is_drawn(path) else _READ_ONLY)
        room -= size
    for path in links:
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).symlink_to((template.folder / path).resolve())
    return _opened(template.folder, sorted(links))


def _above(path: str) -> list[str]:
    """Folders in which the file lies, the outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _linked_whole(companions: Iterable[str], taken: Iterable[str]) -> list[str]:
    """The outermost folders with too many files for a look at each, and no file that is `taken`."""
    counts = Counter(folder for path in companions for folder in _above(path))
    mixed = {folder for path in taken for folder in (*_above(path), path)}
    large = {folder for folder, count in counts.items() if count > MOST_IN_FOLDER and folder not in mixed}
    return [folder for folder in large if large.isdisjoint(_above(folder))]


def _is_blocked(work: Path, path: str) -> bool:
    """Whether something has that name already, or stands where one of its folders would."""
    places = [work / folder for folder in _above(path)]
    if any(place.is_symlink() or (place.exists() and not place.is_dir()) for place in places):
        return True
    return (work / path).is_symlink() or (work / path).exists()


def _opened(folder: Path, links: Iterable[str]) -> tuple[str, ...]:
    """Paths that a sandbox has to open: each link's end, or its folder at the first level if there are too many."""
    ends = dict.fromkeys(str((folder / path).resolve()) for path in links)
    if len(ends) > MOST_OPENED:
        ends = dict.fromkeys(str((folder / path.split("/")[0]).resolve()) for path in links)
    return tuple(ends)
