"""Objects of a repository as loose files, in which git keeps them until it packs them.

No process is started: a commit costs two processes of git in place of nine, and to read a commit costs none. What is
not found here, or is not as git writes it, is left to git.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from agent.edges.system.files import fsync_folder, write_durably

__all__ = ["FOLDER", "Objects", "bytes_of", "make_commit", "text_of"]

FOLDER = "40000"  # mode of a folder in a tree
MOST_BYTES = 1 << 28  # of one object
_CHUNK_BYTES = 1 << 16
_HASH_BYTES = 20
_NO_NAMES = (b"", b".", b"..", b".git")  # of a part of a path
# "3f2c...", 40 hex digits
_SHA = re.compile(r"[0-9a-f]{40}")
# "object 3f2c...", 40 hex digits, and "type commit", the first lines of a tag
_TAGGED = re.compile(rb"object ([0-9a-f]{40})\ntype commit\n")
# "Step-Id: 3-apply", one line at the end of a commit's message
_TRAILER = re.compile(r"[A-Za-z0-9-]+: .*")


class Objects:
    """Loose objects below the folder `repository`. scratch: a folder for half-written ones."""

    def __init__(self, repository: Path, scratch: Path) -> None:
        self._folder = repository / "objects"
        self._scratch = scratch

    def read(self, sha: str, kind: str) -> bytes | None:
        """The content of an object of this kind. None: git has to be asked."""
        if not _SHA.fullmatch(sha):
            return None
        try:
            descriptor = os.open(self._path(sha), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe would be waited for
                return None
            try:
                whole = _unpack(file)
            except (OSError, zlib.error):
                return None
        header, _, content = whole.partition(b"\0")
        is_sound = header == f"{kind} {len(content)}".encode() and _hash(whole) == sha
        return content if is_sound else None

    def write(self, kind: str, content: bytes) -> str:
        """Keep an object, on the disk when this returns, and return its hash."""
        whole = f"{kind} {len(content)}\0".encode() + content
        sha = _hash(whole)
        path = self._path(sha)
        if path.exists():
            return sha
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            fsync_folder(self._folder)
        packed = zlib.compress(whole, 1)
        try:
            write_durably(path, packed, scratch=self._scratch)
        except OSError as error:
            if error.errno != errno.EXDEV:  # objects that a person moved to another disk
                raise
            write_durably(path, packed)
        return sha

    def files(self, commit: str) -> dict[str, tuple[str, str]] | None:
        """Mode and hash of every file of a commit, by name. None: git has to be asked."""
        about = self.read(commit, "commit")
        if about is None or not about.startswith(b"tree "):
            return None
        found: dict[bytes, tuple[str, str]] = {}
        folders = [(b"", text_of(about[5:45]))]
        while folders:
            place, sha = folders.pop()
            tree = self.read(sha, "tree")
            if tree is None:
                return None
            for mode, name, entry in _entries(tree):
                if mode == FOLDER:
                    folders.append((place + name + b"/", entry))
                elif mode.startswith(("100", "120")):
                    found[place + name] = mode, entry
                else:  # another repository, of which git says that it is not here
                    return None
        return {text_of(name): found[name] for name in sorted(found)}

    def write_tree(self, files: Mapping[str, tuple[str, str]]) -> str:
        """Keep the folders of these files, and return the hash of the outermost.

        files: mode and hash by name.

        Raises: ValueError for a name that git keeps in no tree, or that is a file's and a folder's.
        """
        folders: dict[bytes, dict[bytes, tuple[str, str]]] = {b"": {}}
        for name, entry in files.items():
            path = bytes_of(name)
            if any(part.lower() in _NO_NAMES for part in path.split(b"/")):
                raise ValueError(f"{name!r}: git keeps no file of that name")
            for slash in (at for at, byte in enumerate(path) if byte == ord("/")):
                folders.setdefault(path[:slash], {})
            place, _, last = path.rpartition(b"/")
            folders[place][last] = entry
        for place in sorted(folders, key=len, reverse=True):  # a folder after all that it holds
            sha = self.write("tree", _pack_tree(folders[place]))
            above, _, last = place.rpartition(b"/")
            if place and last in folders[above]:
                raise ValueError(f"{text_of(place)!r}: is a file and a folder")
            if place:
                folders[above][last] = FOLDER, sha
        return sha

    def peel(self, sha: str) -> str:
        """The commit of this name, or that a tag of this name names. Empty: git has to be asked."""
        if self.read(sha, "commit") is not None:
            return sha
        found = _TAGGED.match(self.read(sha, "tag") or b"")
        commit = text_of(found[1]) if found else ""
        return commit if commit and self.read(commit, "commit") is not None else ""

    def find_trailer(self, commit: str, trailer: str, most: int) -> str | None:
        """The newest commit, from this one back along first parents, whose last paragraph has this line.

        Returns "" if none of the newest `most` has it, and None if git has to be asked.
        """
        for _ in range(most):
            about = self.read(commit, "commit")
            if about is None:
                return None
            head, _, message = about.partition(b"\n\n")
            lines = text_of(message).rstrip("\n").rpartition("\n\n")[2].split("\n")
            if trailer in lines and all(_TRAILER.fullmatch(line) for line in lines):
                return commit
            parents = [text_of(line[7:]) for line in head.split(b"\n") if line.startswith(b"parent ")]
            if len(parents) > 1:
                return None
            if not parents:
                break
            commit = parents[0]
        return ""

    def _path(self, sha: str) -> Path:
        return self._folder / sha[:2] / sha[2:]


def make_commit(tree: str, parent: str, message: str, who: str, now_s: float) -> bytes:
    """The content of a commit by `who`, a name and address as "A B <a@b>". parent: empty for a first one."""
    now = time.localtime(now_s)
    signed = f"{who} {int(now_s)} {time.strftime('%z', now)}"
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else []), f"author {signed}", f"committer {signed}"]
    return bytes_of("\n".join(lines) + "\n\n" + message)


def _unpack(file: IO[bytes]) -> bytes:
    """Raises: OSError; zlib.error if it is not packed as git packs, or is too large."""
    unpacking, parts, left = zlib.decompressobj(), [], MOST_BYTES
    while not unpacking.eof:
        packed = unpacking.unconsumed_tail or file.read(_CHUNK_BYTES)
        if not packed or not left:
            raise zlib.error("ends too soon, or is too large")
        parts.append(unpacking.decompress(packed, left))
        left -= len(parts[-1])
    return b"".join(parts)


def _entries(tree: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Mode, name and hash of each entry of a tree. The mode is empty at something else."""
    at = 0
    while at < len(tree):
        space = tree.find(b" ", at)
        end = tree.find(b"\0", space)
        if min(space, end) < 0:
            yield "", b"", ""
            return
        yield text_of(tree[at:space]), tree[space + 1 : end], tree[end + 1 : end + 1 + _HASH_BYTES].hex()
        at = end + 1 + _HASH_BYTES


def _pack_tree(entries: Mapping[bytes, tuple[str, str]]) -> bytes:
    """The content of a tree, in git's order: as if the name of a folder ended with a slash."""
    names = sorted(entries, key=lambda name: name + b"/" * (entries[name][0] == FOLDER))
    return b"".join(bytes_of(entries[n][0]) + b" " + n + b"\0" + bytes.fromhex(entries[n][1]) for n in names)


def _hash(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def text_of(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
