"""Restore the last good code after a run number was given up, or before its code is written anew."""

from __future__ import annotations

from agent.core.journal.action_results import Restored
from agent.core.journal.state import State
from agent.core.prompt.facts import failure_facts
from agent.core.prompt.notes import append_facts
from agent.effects.commit import commit, trailers_of
from agent.effects.edges import Edges


def restore(edges: Edges, state: State, key: str, *, gives_up: bool) -> Restored:
    """Commit the last good texts of all files but notes.txt.

    gives_up: the run number is given up, and notes.txt says so.
    """
    spec = edges.template.spec
    head = edges.repo.read(state.code.head)
    names = tuple(n for n in {*spec.editable, *spec.run_files} if n != "notes.txt")
    good = edges.repo.read(state.code.good, names)
    changes = {n: t for n, t in good.items() if head.get(n) != t}
    subject = f"Run {state.run.number}: restore the last good code"
    if gives_up:
        changes["notes.txt"] = append_facts(head.get("notes.txt", ""), failure_facts(state))
        subject = f"Run {state.run.number}: give up after {state.run.attempts_spent} attempts"
    made = commit(edges.repo, changes, subject, trailers_of(state, key) | {"Restores": state.code.good})
    return Restored(commit=made, restores=state.code.good, gives_up=gives_up)
