"""The edits of an idea and their outcomes: git's commits joined with the journal's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.core.journal.action_results import Applied, Closed, Linted, Published, Restored, Reviewed
from agent.core.journal.events import Event, Finished, Launched
from agent.core.journal.kinds import Intent, Step
from agent.core.journal.replications import Replicated
from agent.edges.git.log import Commit

__all__ = ["CommitOutcome", "EditRow", "edit_rows", "outcomes"]


@dataclass(frozen=True, slots=True)
class CommitOutcome:
    """Outcome of a commit: completed, failed, restored, or nothing yet."""

    outcome: str
    metrics: dict[str, float]
    failure: str | None


@dataclass(frozen=True, slots=True)
class EditRow:
    """One commit of the branch, as `history` shows it."""

    commit: Commit
    run: int | None
    attempt: int | None
    model: str | None
    outcome: CommitOutcome


_NOTHING = CommitOutcome("", {}, None)


def outcomes(events: Sequence[Event]) -> dict[str, CommitOutcome]:
    """Outcome by commit.

    A replication has no commit of its own, so its outcome is put on the commit of its results.
    """
    found: dict[str, CommitOutcome] = {}
    trial = ""
    for event in events:
        if isinstance(event, Launched) and event.begun:
            found[event.begun.commit] = CommitOutcome("begun", {}, None)
        if isinstance(event, Replicated) and event.commit:
            found[event.commit] = CommitOutcome("replicated", {}, None)
        if not isinstance(event, Finished):
            continue
        match event.result:
            case Applied(intent=Intent.RUN | Intent.REPLICATE | Intent.PLOT) as applied:
                trial = applied.commit
            case Applied() as applied if applied.commit:
                found[applied.commit] = CommitOutcome("applied", {}, None)
            case Closed(infrastructure=True):
                pass
            case Linted(failure=failure) | Closed(failure=failure) if failure and trial:
                found[trial] = CommitOutcome("failed", {}, failure.summary)
            case Closed(step=Step.PLOT) if trial:
                found.setdefault(trial, CommitOutcome("plotted", {}, None))
            case Published() as published:
                if trial:
                    found[trial] = CommitOutcome("completed", published.values, None)
                if published.commit:
                    done = CommitOutcome("completed", published.values, None)
                    found[published.commit] = CommitOutcome("recorded", {}, None) if trial else done
            case Reviewed() as reviewed if reviewed.commit:
                found[reviewed.commit] = CommitOutcome(f"idea {reviewed.judgement}", {}, None)
            case Restored() as restored if restored.commit:
                found[restored.commit] = CommitOutcome("gave up" if restored.gives_up else "restored", {}, None)
            case _:
                pass
    return found


def edit_rows(commits: Sequence[Commit], known: Mapping[str, CommitOutcome]) -> list[EditRow]:
    """Commits oldest first, each with its outcome."""
    rows = []
    for commit in commits:
        rows.append(
            EditRow(
                commit,
                _read_count(commit.trailers.get("Run", "")),
                _read_count(commit.trailers.get("Attempt", "")),
                commit.trailers.get("Model"),
                known.get(commit.sha, _NOTHING),
            )
        )
    return rows


def _read_count(text: str) -> int | None:
    """The number in a trailer. A person's commit may hold anything there."""
    return int(text) if text.isdecimal() and len(text) < 10 else None
