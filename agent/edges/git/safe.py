"""The git command, safe on a repository whose content and configuration a model or its runs may have written.

Configuration outside the repository is off. Everything by which the repository itself can have git run, fetch or
believe something is overridden: hooks, filters, fsmonitor, drivers,
other programs, grafts, replaced objects, lazy fetches.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import git

from agent.edges.git.locks import move_locks
from agent.edges.system.child import ChildEnd
from agent.edges.system.faults import find_fault
from agent.errors import IntegrityError

__all__ = ["ADDRESS", "NAME", "SafeGit"]

NAME = "scientist"
ADDRESS = "scientist@localhost"

_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=all",
    "core.autocrlf=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.alternateRefsCommand=true",
    "core.sshCommand=false",
    "core.gitProxy=",
    "core.askPass=true",
    "core.editor=true",
    "core.pager=cat",
    "core.bare=false",
    "core.commitGraph=false",
    "core.sparseCheckout=false",
    "core.quotePath=false",
    "credential.helper=",
    "diff.external=",
    "diff.orderFile=/dev/null",
    "diff.context=3",
    "diff.interHunkContext=0",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.relative=false",
    "diff.submodule=short",
    "log.showSignature=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "tag.forceSignAnnotated=false",
    "protocol.allow=never",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "trailer.separators=:",
)

# Left by a git hook or a shell that we were started from. GitPython passes our own environment on, so they are emptied.
# The last ones keep git from what the repository itself may say: other parents, other objects, places to fetch from.
_UNSET = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_DEFAULT_HASH": "sha1",
    "GIT_NAMESPACE": "",
    "GIT_EXTERNAL_DIFF": "",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_GRAFT_FILE": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_SHALLOW_FILE": "",
}


class _Killed(Exception):
    """A signal killed git."""


class SafeGit:
    """The git command on the repository of `folder`, and on no other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git = git.Git(str(folder))
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
            GIT_AUTHOR_NAME=NAME,
            GIT_AUTHOR_EMAIL=ADDRESS,
            GIT_COMMITTER_NAME=NAME,
            GIT_COMMITTER_EMAIL=ADDRESS,
            LC_ALL="C.UTF-8",
        )

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        strip: bool = True,
    ) -> str:
        """Run git and return its output. If a signal kills it, it is run once more.

        Raises: IntegrityError if it fails. OSError if the disk does, or if git is killed again.
        """
        try:
            return self._execute(arguments, env, stdin, strip)
        except _Killed:
            for lock in (Path(f"{index}.lock") for index in [(env or {}).get("GIT_INDEX_FILE")] if index):
                lock.unlink(missing_ok=True)
            move_locks(self.folder)
            if stdin is not None:
                os.lseek(stdin, 0, os.SEEK_SET)
        try:
            return self._execute(arguments, env, stdin, strip)
        except _Killed as error:
            raise OSError(errno.EINTR, f"git {arguments[0]} {error}, twice", str(self.folder)) from error

    def _execute(self, arguments: Sequence[str], env: Mapping[str, str] | None, stdin: int | None, strip: bool) -> str:
        """Raises: _Killed; IntegrityError; OSError."""
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
            if isinstance(error.status, int) and error.status < 0:
                raise _Killed(ChildEnd(error.status).told.replace("killed", "was killed")) from error
            said = str(error.stderr).strip().removeprefix("stderr:").strip(" '\n")
            problem = "; ".join(line.strip() for line in said.splitlines() if line.strip())
            if fault := find_fault(problem, self.folder / ".git"):
                told = f"{os.strerror(fault)} (git {arguments[0]}: {problem})"
                raise OSError(fault, told, str(self.folder)) from error
            raise IntegrityError(
                str(self.folder), f"git {arguments[0]} failed: {problem}", "mend the repository, then resume"
            ) from error
        assert isinstance(out, bytes)
        return out.decode("utf-8", "surrogateescape")
