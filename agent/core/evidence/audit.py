"""Comparison of the files on disk with the journal. Somebody else reads both."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.core.decide import commit_of
from agent.core.inputs.idea import Idea
from agent.core.journal.action_results import (
    Answered,
    Applied,
    Asked,
    Closed,
    Handed,
    Published,
    Refused,
    Restored,
    Reviewed,
)
from agent.core.journal.events import Event, Finished, Launched
from agent.core.journal.fold import advance, begin
from agent.core.journal.kinds import Measured, Step
from agent.core.journal.replications import Replicated, Seeded
from agent.core.journal.state import State
from agent.core.model.messages import scrub

__all__ = [
    "BranchCommit",
    "Disagreement",
    "NamedBlob",
    "NamedCommit",
    "PublishedRun",
    "compare_branch",
    "compare_idea",
    "compare_reading",
    "compare_tag",
    "is_writing",
    "named_blobs",
    "named_commits",
    "published_runs",
]

_WRITING_EFFECTS = frozenset({"ApplyReply", "ReadReview", "Publish", "Restore"})


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A contradiction of the journal. `where` names a file, commit, tag or event, and `remedy` says how to mend it.

    is_past: nothing that comes later reads it, so that the idea can go on.
    """

    where: str
    problem: str
    remedy: str
    is_past: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class NamedBlob:
    """A text that event `seq` names in `field`."""

    seq: int
    field: str
    name: str


@dataclass(frozen=True, slots=True)
class NamedCommit:
    """A commit that event `seq` made, and the Step-Id that it must carry: empty for the first commit."""

    seq: int
    sha: str
    step_id: str


@dataclass(frozen=True, slots=True)
class BranchCommit:
    """A commit as it is on the branch."""

    sha: str
    step_id: str
    subject: str


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """A completed run as the journal knows it: `commit` is the code that ran, `closed` its last steps by kind."""

    seq: int
    commit: str
    published: Published
    closed: Mapping[Step, Closed]
    seed: int | None = None  # of a replication of that run

    @property
    def place(self) -> str:
        """Its folder in the workspace."""
        run = f"run_{self.published.run}"
        return run if self.seed is None else f"replications/{run}.seed_{self.seed}"


def named_blobs(events: Iterable[Event]) -> list[NamedBlob]:
    """Every blob once, with the first event that names it."""
    found: dict[str, NamedBlob] = {}
    for seq, event in enumerate(events):
        for name, blob in _blobs_of(event):
            found.setdefault(blob, NamedBlob(seq, name, blob))
    return list(found.values())


def _blobs_of(event: Event) -> list[tuple[str, str]]:
    named: tuple[tuple[str, str | None], ...] = ()
    match event:
        case Finished(result=Asked(request=request, reply=reply, reasoning=reasoning)):
            named = (("request", request), ("reply", reply), ("reasoning", reasoning))
        case Finished(result=Refused(feedback=feedback, staged=staged) | Answered(feedback=feedback, staged=staged)):
            named = (("feedback", feedback), ("staged", staged))
        case Finished(result=Handed(instruction=instruction, staged=staged)):
            named = (("instruction", instruction), ("staged", staged))
        case _:
            pass
    return [(name, blob) for name, blob in named if blob]


def named_commits(events: Iterable[Event]) -> list[NamedCommit]:
    """Every commit that an event made, in order."""
    found: dict[str, NamedCommit] = {}
    for seq, event in enumerate(events):
        match event:
            case Launched(commit=sha, begun=begun):
                for made in (sha, *([begun.commit] if begun else [])):
                    found.setdefault(made, NamedCommit(seq, made, ""))
            case Finished(result=Applied() | Reviewed() | Published() | Restored() as result) if result.commit:
                found.setdefault(result.commit, NamedCommit(seq, result.commit, event.key))
            case Replicated(commit=sha, key=key) if sha:
                found.setdefault(sha, NamedCommit(seq, sha, key))
            case _:
                pass
    return list(found.values())


def published_runs(events: Sequence[Event]) -> list[PublishedRun]:
    """Every completed run and replication, with the code and the steps that it was published from."""
    first = events[0]
    assert isinstance(first, Launched)
    state, closed, runs = begin(first), dict[str, Closed](), list[PublishedRun]()
    for seq, event in enumerate(events[1:], start=1):
        if isinstance(event, Finished) and isinstance(event.result, Closed):
            closed[event.result.folder] = event.result
        if isinstance(event, Finished) and isinstance(event.result, Published) and state.attempt.candidate:
            candidate = state.attempt.candidate
            steps = {step: closed[folder] for step, folder in candidate.folders.items() if folder in closed}
            runs.append(PublishedRun(seq, candidate.commit, event.result, steps))
        if isinstance(event, Seeded) and isinstance(event.result, Closed):
            closed[event.result.folder] = event.result
        if isinstance(event, Seeded) and isinstance(event.result, Published) and (one := state.replications.next):
            steps = {step: closed[folder] for step, folder in one.folders.items() if folder in closed}
            runs.append(PublishedRun(seq, commit_of(state, one.run), event.result, steps, one.seed))
        state = advance(state, event)
    return runs


