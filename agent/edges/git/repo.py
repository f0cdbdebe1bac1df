"""The git repository of a workspace: commits that are found again after a crash, tags, diffs.

Commits are made from objects and a compare-and-swap of the branch, so that a kill at any moment leaves either the old
commit or the new one.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unicodedata import category

from agent.edges.git.commit_files import CommitFiles
from agent.edges.git.locks import move_locks
from agent.edges.git.log import LOG_OPTIONS, Commit, parse_log
from agent.edges.git.loose import read_branch, read_reference
from agent.edges.git.objects import Objects, bytes_of, make_commit, text_of
from agent.edges.git.safe import ADDRESS, NAME, SafeGit
from agent.edges.system.files import make_way, write_durably
from agent.errors import IntegrityError

BRANCH = "refs/heads/main"
RESCUE = "refs/rescue/"
STEPS_SEARCHED = 50
MOST_BYTES = 1 << 28  # of a file that somebody wrote into the work tree
EXCLUDED = ("run_*/", "replications/", ".agent/", "plots/")

_NO_COMMIT = "0" * 40
# "refs/tags/run/1", and not "refs/heads/main^"
_REFERENCE = re.compile(r"refs/[^\^~:@{}\s]+")


class Repo:
    """The repository whose work tree is `folder`. Scratch files go under `folder`/.agent/tmp."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock
        self._scratch = folder / ".agent" / "tmp"
        self._objects = Objects(folder / ".git", self._scratch)
        self._run = SafeGit(folder).run
        self._files = CommitFiles(folder, self._objects, self._run)

    def create(self, files: Mapping[str, str], message: str) -> str:
        """Make the repository with a first commit, and return the commit."""
        self._run("init", "--quiet", "--initial-branch=main", "--template=", str(self.folder))
        info = self.folder / ".git" / "info"
        info.mkdir(exist_ok=True)
        write_durably(info / "exclude", "\n".join(EXCLUDED).encode() + b"\n")
        return self.commit(files, message)

    def head(self) -> str:
        """The newest commit of the branch, empty if there is none."""
        if found := read_branch(self.folder / ".git", BRANCH):
            return found
        try:
            return self._run("rev-parse", "--verify", "--quiet", BRANCH)
        except IntegrityError:
            return ""

    def commit(self, changes: Mapping[str, str], message: str, trailers: Mapping[str, str] | None = None) -> str:
        """Commit the changed texts on top of the branch, bring the work tree up to it, and return the commit."""
        parent = self.head()
        tree = self._write_tree(parent, changes)
        body = message.rstrip() + "\n"
        if trailers:
            body += "\n" + "".join(f"{name}: {_one_line(value)}\n" for name, value in trailers.items())
        sha = self._commit_tree(tree, parent, body)
        self._set_ref(BRANCH, sha, parent)
        self.check_out(changes, parent)
        return sha

    def _commit_tree(self, tree: str, parent: str, message: str) -> str:
        content = make_commit(tree, parent, _printable(message), f"{NAME} <{ADDRESS}>", self._clock())
        return self._objects.write("commit", content)

    def _set_ref(self, name: str, commit: str, before: str = "") -> None:
        """Raises: IntegrityError if the reference is not at `before` any more."""
        move_locks(self.folder, ("HEAD.lock", f"{name}.lock"))
        try:
            self._run("update-ref", name, commit, before or _NO_COMMIT)
        except IntegrityError:
            if self.resolve(name) != commit:  # else a git that was killed had done it already
                raise

    def check_out(self, changes: Mapping[str, str], parent: str | None = None) -> None:
        """Write the texts into the work tree and bring git's index up to the branch, without a look at other files.

        Files that somebody else wrote in their place since the commit before are kept first, with `keep_work_tree`.
        parent: that commit, empty if there is none. None: it is looked up.
        """
        parent = self.resolve(f"{BRANCH}^") if parent is None else parent
        before = self.read(parent) if parent else {}
        foreign = [
            name
            for name, text in changes.items()
            if not any(self.holds(name, expected) for expected in (None, text, before.get(name)))
        ]
        if foreign:
            self.keep_work_tree(foreign)
        self._write_files(changes)

    def _write_files(self, changes: Mapping[str, str]) -> None:
        self._make_scratch()
        for name, text in changes.items():
            path = self.folder / name
            make_way(path, self.folder, self.folder / ".agent" / "rescue")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, bytes_of(text), scratch=self._scratch)
        index = self.folder / ".git" / "index"
        if index.is_symlink():  # git would write where it leads
            index.unlink()
        make_way(index, self.folder, self.folder / ".agent" / "rescue")
        move_locks(self.folder, ("index.lock",))
        self._run("read-tree", BRANCH)

    def keep_work_tree(self, names: Iterable[str]) -> str:
        """Keep files of the work tree in a commit on top of the branch, which stays, and return the reference to it.

        The reference is named after the content, so that the same files are kept once. If a folder is in the place of a
        file, only the absence of the file is kept.
        """
        head, changes, modes = self.head(), dict[str, str | None](), dict[str, str]()
        for name in names:
            path = self.folder / name
            content = self.read_work_tree(name)
            changes[name] = None if content is None else content.decode("utf-8", "surrogateescape")
            modes[name] = "120000" if path.is_symlink() else "100755" if os.access(path, os.X_OK) else "100644"
        tree = self._write_tree(head, changes, modes)
        ref = f"{RESCUE}edits-{head[:10]}-{tree[:10]}"
        if not self.resolve(ref):
            names = _one_line(", ".join(changes))
            said = f"Kept from the work tree: {names}\n\nChanged by hand; no event made this commit.\n"
            self._set_ref(ref, self._commit_tree(tree, head, said))
        return ref

    def keep_commit(self, commit: str) -> str:
        """Keep a commit that no event made, and return the reference to it."""
        ref = f"{RESCUE}head-{commit[:10]}"
        if not self.resolve(ref):
            self._set_ref(ref, commit)
        return ref

    def move_branch(self, commit: str) -> None:
        """Set the branch to a commit, and HEAD to the branch. The caller has kept the commits that they leave."""
        head = self.head()
        if head != commit:
            self._set_ref(BRANCH, commit, head)
        self._run("symbolic-ref", "HEAD", BRANCH)

    def write_back(self) -> None:
        """Bring tracked files back to the branch. The caller has kept those that differ. Other files stay."""
        files = self.read(self.head())
        self._write_files({name: files[name] for name in self.dirty_files()})

    def _write_tree(
        self, parent: str, changes: Mapping[str, str | None], modes: Mapping[str, str] | None = None
    ) -> str:
        """Write the parent's tree with these texts, None for a file that is gone. Modes are 100644 unless given."""
        self._make_scratch()
        files = self._files.list(parent) if parent else {}
        for name, text in changes.items():
            if text is not None:
                files[name] = (modes or {}).get(name, "100644"), self._objects.write("blob", bytes_of(text))
            else:
                files.pop(name, None)
        try:
            return self._objects.write_tree(files)
        except ValueError as error:
            raise IntegrityError(
                str(self.folder), f"cannot be committed: {error}", "move it away, then resume"
            ) from None

    def _make_scratch(self) -> None:
        """Raises: OSError if somebody removed the work tree, which is not made again."""
        self.folder.stat()
        self._scratch.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def _message_file(self, text: str) -> Iterator[Path]:
        self._make_scratch()
        path = self._scratch / f"text.{time.monotonic_ns()}"
        path.write_bytes(bytes_of(text))
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def find_step(self, step_id: str) -> str | None:
        """The commit of the branch that carries this Step-Id, among the newest."""
        head = self.head()
        found = self._objects.find_trailer(head, f"Step-Id: {step_id}", STEPS_SEARCHED) if head else None
        if found is not None:
            return found or None
        form = "--format=%H %(trailers:key=Step-Id,valueonly,separator=%x2C)"
        try:
            log = self._run("log", "-n", str(STEPS_SEARCHED), form, BRANCH)
        except IntegrityError:
            if head:
                raise
            return None
        for line in log.split("\n"):
            sha, _, ids = line.partition(" ")
            if step_id in ids.split(","):
                return sha
        return None

    def read(self, commit: str, names: tuple[str, ...] | None = None) -> dict[str, str]:
        """Texts of the commit's files, or of those named that it has. Bytes that are not UTF-8 become surrogates."""
        files = self._files.read(commit)
        return {name: text for name, text in files.items() if names is None or name in names}

    def tag(self, name: str, commit: str, message: str) -> None:
        """Make an annotated tag. One that exists is left if it names the same commit.

        Raises: IntegrityError if it names another.
        """
        present = self.resolve(f"refs/tags/{name}")
        if present == commit:
            return
        if present:
            raise IntegrityError(
                f"tag {name}", f"names {present[:10]}, not {commit[:10]}", "remove the tag, then resume"
            )
        move_locks(self.folder, (f"refs/tags/{name}.lock",))
        with self._message_file(_printable(message)) as path:
            try:
                self._run("tag", "--annotate", name, commit, "--cleanup=verbatim", "-F", str(path))
            except IntegrityError:
                if self.resolve(f"refs/tags/{name}") != commit:  # else a git that was killed had made it already
                    raise

    def tag_message(self, name: str) -> str:
        sha = read_reference(self.folder / ".git", f"refs/tags/{name}")
        if sha and (content := self._objects.read(sha, "tag")):
            return text_of(content).partition("\n\n")[2]
        return self._run("for-each-ref", "--format=%(contents)", f"refs/tags/{name}")

    def refs(self) -> dict[str, str]:
        """Every branch, tag and other reference, with the commit that it leads to."""
        form = "%(refname)%00%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
        rows = (line.partition("\0") for line in self._run("for-each-ref", f"--format={form}").split("\n") if line)
        return {name: commit for name, _, commit in rows}

    def dirty_files(self) -> list[str]:
        """Tracked files of the work tree whose bytes differ from the branch. Git itself would run filters."""
        files = self.read(self.head())
        return [name for name, text in files.items() if not self.holds(name, text)]

    def holds(self, name: str, text: str | None) -> bool:
        """Whether the work tree has the file with that text, or for None, has nothing of that name."""
        path = self.folder / name
        if text is None:
            return not os.path.lexists(path)
        content = bytes_of(text)
        try:
            if path.lstat().st_size != len(content):  # however large it is
                return False
        except OSError:
            return False
        return not path.is_symlink() and self.read_work_tree(name) == content

    def read_work_tree(self, name: str) -> bytes | None:
        """The content of a file, the target of a link, None for anything else.

        Raises: IntegrityError for a file that is too large to be kept.
        """
        path = self.folder / name
        try:
            if path.is_symlink():
                return os.fsencode(path.readlink())
            if not path.is_file():
                return None
            if (size := path.stat().st_size) > MOST_BYTES:
                raise IntegrityError(str(path), f"has {size:,} bytes, too many to be kept", "move it away, then resume")
            return path.read_bytes()
        except OSError:
            return None

    def diff(self, a: str, b: str, *paths: str) -> str:
        """Unified diff from a to b, which are commits or tags."""
        return self._run("diff", "--no-ext-diff", "--no-textconv", "--no-color", a, b, "--", *paths, strip=False)

    def resolve(self, revision: str) -> str | None:
        """The full commit that a revision names, or None."""
        if revision.startswith("-"):
            return None
        named = read_reference(self.folder / ".git", revision) if _REFERENCE.fullmatch(revision) else revision
        if named == "":
            return None
        if commit := self._objects.peel(named or ""):
            return commit
        try:
            return self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except IntegrityError:
            return None

    def log(self) -> list[Commit]:
        """All commits of the branch, oldest first, with what each changed."""
        return parse_log(self._run("log", *LOG_OPTIONS, BRANCH))


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _printable(message: str) -> str:
    """The message without control characters. Git refuses some, and others separate the fields of `log`."""
    return "".join("\ufffd" if c not in "\n\t" and category(c) in ("Cc", "Cs") else c for c in message)


def metrics_message(title: str, values: Mapping[str, object]) -> str:
    """Text of a run's tag: a title line and the metrics as JSON."""
    return title + "\n\n" + json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
