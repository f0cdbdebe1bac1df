"""Claims on entries of the cache: many may use one, and whoever removes it does so alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["claim", "claim_of", "claimed_path", "hold_alone", "is_claim", "release_claims"]

SUFFIX = ".use"
# Descriptors of the claims of this process, by entry. The kernel gives them back at its end, however that comes.
_HELD: dict[Path, int] = {}


def is_claim(path: Path) -> bool:
    return path.name.endswith(SUFFIX)


def claim(entry: Path) -> None:
    """Use an entry of the cache until this command ends, so that no other one removes it.

    It waits while somebody removes it: look afterwards whether it is there. In a cache that cannot be written, and in
    which nobody made the claim's file, there is none, and nothing to be removed either.
    """
    if entry in _HELD or (descriptor := _open(entry)) is None:
        return
    while True:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is_in_place(descriptor, entry):
            break
        os.close(descriptor)  # removed with its entry meanwhile
        if (again := _open(entry)) is None:
            return
        descriptor = again
    _HELD[entry] = descriptor


def release_claims() -> None:
    """Give all claims of this process back."""
    while _HELD:
        os.close(_HELD.popitem()[1])


def claimed_path(find: Callable[[], Path], cache: Path) -> Path:
    """The path that `find` comes to, with the entry of the cache in which it lies claimed. If the entry was removed
    just before, it is found, or made, again.
    """
    while True:
        path = find()
        if not path.is_relative_to(cache):
            return path
        claim(cache / path.relative_to(cache).parts[0])
        if os.path.lexists(path):
            return path


@contextmanager
def hold_alone(entry: Path) -> Iterator[bool]:
    """Hold an entry that is to be removed. False if somebody uses it or builds it. The claim's file goes with it.

    Raises: OSError if the claim's file cannot be made.
    """
    with contextlib.ExitStack() as stack:
        for path in (claim_of(entry), Path(f"{entry}.lock")):  # the second is that of a build
            if path.name.endswith(".lock") and not path.exists():
                continue
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
        yield True
        if not os.path.lexists(entry):
            for path in (claim_of(entry), Path(f"{entry}.lock")):
                path.unlink(missing_ok=True)


def claim_of(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}{SUFFIX}")


def _open(entry: Path) -> int | None:
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(claim_of(entry), flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    return None


def _is_in_place(descriptor: int, entry: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), claim_of(entry).lstat())
    except OSError:
        return False
