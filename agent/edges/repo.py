"""The git side of a workspace: commits that find themselves again after a crash, tags, diffs.

Commits are made from objects, a private index and a compare-and-swap of the branch, so that a kill at any moment
leaves either the old commit or the new one. Configuration outside the repository, hooks, filters, fsmonitor and
external diff programs are switched off: the repository's content was written by a model.
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from unicodedata import category

import git

from agent.edges.files import write_durably
from agent.errors import IntegrityError

BRANCH = "refs/heads/main"
COMMITS_KEPT = 8
EXCLUDED = ("run_*/", ".agent/", "plots/")

_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=all",
    "core.autocrlf=false",
    "core.attributesFile=/dev/null",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "protocol.allow=never",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "trailer.separators=:",
)

# Left by a git hook or a shell that we were started from. GitPython passes our own environment on, so they are emptied.
_UNSET = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_NAMESPACE": "",
    "GIT_NO_REPLACE_OBJECTS": "1",
}


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the branch; `time` is the committer's, seconds since the epoch."""

    sha: str
    time: float
    subject: str
    trailers: dict[str, str]
    files: tuple[str, ...] = ()
    insertions: int = 0
    deletions: int = 0


class Repo:
    """The repository whose work tree is `folder`; scratch files go under `folder`/.agent/tmp."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._scratch = folder / ".agent" / "tmp"
        self._git = git.Git(str(folder))
        self._read: dict[str, dict[str, str]] = {}  # by commit, which never changes
        self._git.update_environment(
            GIT_DIR=str(folder / ".git"),
            GIT_COMMON_DIR=str(folder / ".git"),
            GIT_INDEX_FILE=str(folder / ".git" / "index"),
            GIT_OBJECT_DIRECTORY=str(folder / ".git" / "objects"),
            GIT_WORK_TREE=str(folder),
            **_UNSET,
            GIT_CONFIG_NOSYSTEM="1",
            GIT_CONFIG_GLOBAL="/dev/null",
            GIT_CONFIG_SYSTEM="/dev/null",
            GIT_TERMINAL_PROMPT="0",
            GIT_AUTHOR_NAME="scientist",
            GIT_AUTHOR_EMAIL="scientist@localhost",
            GIT_COMMITTER_NAME="scientist",
            GIT_COMMITTER_EMAIL="scientist@localhost",
            LC_ALL="C.UTF-8",
        )

    def _run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        strip: bool = True,
    ) -> str:
        options = [part for setting in _CONFIG for part in ("-c", setting)]
        try:
            out = self._git.execute(
                ["git", *options, *arguments],
                env=dict(env or {}),
                istream=stdin,
                strip_newline_in_stdout=strip,
                stdout_as_string=False,
            )
        except git.GitCommandError as error:
            problem = str(error.stderr).strip().removeprefix("stderr:").strip(" '\n")
            if "No space left on device" in problem:
                raise OSError(errno.ENOSPC, f"git {arguments[0]}: {problem}", str(self.folder)) from error
            raise IntegrityError(
                str(self.folder), f"git {arguments[0]} failed: {problem}", "mend the repository, then resume"
            ) from error
        assert isinstance(out, bytes)
        return out.decode("utf-8", "surrogateescape")

    def create(self, files: Mapping[str, str], message: str) -> str:
        """Make the repository with a first commit, and return the commit."""
        self._run("init", "--quiet", "--initial-branch=main", "--template=", str(self.folder))
        info = self.folder / ".git" / "info"
        info.mkdir(exist_ok=True)
        write_durably(info / "exclude", "\n".join(EXCLUDED).encode() + b"\n")
        return self.commit(files, message)

    def head(self) -> str:
        """The newest commit of the branch; empty where there is none."""
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
        options = ["-p", parent] if parent else []
        with self._message_file(_printable(body)) as path:
            sha = self._run("commit-tree", tree, *options, "-F", str(path))
        self._past_stale_lock("HEAD.lock")
        self._past_stale_lock(BRANCH + ".lock")
        self._run("update-ref", BRANCH, sha, parent or "0" * 40)
        self.check_out(changes)
        return sha

    def check_out(self, changes: Mapping[str, str]) -> None:
        """Write the texts into the work tree and bring git's index up to the branch, without a look at other files."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        for name, text in changes.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, _bytes(text), scratch=self._scratch)
        self._past_stale_lock("index.lock")
        self._run("read-tree", BRANCH)

    def _write_tree(self, parent: str, changes: Mapping[str, str]) -> str:
        self._scratch.mkdir(parents=True, exist_ok=True)
        index = self._scratch / f"index.{time.monotonic_ns()}"
        private = {"GIT_INDEX_FILE": str(index)}
        try:
            if parent:
                self._run("read-tree", parent, env=private)
            with ExitStack() as stack:
                paths = [str(stack.enter_context(self._message_file(text))) for text in changes.values()]
                blobs = self._run("hash-object", "-w", "--no-filters", *paths).split()
            entries = [("--cacheinfo", f"100644,{blob},{name}") for blob, name in zip(blobs, changes, strict=True)]
            self._run("update-index", "--add", *chain.from_iterable(entries), env=private)
            return self._run("write-tree", env=private)
        finally:
            index.unlink(missing_ok=True)

    @contextmanager
    def _message_file(self, text: str) -> Iterator[Path]:
        self._scratch.mkdir(parents=True, exist_ok=True)
        path = self._scratch / f"text.{time.monotonic_ns()}"
        path.write_bytes(_bytes(text))
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _past_stale_lock(self, name: str) -> None:
        """Move a lock aside that a killed git left behind: a live one is gone within a second."""
        lock = self.folder / ".git" / name
        for _ in range(20):
            if not lock.exists():
                return
            time.sleep(0.05)
        rescue = self.folder / ".agent" / "rescue"
        rescue.mkdir(parents=True, exist_ok=True)
        lock.rename(rescue / f"{lock.name}.{time.time_ns()}")

    def find_step(self, step_id: str) -> str | None:
        """The commit of the branch that carries this Step-Id, among the newest fifty."""
        if not self.head():
            return None
        log = self._run("log", "-n", "50", "--format=%H %(trailers:key=Step-Id,valueonly,separator=%x2C)", BRANCH)
        for line in log.splitlines():
            sha, _, ids = line.partition(" ")
            if step_id in ids.split(","):
                return sha
        return None

    def read(self, commit: str, names: tuple[str, ...] | None = None) -> dict[str, str]:
        """Texts of the commit's files, or of those named that it has; bytes that are not UTF-8 as surrogates."""
        if commit not in self._read:
            while len(self._read) >= COMMITS_KEPT:
                self._read.pop(next(iter(self._read)))
            self._read[commit] = self._read_tree(commit)
        files = self._read[commit]
        return {name: text for name, text in files.items() if names is None or name in names}

    def _read_tree(self, commit: str) -> dict[str, str]:
        entries = [e.partition("\t") for e in self._run("ls-tree", "-r", "-z", commit).split("\0") if e]
        blobs = {name: about.split()[2] for about, _, name in entries}
        with TemporaryFile() as wanted:  # outside the workspace: reading changes nothing there
            wanted.write("".join(f"{blob}\n" for blob in blobs.values()).encode())
            wanted.seek(0)
            out = self._run("cat-file", "--batch", stdin=wanted.fileno(), strip=False).encode(
                "utf-8", "surrogateescape"
            )
        texts: dict[str, str] = {}
        for name in blobs:  # "<sha> blob <size>", the content, a newline
            header, _, out = out.partition(b"\n")
            if header.endswith(b" missing"):
                problem = f"{name} of commit {commit[:10]} is missing from .git"
                raise IntegrityError(str(self.folder), problem, "restore .git from a copy")
            size = int(header.split()[2])
            texts[name] = out[:size].decode("utf-8", "surrogateescape")
            out = out[size + 1 :]
        return texts

    def tag(self, name: str, commit: str, message: str) -> None:
        """Make an annotated tag; one that exists is left if it names the same commit.

        Raises: IntegrityError where it names another.
        """
        try:
            present = self._run("rev-parse", "--verify", "--quiet", f"refs/tags/{name}^{{commit}}")
        except IntegrityError:
            present = ""
        if present == commit:
            return
        if present:
            raise IntegrityError(
                f"tag {name}", f"names {present[:10]}, not {commit[:10]}", "remove the tag, then resume"
            )
        self._past_stale_lock(f"refs/tags/{name}.lock")
        with self._message_file(_printable(message)) as path:
            self._run("tag", "--annotate", name, commit, "--cleanup=verbatim", "-F", str(path))

    def tag_message(self, name: str) -> str:
        return self._run("for-each-ref", "--format=%(contents)", f"refs/tags/{name}")

    def refs(self) -> dict[str, str]:
        """Every branch, tag and other reference, with the commit that it leads to."""
        form = "%(refname)%00%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
        rows = (line.partition("\0") for line in self._run("for-each-ref", f"--format={form}").splitlines())
        return {name: commit for name, _, commit in rows}

    def dirty_files(self) -> list[str]:
        """Tracked files of the work tree that differ from the branch, by bytes: git itself would run filters."""
        files = self.read(self.head())
        return [name for name, text in files.items() if _read_bytes(self.folder / name) != _bytes(text)]

    def diff(self, a: str, b: str, *paths: str) -> str:
        """Unified diff from a to b: commits, tags or run numbers made into tags by the caller."""
        return self._run("diff", "--no-ext-diff", "--no-textconv", "--no-color", a, b, "--", *paths, strip=False)

    def resolve(self, revision: str) -> str | None:
        """The full commit that a revision names, or None."""
        if revision.startswith("-"):
            return None
        try:
            return self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except IntegrityError:
            return None

    def log(self) -> list[Commit]:
        """All commits of the branch, oldest first, with what each changed."""
        form = "%x01%H%x00%ct%x00%s%x00%(trailers:only,unfold,separator=%x1f)%x00"
        shown = ("--no-ext-diff", "--no-textconv", "--no-renames", "--numstat", "-z")
        out = self._run("log", "--reverse", *shown, f"--format={form}", BRANCH)
        return [_parse_commit(part) for part in out.split("\x01")[1:]]


def _parse_commit(part: str) -> Commit:
    sha, stamp, subject, trailers, rest = part.split("\0", 4)
    rows = [entry.lstrip("\n").split("\t", 2) for entry in rest.split("\0") if entry.count("\t") >= 2]
    return Commit(
        sha,
        float(stamp),
        subject,
        dict(pair.split(": ", 1) for pair in trailers.split("\x1f") if ": " in pair),
        tuple(row[2] for row in rows),
        sum(int(row[0]) for row in rows if row[0].isdigit()),
        sum(int(row[1]) for row in rows if row[1].isdigit()),
    )


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _printable(message: str) -> str:
    """Without control characters: git refuses some, and `log` tells fields apart by others."""
    return "".join("\ufffd" if c not in "\n\t" and category(c) in ("Cc", "Cs") else c for c in message)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read_bytes(path: Path) -> bytes | None:
    """None for what is no regular file."""
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def metrics_message(title: str, values: Mapping[str, object]) -> str:
    """Text of a run's tag: a title line and the metrics as JSON."""
    return title + "\n\n" + json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
