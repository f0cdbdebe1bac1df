"""Files of a commit, read from loose objects, and by git where those do not do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryFile

from agent.edges.git.objects import Objects, bytes_of, text_of
from agent.errors import IntegrityError

__all__ = ["CommitFiles"]

COMMITS_KEPT = 8


class CommitFiles:
    """Files of the commits of `folder`'s repository. run: the git command on it."""

    def __init__(self, folder: Path, objects: Objects, run: Callable[..., str]) -> None:
        self._folder = folder
        self._objects = objects
        self._run = run
        self._read: dict[str, dict[str, str]] = {}  # by commit, which never changes

    def read(self, commit: str) -> dict[str, str]:
        """Text of each file by name. Bytes that are not UTF-8 become surrogates."""
        if commit not in self._read:
            while len(self._read) >= COMMITS_KEPT:
                self._read.pop(next(iter(self._read)))
            self._read[commit] = self._read_tree(commit)
        return self._read[commit]

    def list(self, commit: str) -> dict[str, tuple[str, str]]:
        """Mode and hash of every file of a commit, by name."""
        files = self._objects.files(commit)
        if files is None:
            rows = [row.partition("\t") for row in self._run("ls-tree", "-r", "-z", commit).split("\0") if row]
            files = {name: (about.split()[0], about.split()[2]) for about, _, name in rows}
        return files

    def _read_tree(self, commit: str) -> dict[str, str]:
        blobs = {name: sha for name, (_, sha) in self.list(commit).items()}
        loose = {name: self._objects.read(sha, "blob") for name, sha in blobs.items()}
        texts = {name: text_of(content) for name, content in loose.items() if content is not None}
        return texts if len(texts) == len(blobs) else self._ask_for(blobs, commit)

    def _ask_for(self, blobs: Mapping[str, str], commit: str) -> dict[str, str]:
        """The texts as git tells them. blobs: hashes by name."""
        with TemporaryFile() as wanted:  # outside the workspace: reading changes nothing there
            wanted.write("".join(f"{blob}\n" for blob in blobs.values()).encode())
            wanted.seek(0)
            out = bytes_of(self._run("cat-file", "--batch", stdin=wanted.fileno(), strip=False))
        texts: dict[str, str] = {}
        at = 0
        for name in blobs:  # "<sha> blob <size>", the content, a newline
            begin = out.index(b"\n", at) + 1
            header = out[at : begin - 1]
            if header.endswith(b" missing"):
                problem = f"{name} of commit {commit[:10]} is missing from .git"
                raise IntegrityError(str(self._folder), problem, "restore .git from a copy")
            end = begin + int(header.split()[2])
            texts[name] = text_of(out[begin:end])
            at = end + 1
        return texts
