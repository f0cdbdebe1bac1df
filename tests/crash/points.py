"""Every point at which a kill could leave something new on disk, found by watching and not by naming call sites.

The interpreter's audit events report each file opened for writing, each rename, link, removal and process. Two patches
report stored events. A process that is given a number dies at that point, as by SIGKILL: no handler runs, and buffers
are not written.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from agent.core.journal.events import Event, Finished, Started
from agent.edges.workspace.journal import Journal, JournalLine

CRASHED = 77
_CHANGES = {
    "os.rename",
    "os.link",
    "os.symlink",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.truncate",
    "shutil.copyfile",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What a killed git leaves, by the command that it was; commands that only read change nothing.
_GIT_LOCKS = {
    "update-ref": "refs/heads/main.lock",
    "read-tree": "index.lock",
    "tag": "refs/tags/{tag}.lock",
    "init": "",
}


class Points:
    """The points of one process below `root`, one line each in `log`. The process dies at number `dies_at`, from 1."""

    def __init__(self, root: Path, log: Path, dies_at: int = 0) -> None:
        self._root = f"{root}/"
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._dies_at = dies_at
        self._count = 0
        self._silent = False

    def reach(self, label: str, halfway: Callable[[], object] = lambda: None) -> None:
        """Pass one point. `halfway` does what a kill in the middle of the operation would leave."""
        self._count += 1
        os.write(self._log, f"{label}\n".encode())
        if self._count == self._dies_at:
            self._silent = True
            halfway()
            os._exit(CRASHED)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Count no points inside the block, whose operations stand for those of another process."""
        before, self._silent = self._silent, True
        try:
            yield
        finally:
            self._silent = before

    def watch(self) -> None:
        """Begin to watch, for the rest of this process's life."""
        _watch_journal(self)
        write = os.write

        def write_or_die(descriptor: int, content: Any) -> int:
            if not self._silent and descriptor != self._log:
                path = self._inside(_name_of(descriptor))
                if path:
                    self.reach(f"half of {path}", lambda: write(descriptor, content[: len(content) // 2]))
            return write(descriptor, content)

        os.write = write_or_die
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._silent:
            return
        if event == "open":
            path, _, flags = arguments
            name = self._inside(path)
            if name and flags & _WRITES:
                self.reach(f"open {name}")
                if flags & os.O_CREAT and not os.path.exists(path):  # noqa: PTH110 - a Path would allocate for each file
                    self.reach(f"empty {name}", lambda: os.close(os.open(path, flags, 0o644)))
        elif event in _CHANGES:
            name = self._inside(arguments[1] if event in ("os.rename", "os.link", "os.symlink") else arguments[0])
            if name:
                self.reach(f"{event.removeprefix('os.')} {name}")
        elif event == "subprocess.Popen":
            self._audit_command([str(part) for part in arguments[1]])

    def _audit_command(self, words: list[str]) -> None:
        command = next((word for word in words if word in _GIT_LOCKS), "")
        if words[0] != "git" or not command:
            return
        self.reach(f"git {command}")
        lock = _GIT_LOCKS[command].format(tag=next((w for w in words if w.startswith("run/")), ""))
        if lock:
            self.reach(f"git {command} killed", lambda: self._leave_lock(lock))

    def _leave_lock(self, name: str) -> None:
        for folder in Path(self._root).rglob(".git"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def _inside(self, path: object) -> str:
        """The path below the root, its numbers and hashes replaced by marks. Empty if it lies elsewhere."""
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if not text.startswith(self._root):
            return ""
        below = re.sub(r"[0-9a-f]{12,}", "*", text.removeprefix(self._root))  # b6a1c9d07e22
        below = re.sub(r"blobs/[0-9a-f]{2}", "blobs/*", below)  # blobs/3f
        if re.fullmatch(r"\S*/\.git/objects/[0-9a-f]{2}", below):  # there already, or not, by the hash of a commit
            return ""
        below = re.sub(r"objects/[0-9a-f]{2}", "objects/*", below)  # objects/3f
        return re.sub(r"\d{3,}", "#", below)  # a pid: 40213


def _watch_journal(points: Points) -> None:
    append = Journal.append

    def append_between(journal: Journal, event: Event) -> JournalLine:
        name = describe(event)
        points.reach(f"before {name}")
        line = append(journal, event)
        points.reach(f"after {name}")
        return line

    Journal.append = append_between  # type: ignore[method-assign]


def describe(event: Event) -> str:
    """An event's kind and subject."""
    if isinstance(event, Started):
        return f"started {event.kind}"
    return f"finished {event.result.type}" if isinstance(event, Finished) else event.type


def _name_of(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - a Path would cost more than the write
    except OSError:
        return ""


def in_child(work: Callable[[], object], errors: Path) -> int:
    """Do it in a process of its own and return how that ended: 0, CRASHED, or 1 with the traceback in `errors`."""
    return os.waitstatus_to_exitcode(os.waitpid(start_child(work, errors), 0)[1])


def start_child(work: Callable[[], object], errors: Path) -> int:
    """Start a process in a session of its own, which exits with the result of `work`, and return its pid."""
    return os.fork() or _exit_after(work, errors)


def _exit_after(work: Callable[[], object], errors: Path) -> NoReturn:
    code = 1
    try:
        os.setsid()
        code = int(work() or 0)  # type: ignore[call-overload]
    except BaseException:  # noqa: BLE001 - a child of pytest must not go on as pytest
        errors.write_text(traceback.format_exc())
    finally:
        os._exit(code)
