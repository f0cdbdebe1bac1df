"""A branch read from its own file, in which git keeps it until it packs it: no process is started to ask."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["read_branch"]

# "3f2c...", 40 hex digits and a line end
_COMMIT = re.compile(rb"[0-9a-f]{40}\n")
# "ref: refs/heads/main" and a line end
_HEAD = re.compile(rb"ref: refs/heads/[!-~]+\n")
_MOST_BYTES = 4096


def read_branch(repository: Path, name: str) -> str:
    """The commit that the file of a branch names. Empty if git has to be asked, as for a packed or a broken one.

    name: as "refs/heads/main".
    """
    head, branch = (_read(repository / part) for part in ("HEAD", name))
    is_plain = _HEAD.fullmatch(head) and _COMMIT.fullmatch(branch) and (repository / "objects").is_dir()
    return branch.decode("ascii").strip() if is_plain else ""


def _read(path: Path) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():  # a pipe would be waited for
            return b""
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""
