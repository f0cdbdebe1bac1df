"""Changes that a person made to a workspace by hand: found by comparison with the journal, kept, refused or undone."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.journal.state import State
from agent.edges.git.broken import find_broken, move_broken, set_aside
from agent.edges.git.locks import move_locks
from agent.edges.git.repo import Repo
from agent.edges.workspace.layout import Workspace, find_extra_runs
from agent.errors import IntegrityError

__all__ = ["HandEdits", "check_untouched", "discard_edits", "find_edits", "has_repository"]

SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class HandEdits:
    """How branch and work tree differ from the journal."""

    head: str  # newest commit of the branch, empty if there is no branch
    expected: str  # the journal's commit, or that of an open effect if it is on top already
    files: tuple[str, ...]  # tracked files that differ from the branch, and not only because an effect is open

    @property
    def moved(self) -> bool:
        """Whether the branch is at another commit, or gone."""
        return self.head != self.expected

    def __bool__(self) -> bool:
        return self.moved or bool(self.files)


def find_edits(repo: Repo, state: State) -> HandEdits:
    """Compare branch and work tree with the journal, and change nothing.

    While an effect is open, its commit may be on top already, and its files may not be in the work tree yet.
    """
    head, at = repo.head(), state.code.head
    open_commits = [repo.find_step(key) for key in state.open_keys]
    expected = head if head in open_commits else at
    dirty = repo.dirty_files() if head else []
    if dirty and head == expected != at:
        before = repo.read(at)
        dirty = [name for name in dirty if not repo.holds(name, before.get(name))]
    return HandEdits(head, expected, tuple(dirty))


def has_repository(workspace: Workspace) -> bool:
    return (workspace.path / ".git").is_dir()


def check_untouched(workspace: Workspace, repo: Repo, state: State) -> None:
    """Refuse a workspace that was changed by hand, and keep the changes under refs/rescue.

    Raises: IntegrityError naming the change and the ways to go on.
    """
    for row in state.rows:
        if row.completed and not workspace.run_folder(row.run).is_dir():
            problem = "is missing, though the journal says it was published"
            raise IntegrityError(str(workspace.run_folder(row.run)), problem, "put it back")
    if not has_repository(workspace):
        raise IntegrityError(str(workspace.path), "is no git repository any more", "put its .git back, then resume")
    if broken := find_broken(workspace.path):
        where = ", ".join(str(workspace.path / name) for name in broken)
        place = shlex.quote(str(workspace.path))
        remedy = f"put it back, or have it moved to .agent/rescue: scientist resume --discard-edits {place}"
        raise IntegrityError(where, "cannot be read by git", remedy)
    move_locks(workspace.path)
    until_s = time.monotonic() + SETTLE_S
    while (edits := find_edits(repo, state)) and time.monotonic() < until_s:
        time.sleep(SETTLE_S / 10)  # a git that outlived its killed orchestrator ends in a moment
    if not edits:
        return
    where, at, base = str(workspace.path), state.code.head[:10], state.code.head
    kept = [repo.keep_commit(edits.head)] if edits.moved and edits.head else []
    kept += [repo.keep_work_tree(edits.files)] if edits.files else []
    if not edits.head:
        problem = f"branch main is gone, the journal is at {at}"
    elif edits.moved:
        problem, base = f"branch main is at {edits.head[:10]}, the journal at {at}", at
    else:
        where, problem, base = f"{where}: {', '.join(edits.files)}", "was changed by hand", "main"
    raise IntegrityError(where, problem, _ways_on(workspace, base, kept))


def _ways_on(workspace: Workspace, base: str, kept: Sequence[str]) -> str:
    place = shlex.quote(str(workspace.path))
    told = f"kept as {' and '.join(kept)}, to be seen by: git -C {place} diff {base} {kept[-1]}; " if kept else ""
    return f"{told}put it back, or go on without it: scientist resume --discard-edits {place}"


def discard_edits(workspace: Workspace, repo: Repo, state: State) -> list[str]:
    """Bring branch and work tree back to the journal, and name what keeps that which was changed: references, files."""
    if not has_repository(workspace):
        return []  # `check_untouched` names it
    broken = find_broken(workspace.path)
    extra = [path.name for path in find_extra_runs(workspace, state)]  # they are in the way of runs to come
    move_broken(workspace.path, broken)
    for name in extra:
        set_aside(workspace.path, name, "which no event published")
    move_locks(workspace.path)
    edits = find_edits(repo, state)
    foreign = dict.fromkeys(sha for sha in (edits.head, repo.resolve("HEAD")) if sha and sha != edits.expected)
    kept = [f"{name}, in .agent/rescue" for name in broken + extra] + [repo.keep_commit(sha) for sha in foreign]
    if edits.files:
        kept.append(repo.keep_work_tree(edits.files))
    repo.move_branch(edits.expected)
    if not edits.head and (dirty := repo.dirty_files()):
        kept.append(repo.keep_work_tree(dirty))
    repo.write_back()
    return kept
