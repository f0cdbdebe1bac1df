"""References read from their own files, in which git keeps them until it packs them: no process is started to ask."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["read_branch", "read_reference"]

# "3f2c...", 40 hex digits and a line end
_COMMIT = re.compile(rb"[0-9a-f]{40}\n")
# "ref: refs/heads/main" and a line end
_HEAD = re.compile(rb"ref: refs/heads/[!-~]+\n")
_MOST_BYTES = 4096


def read_branch(repository: Path, name: str) -> str:
    """The commit that the file of a branch names. Empty if git has to be asked, as for a packed or a broken one.

    name: as "refs/heads/main".
    """
    return read_reference(repository, name) or ""


def read_reference(repository: Path, name: str) -> str | None:
    """The object that the file of a reference names, empty if there is no such reference. None: git has to be asked."""
    if not _HEAD.fullmatch(_read(repository / "HEAD")) or not (repository / "objects").is_dir():
        return None
    if not os.path.lexists(repository / name) and not os.path.lexists(repository / "packed-refs"):
        return ""
    held = _read(repository / name)
    return held.decode("ascii").strip() if _COMMIT.fullmatch(held) else None


def _read(path: Path) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():  # a pipe would be waited for
            return b""
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""
