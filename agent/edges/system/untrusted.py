"""Files that an experiment wrote. Reading one never blocks or follows a link, whatever is planted under its name."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Untrusted:
    """A file that is there and was not read. `problem` is the reason, in words fit for a prompt."""

    path: Path
    problem: str


def read_untrusted(path: Path, max_bytes: int, *, within: Path | None = None) -> bytes | Untrusted | None:
    """The content of a regular file with one link and at most `max_bytes`. None: there is no such file.

    within: a folder that the experiment could not replace, by default the parent's parent. Below it no folder on the
    way may be a symbolic link.
    """
    trusted = path.parent.parent if within is None else within
    parts = path.relative_to(trusted).parts if path.is_relative_to(trusted) else ()
    if not parts or ".." in parts:
        return Untrusted(path, "is not a path inside the run's folder")
    try:
        return _read(path, trusted, parts, max_bytes)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return Untrusted(path, "is, or lies below, a symbolic link or something else that is no folder")
        return Untrusted(path, f"cannot be read: {error.strerror}")


def _read(path: Path, trusted: Path, parts: tuple[str, ...], max_bytes: int) -> bytes | Untrusted:
    descriptor = os.open(trusted, _FOLDER)
    try:
        for index, part in enumerate(parts):
            flags = _FILE if index == len(parts) - 1 else _FOLDER | os.O_NOFOLLOW
            inner = os.open(part, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Untrusted(path, "is not a regular file")
        if status.st_nlink != 1:
            return Untrusted(path, f"has {status.st_nlink} links, and one is allowed")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(status.st_size + 1) if status.st_size <= max_bytes else b""  # it takes room for all
            if len(content) > status.st_size:  # it grows
                content += file.read(max_bytes - status.st_size)
        if max(status.st_size, len(content)) > max_bytes:
            return Untrusted(path, f"is larger than {max_bytes} bytes")
        return content
    finally:
        os.close(descriptor)
