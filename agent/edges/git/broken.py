"""Files of a repository that git cannot read, as a power cut or a slip of the hand leaves them, and their rescue."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from agent.edges.git.locks import NOTES
from agent.edges.git.safe import SafeGit
from agent.errors import IntegrityError

__all__ = ["find_broken", "move_broken", "set_aside"]

# "3f2c...": 40 hex digits, or "ref: refs/heads/main"
_REFERENCE = re.compile(rb"(?:[0-9a-f]{40}|ref: [^\s]+)\s?")
# "fatal: bad config line 1 in file .git/config"
_BAD_CONFIG = re.compile(r"bad (?:numeric |boolean )?config|bad repository|unknown repository|invalid value")
# "[core]\n\tbare = false\n", as git writes it into a new repository
_PLAIN_CONFIG = re.compile(rb"\[core\]\n(?:\t[a-z]+ = (?:true|false|0)\n)*")
_MOST_BYTES = 4096
_PLAIN = {"HEAD": "ref: refs/heads/main\n", "config": "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"}


def find_broken(work_tree: Path) -> list[str]:
    """Names below the work tree: of HEAD, the configuration and references that hold something else, or nothing."""
    repository = work_tree / ".git"
    found = [repository / "HEAD", *sorted(path for path in (repository / "refs").rglob("*") if not path.is_dir())]
    broken = [path for path in found if path.suffix != ".lock" and not _is_reference(path)]
    is_plain = _PLAIN_CONFIG.fullmatch(_read(repository / "config"))
    if not is_plain and (not broken or broken[0].name != "HEAD"):  # else git takes it for no repository at all
        try:
            SafeGit(work_tree).run("config", "--local", "--list")
        except IntegrityError as error:
            if _BAD_CONFIG.search(error.problem):
                broken.append(repository / "config")
    return [path.relative_to(work_tree).as_posix() for path in broken]


def move_broken(work_tree: Path, names: Sequence[str]) -> None:
    """Move the files to .agent/rescue, with a line in its notes, and write plain ones where git needs them."""
    for name in names:
        path = work_tree / name
        set_aside(work_tree, name, "which git could not read")
        if plain := _PLAIN.get(path.name) if path.parent.name == ".git" else None:
            path.write_text(plain, "ascii")


def set_aside(work_tree: Path, name: str, why: str) -> None:
    """Move this path of the work tree to .agent/rescue, with a line in its notes. why: follows the name."""
    path, rescue = work_tree / name, work_tree / ".agent" / "rescue"
    rescue.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        aside = rescue / f"{path.name}.{time.time_ns()}"
        path.rename(aside)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with (rescue / NOTES).open("a", encoding="utf-8") as notes:
            notes.write(f"{stamp} {aside.name} was {name}, {why}\n")


def _is_reference(path: Path) -> bool:
    return _REFERENCE.fullmatch(_read(path)) is not None


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would be waited for
            return b""
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""
