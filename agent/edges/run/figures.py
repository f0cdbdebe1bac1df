"""Figures that a plot step drew: which of its files are whole, and what is wrong with the others."""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.edges.system.deep_folders import TooDeep, walk_tree
from agent.edges.system.untrusted import Untrusted, read_untrusted

__all__ = ["FIGURE_CAP_BYTES", "DrawnFigures", "find_figures"]

FIGURE_CAP_BYTES = 32 << 20
MOST_FIGURES = 200
MOST_LOOKED_AT = 1_000
NAME_CHARS = 50  # of a figure that is kept, from its end: a name has room for 255 bytes
MOST_BYTES = 1 << 30  # that are read in all
TOLD = 5
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
SVG_TAIL_BYTES = 1000
_SUFFIXES = (".png", ".pdf", ".svg")
_OTHER_SUFFIXES = (".jpg", ".jpeg", ".gif", ".webp", ".eps", ".ps", ".bmp", ".tif", ".tiff", ".html")


@dataclass(frozen=True, slots=True)
class DrawnFigures:
    """Figures by the name under which they are kept, as paths from the step's folder, and a line for each bad file."""

    paths: dict[str, str]
    problems: tuple[str, ...]

    def say_none(self, command: str) -> str:
        """Why the command drew nothing, in one line."""
        why = "; ".join(self.problems[:TOLD]) or f"it left no file of {', '.join(_SUFFIXES)}"
        return f"`{command}` ended without drawing a figure: {why}"


def find_figures(work: Path, given: Collection[str] = ()) -> DrawnFigures:
    """Whole figures in the folder and below it, at most MOST_FIGURES. `given` files were there before the step.

    A figure of a sub-folder is kept as "folder_name.png". Links are not followed.
    """
    paths: dict[str, str] = {}
    problems: list[str] = []
    found = [(path, size) for path, size in sorted(_find_files(work)) if path not in given]
    room = MOST_BYTES
    for number, (path, size) in enumerate(found):
        room -= min(size, FIGURE_CAP_BYTES)
        if number == MOST_LOOKED_AT or room < 0:
            problems.append(f"{len(found) - number} more files were not looked at, {path} first: there are too many")
            break
        if problem := _find_problem(work, path):
            problems.append(f"{path} {problem}")
        elif len(paths) < MOST_FIGURES:
            name = path.replace("/", "_")[-NAME_CHARS:]
            paths[name if name not in paths else f"{len(paths)}_{name}"] = path
    return DrawnFigures(paths, tuple(problems))


def _find_files(work: Path) -> Iterator[tuple[str, int]]:
    """Path and size of every file that is named as a figure is."""
    with suppress(TooDeep):
        for entry in walk_tree(work):
            is_figure = entry.name.lower().endswith((*_SUFFIXES, *_OTHER_SUFFIXES))
            if is_figure and entry.path.isprintable() and not stat.S_ISDIR(entry.status.st_mode):
                yield entry.path, entry.status.st_size


def _find_problem(work: Path, path: str) -> str:
    if not path.lower().endswith(_SUFFIXES):
        return f"is none of {', '.join(_SUFFIXES)}"
    content = read_untrusted(work / path, FIGURE_CAP_BYTES, within=work)
    if not isinstance(content, bytes):
        return content.problem if isinstance(content, Untrusted) else "is gone"
    return _say_damage(path.lower(), content)


def _say_damage(name: str, content: bytes) -> str:
    """What is wrong with the content. Empty if nothing is seen: no figure is decoded."""
    if not content.strip():
        return "is empty"
    if name.endswith(".png"):
        if not content.startswith(PNG_HEAD):
            return "is no PNG"
        return "" if _is_whole_png(content) else "is cut short"
    if name.endswith(".pdf"):
        if b"%PDF-" not in content[:1024]:
            return "is no PDF"
        return "" if b"%%EOF" in content else "is cut short"
    if not _SVG.search(content):
        return "is no SVG"
    return "" if _SVG_END.search(content[-SVG_TAIL_BYTES:]) else "is cut short"


# "<svg xmlns=", "<svg:svg>"
_SVG = re.compile(rb"<(?:[A-Za-z]{1,20}:)?svg[\s/>]")
# "</svg>", "<svg/>"
_SVG_END = re.compile(rb"</(?:[A-Za-z]{1,20}:)?svg\s{0,9}>|/>\s{0,9}\Z")


def _is_whole_png(content: bytes) -> bool:
    """Whether the parts of a PNG follow each other to the last one. Their lengths are read, no pixel is."""
    place = len(PNG_HEAD)
    while place + 8 <= len(content):
        length, kind = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8]
        place += 12 + length  # length, kind, content, checksum
        if kind == b"IEND":
            return place <= len(content)
    return False
