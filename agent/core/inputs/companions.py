"""Companions: files of a template's folder that its runs find beside their code, read-only, and no model is shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

__all__ = ["FIGURES", "is_drawn", "is_run_folder", "select_companions"]

FIGURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".gif", ".webp", ".eps", ".ps", ".bmp", ".tif", ".tiff")
# Those that describe the template, and those that steps are given or write under these names.
_OWN = frozenset(
    {
        "baselines.json", "evaluation.json", "idea.json", "notes.txt", "profile.json", "prompt.json", "prompt.md",
        "template.toml",
    }
)  # fmt: skip
_OWN_FOLDERS = frozenset({"baselines", "latex", "profiles", "refs", "sealed"})
_ENVIRONMENT = "/pyvenv.cfg"  # of a virtual environment, at its top
# Caches, and records of earlier work.
_LEFT_BEHIND = frozenset({"__pycache__", "lightning_logs", "mlruns", "node_modules", "wandb"})
_DRAWINGS = frozenset({"figs", "figures", "plots"})
# "ideas.json", "seed_ideas.json", "ideas_20250127.json", "requirements-dev.txt"
_LISTS = re.compile(r"(?:\w{1,60}_)?ideas(?:_\w{1,60})?\.json|requirements[\w.-]{0,60}\.txt")
# "run_0", "run_12.bak"
_RUN = re.compile(r"run_\d")


def is_run_folder(name: str) -> bool:
    """Whether a folder of that name at a template's first level holds the outputs of a run."""
    return bool(_RUN.match(name))


def is_drawn(path: str) -> bool:
    """Whether it is a figure where figures are drawn: at the first level, or in a folder for them."""
    place = PurePosixPath(path)
    return place.suffix.lower() in FIGURES and (len(place.parts) == 1 or place.parts[0] in _DRAWINGS)


def select_companions(paths: Iterable[str], taken: Collection[str], code: Iterable[str]) -> tuple[str, ...]:
    """The companions among a folder's paths, in order.

    taken: files that a workspace's repository holds. code: texts that runs execute: a figure counts only if one of them
    names it.
    """
    texts, listed = tuple(code), list(paths)
    environments = {path.removesuffix(_ENVIRONMENT) for path in listed if path.endswith(_ENVIRONMENT)}
    return tuple(
        path for path in listed if path not in taken and _is_companion(path, texts) and not _lies_in(path, environments)
    )


def _lies_in(path: str, folders: Collection[str]) -> bool:
    parts = path.split("/") if folders else []
    return any("/".join(parts[:count]) in folders for count in range(1, len(parts)))


def _is_companion(path: str, texts: tuple[str, ...]) -> bool:
    parts = path.split("/")
    first, is_top = parts[0], len(parts) == 1
    if any(part.startswith(".") or part in _LEFT_BEHIND for part in parts) or path.endswith(".pyc"):
        return False
    if is_top and (first in _OWN or _LISTS.fullmatch(first)):
        return False
    if is_run_folder(first) or (not is_top and first in _OWN_FOLDERS):
        return False
    return not is_drawn(path) or any(parts[-1] in text for text in texts)
