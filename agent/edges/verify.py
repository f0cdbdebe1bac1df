"""Comparison of a workspace with its journal. It is read without its lock, and nothing in it is changed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from agent.core.evidence.audit import (
    BranchCommit,
    Disagreement,
    NamedBlob,
    PublishedRun,
    compare_branch,
    compare_idea,
    compare_reading,
    compare_tag,
    is_writing,
    named_blobs,
    named_commits,
    published_runs,
)
from agent.core.evidence.results import ResultsProblem
from agent.core.inputs.spec import Source
from agent.core.journal.events import Event
from agent.core.journal.fold import fold
from agent.core.journal.kinds import Measured, Step
from agent.core.journal.state import State
from agent.edges.git.broken import find_broken
from agent.edges.git.repo import BRANCH, Repo
from agent.edges.run.prepare_step import EVALUATION, read_output
from agent.edges.run.reading import read_self_report, read_values
from agent.edges.system.untrusted import Untrusted
from agent.edges.template.load import Template
from agent.edges.workspace.hand_edits import find_edits, has_repository
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import REPLICATIONS, Workspace, frozen_template
from agent.edges.workspace.refs import read_refs
from agent.errors import IntegrityError, UsageError

__all__ = ["Report", "check_agreement", "verify"]

TRIES = 5
_RUN_TAGS = "refs/tags/run/"
_RESULTS: tuple[tuple[Step, Source, str], ...] = (
    (Step.RUN, "final_info", "final_info.json"),
    (Step.EVALUATE, "evaluation", EVALUATION),
)


@dataclass(frozen=True, slots=True)
class Report:
    """Result of verifying one workspace."""

    path: Path  # folder of the workspace
    events: int = 0  # how many events the journal holds
    blobs: int = 0  # how many texts the events name
    commits: int = 0  # how many commits the events name
    runs: int = 0  # how many published runs were compared
    disagreements: tuple[Disagreement, ...] = ()  # contradictions between disk and journal
    remarks: tuple[str, ...] = ()  # worth knowing, and no fault


def verify(workspace: Workspace) -> Report:
    """Compare everything that the journal names with what lies on disk.

    The workspace may be at work: a disagreement counts only if no event came while it was looked for.
    """
    report = Report(workspace.path)
    for _ in range(TRIES):
        before = _journal_size(workspace)
        report = _verify_once(workspace)
        if not report.disagreements or _journal_size(workspace) == before:
            break
    return report


def check_agreement(workspace: Workspace, tell: Callable[[str], None], *, heeds: bool = True) -> None:
    """Tell what disagrees with the journal before an idea goes on. heeds: only what is past may disagree.

    Raises: IntegrityError with the first disagreement about something that is read again.
    """
    disagreements = verify(workspace).disagreements
    grave = [found for found in disagreements if heeds and not found.is_past]
    for found in disagreements:
        if found not in grave[:1]:
            tell(f"{found}" if grave else f"{found}. It goes on all the same")
    if grave:
        way = f"or go on all the same: scientist resume --discard-edits {shlex.quote(str(workspace.path))}"
        raise IntegrityError(f"{workspace.path}: {grave[0].where}", grave[0].problem, f"{grave[0].remedy}; {way}")


def _journal_size(workspace: Workspace) -> int:
    path = workspace.agent / "journal.jsonl"
    return path.stat().st_size if path.is_file() else 0


def _verify_once(workspace: Workspace) -> Report:
    try:
        check = _open(workspace)
    except (IntegrityError, OSError) as error:
        return Report(workspace.path, disagreements=(_tell(workspace, error),))
    found: list[Disagreement] = []
    parts: list[Callable[[], Iterable[Disagreement]]]
    parts = [check.blobs, check.commits, check.tags, check.start, check.work_tree, check.template, check.refs]
    parts += [partial(check.outputs, run) for run in check.runs]
    for part in [*parts, check.run_folders]:
        found += _collect(workspace, part)
    return Report(
        workspace.path,
        events=len(check.events),
        blobs=len(named_blobs(check.events)),
        commits=len(named_commits(check.events)),
        runs=sum(run.seed is None for run in check.runs),
        disagreements=tuple(dict.fromkeys(found)),
        remarks=tuple(check.remarks),
    )


def _open(workspace: Workspace) -> _Check:
    """Read the journal.

    Raises: IntegrityError if it cannot be read, since there is nothing to compare with then.
    """
    journal = workspace.journal()
    try:
        return _Check(workspace, journal, fold(journal.events), published_runs(journal.events))
    except (AssertionError, ValueError) as error:
        problem = f"its events contradict one another: {error}"
        remedy = "restore the file from a copy, or launch the idea again"
        raise IntegrityError(str(journal.path), problem, remedy) from error


def _collect(workspace: Workspace, part: Callable[[], Iterable[Disagreement]]) -> list[Disagreement]:
    """Disagreements of one part. An error that stops the part is added as the last."""
    found: list[Disagreement] = []
    try:
        found.extend(part())
    except (IntegrityError, UsageError, OSError) as error:
        found.append(_tell(workspace, error))
    return found


def _tell(workspace: Workspace, error: IntegrityError | UsageError | OSError) -> Disagreement:
    if isinstance(error, OSError):
        where, problem, remedy = (
            error.filename or workspace.path,
            f"cannot be read: {error.strerror}",
            "make it readable",
        )
    else:
        where, problem, remedy = error.where, error.problem, error.remedy
    return Disagreement(str(where).removeprefix(f"{workspace.path}/"), problem, remedy or "put it back as it was")


@dataclass
class _Check:
    """One comparison of a workspace with its journal. Each public method is a part of it."""

    workspace: Workspace
    journal: Journal
    state: State
    runs: Sequence[PublishedRun]
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.events: list[Event] = self.journal.events
        self.repo: Repo = self.workspace.repo()
        self.has_git = has_repository(self.workspace)
        self.template_read: Template | None = None
        pending = self.state.pending
        publishing = [self.state.run.number] if pending and pending.kind == "Publish" else []
        first = [run.published.run for run in self.runs if run.seed is None]
        self.published = {*first, *publishing}  # run numbers, an open one too
        if tail := self.journal.path.read_bytes().rpartition(b"\n")[2]:
            problem = f"a torn tail, {len(tail)} B that no event acknowledged: no fault"
            self.remarks.append(f".agent/journal.jsonl has {problem}")

    def blobs(self) -> Iterator[Disagreement]:
        read_again = repr(replace(self.state, last_words=""))  # a study goes on without those, too
        for blob in named_blobs(self.events):
            yield from _collect(self.workspace, partial(self._blob, blob, read_again))

    def _blob(self, blob: NamedBlob, read_again: str) -> Iterator[Disagreement]:
        where = f".agent/blobs/{blob.name[:2]}/{blob.name}"
        problem = "is missing"
        if (self.workspace.path / where).is_file():
            try:
                self.journal.get(blob.name)
                return
            except IntegrityError as error:
                problem = error.problem
        said = f"{problem}, the {blob.field} of event {blob.seq}"
        is_past = blob.name not in read_again
        yield Disagreement(where, said, "restore .agent/blobs from a copy", is_past)

    def commits(self) -> Iterator[Disagreement]:
        if not self.has_git:
            yield Disagreement(".git", "is no git repository any more", "put it back from a copy")
            return
        for name in find_broken(self.workspace.path):
            head = self.state.code.head
            by_hand = f"move it away, then: git update-ref refs/heads/main {head}" if "main" in name else "move it away"
            place = shlex.quote(str(self.workspace.path))
            remedy = by_hand if self.state.ended else f"scientist resume --discard-edits {place} moves it away"
            yield Disagreement(name, "cannot be read by git", remedy)
        log = self.repo.log() if self.repo.head() else []
        branch = [BranchCommit(c.sha, c.trailers.get("Step-Id", ""), c.subject) for c in log]
        there = {commit.sha for commit in branch}
        named = named_commits(self.events)
        existing = there | {c.sha for c in named if c.sha not in there and self.repo.resolve(c.sha)}
        yield from compare_branch(self.state, named, branch, existing)
        known = there | {commit.sha for commit in named}
        for name, sha in self.repo.refs().items():
            if name != BRANCH and not name.startswith(_RUN_TAGS) and sha not in known:
                self.remarks.append(f"{name} keeps commit {sha[:10]}, a rescue's or a person's: no event made it")

    def tags(self) -> Iterator[Disagreement]:
        if not self.has_git:
            return
        for run in (run for run in self.runs if run.seed is None):
            tag = run.published.tag
            commit = self.repo.resolve(f"refs/tags/{tag}")
            yield from compare_tag(run, commit, self.repo.tag_message(tag) if commit else "")
        known = {f"run/{number}" for number in self.published}
        for name in self.repo.refs():
            tag = name.removeprefix("refs/tags/")
            if name.startswith(_RUN_TAGS) and tag not in known:
                remedy = f"remove it: git tag --delete {tag}"
                yield Disagreement(f"tag {tag}", "was made by no event", remedy, is_past=True)

    def start(self) -> Iterator[Disagreement]:
        """Compare the committed idea with the launched one."""
        launched = self.state.launched
        if self.has_git and self.repo.resolve(launched.commit):
            try:
                idea = self.workspace.idea(self.repo, launched.commit)
            except (KeyError, ValueError):
                idea = None
            yield from compare_idea(launched, idea)

    def work_tree(self) -> Iterator[Disagreement]:
        if not self.has_git or is_writing(self.state):  # an effect that commits may be at work at this moment
            return
        edits = find_edits(self.repo, self.state)
        if edits.moved:  # `commits` tells where the branch is
            return
        remedy = "resume keeps the change under refs/rescue and says how to go on"
        if self.state.ended:  # no resume looks at it any more
            remedy = "keep the change elsewhere and `git checkout` the file"
        for name in edits.files:
            yield Disagreement(name, "differs from the newest commit", remedy)

    def template(self) -> Iterator[Disagreement]:
        try:
            self.template_read = frozen_template(self.workspace, self.state.launched)
        except (IntegrityError, UsageError):
            if self.runs:
                self.remarks.append("values in run outputs were not compared: only the template says where they stand")
            raise
        yield from ()

    def refs(self) -> Iterator[Disagreement]:
        read_refs(self.workspace.agent)
        yield from ()

    def outputs(self, run: PublishedRun) -> Iterator[Disagreement]:
        """Compare the results files of a published run with the values recorded when its steps ended."""
        if not (self.workspace.path / run.place).is_dir():
            problem = f"is missing, though event {run.seq} published it"
            yield Disagreement(run.place, problem, "put it back from a copy", is_past=run.seed is not None)
            return
        for step, source, name in _RESULTS:
            if step not in run.closed:
                continue
            where = f"{run.place}/{name}"
            text = read_output(self.workspace.path, *run.place.split("/"), name)
            if not isinstance(text, str):
                problem = text.problem if isinstance(text, Untrusted) else "is missing"
                remedy = f"put it back as it was published; event {run.seq} has its values"
                yield Disagreement(where, problem, remedy)
            elif self.template_read:
                yield from self._values(run, step, source, where, text)

    def _values(self, run: PublishedRun, step: Step, source: Source, where: str, text: str) -> Iterator[Disagreement]:
        assert self.template_read
        results = read_values(text, self.template_read, source, where)
        if isinstance(results, ResultsProblem):
            for problem in results.problems:
                remedy = f"put it back as it was published; event {run.seq} has its values"
                yield Disagreement(where, problem, remedy)
            return
        if self.template_read.reads_means:  # names that an older version did not read are no disagreement
            recorded = run.closed[step].values
            results = replace(results, values={n: v for n, v in results.values.items() if n in recorded})
        trust = read_self_report(results.data) if step is Step.EVALUATE else ""
        yield from compare_reading(run, step, where, Measured(results.values, trust))

    def run_folders(self) -> Iterator[Disagreement]:
        known = {f"run_{number}" for number in self.published}
        for path in sorted(self.workspace.path.iterdir()):
            if re.fullmatch(r"run_\d+", path.name) and path.name not in known:  # run_12
                remedy = "move it out of the workspace"
                number = int(path.name.removeprefix("run_"))  # that of a later run would be in its way
                is_past = number < self.state.run.number
                yield Disagreement(path.name, "was published by no event", remedy, is_past)
        one, places = self.state.replications.next, [run.place for run in self.runs]
        for path in sorted((self.workspace.path / REPLICATIONS).glob("*")):
            is_open = one and path == self.workspace.replication_folder(one.run, one.seed)
            if f"{REPLICATIONS}/{path.name}" not in places and not is_open:
                remedy = "move it out of the workspace"
                yield Disagreement(f"{REPLICATIONS}/{path.name}", "was published by no event", remedy, is_past=True)