def is_writing(state: State) -> bool:
    """Whether an effect of the loop is open that makes a commit."""
    return state.pending is not None and state.pending.kind in _WRITING_EFFECTS


def compare_branch(
    state: State, named: Sequence[NamedCommit], branch: Sequence[BranchCommit], existing: Collection[str]
) -> list[Disagreement]:
    """Disagreements of the branch, oldest commit first, with the commits that events made.

    existing: the commits that git has anywhere. While an effect is open, its commit may be on top already.
    """
    by_sha = {commit.sha: commit for commit in branch}
    known = {commit.sha for commit in named}
    keys = [key for key in state.open_keys if is_writing(state) or not state.pending or key != state.pending.key]
    in_flight = {commit.sha for commit in branch[-1:] if commit.step_id in keys}
    back = f"git branch mine main, then git update-ref refs/heads/main {state.code.head}"
    checked = [c for c in named if branch or c.sha not in existing]  # with no branch at all that is one disagreement
    found = [problem for commit in checked if (problem := _compare_commit(commit, by_sha, existing))]
    unknown = [commit for commit in branch if commit.sha not in known | in_flight]
    found += [
        Disagreement(
            f"commit {commit.sha[:10]} ({commit.subject})",
            "is on branch main, and no event made it",
            f"keep it under a name of its own and go back: {back}",
        )
        for commit in unknown
    ]
    head = branch[-1].sha if branch else ""
    if head not in {state.code.head, *in_flight, *(commit.sha for commit in unknown)}:
        where = head[:10] or "no commit"
        found.append(Disagreement("branch main", f"is at {where}, the journal at {state.code.head[:10]}", back))
    return found


def _compare_commit(
    commit: NamedCommit, branch: Mapping[str, BranchCommit], existing: Collection[str]
) -> Disagreement | None:
    where = f"commit {commit.sha[:10]} of event {commit.seq}"
    if commit.sha not in existing:
        return Disagreement(where, "is missing", "restore .git from a copy")
    if commit.sha not in branch:
        return Disagreement(where, "is not on branch main", "bring branch main back to the journal's commit")
    step_id = branch[commit.sha].step_id
    if commit.step_id and step_id != commit.step_id:
        return Disagreement(
            where, f"carries Step-Id {step_id or 'none'}, not {commit.step_id}", "restore .git from a copy"
        )
    return None


def compare_tag(run: PublishedRun, commit: str | None, message: str) -> list[Disagreement]:
    """Disagreements of the tag of a completed run. `commit` is the one that it names, None if there is no tag."""
    tag = run.published.tag
    where = f"tag {tag}"
    again = f"restore .git from a copy; event {run.seq} has the values"
    if commit is None:
        return [Disagreement(where, f"is missing, though event {run.seq} published the run", again, is_past=True)]
    found = []
    if commit != run.commit:
        move = f"move it back: git tag --force {tag} with commit {run.commit[:10]} and its message, or {again}"
        found.append(Disagreement(where, f"names {commit[:10]}, not {run.commit[:10]} which ran", move, is_past=True))
    try:
        stored = json.loads(message.rstrip().rpartition("\n\n")[2])["metrics"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [*found, Disagreement(where, "holds no metrics as JSON", again, is_past=True)]
    if stored != run.published.values:
        found.append(Disagreement(where, f"has metrics that event {run.seq} did not record", again))
    return found


def compare_reading(run: PublishedRun, step: Step, where: str, now: Measured) -> list[Disagreement]:
    """Disagreements of a published results file, read now, with the values read when its step ended."""
    closed = run.closed[step]
    put_back = f"put the file back as it was published; event {run.seq} has the values"
    names = sorted(
        name for name in closed.values.keys() | now.values if closed.values.get(name) != now.values.get(name)
    )
    found = [
        Disagreement(
            where,
            f"{name} is {_show(now.values.get(name))}, the journal recorded {_show(closed.values.get(name))}",
            put_back,
        )
        for name in names
    ]
    if now.self_reported != closed.self_reported:
        says, said = (text or "nothing" for text in (now.self_reported, closed.self_reported))
        problem = f"says of being self-reported: {says}; the journal recorded: {said}"
        found.append(Disagreement(where, problem, put_back))
    return found


def _show(value: float | None) -> str:
    return "absent" if value is None else repr(value)


def compare_idea(launched: Launched, idea: Idea | None) -> list[Disagreement]:
    """Disagreements of idea.json in the first commit with the launch. `idea` is None if the file holds none."""
    where = f"idea.json of commit {launched.commit[:10]}"
    again = "restore workspace and .git from a copy"
    if idea is None:
        return [Disagreement(where, "holds no idea", again)]
    if (scrub(idea.slug), scrub(idea.Title)) != (launched.workspace, launched.title):
        problem = f"is about {idea.Title!r} ({idea.slug}), launched was {launched.title!r} ({launched.workspace})"
        return [Disagreement(where, problem, again)]
    return []
