"""Commits of an effect: made once, and found by their step key after a crash."""

from __future__ import annotations

from collections.abc import Mapping

from agent.core.journal.kinds import Stage
from agent.core.journal.state import State
from agent.edges.git.repo import Repo
from agent.errors import IntegrityError


def commit(repo: Repo, changes: Mapping[str, str], subject: str, trailers: Mapping[str, str]) -> str:
    """The commit with the trailers' Step-Id, made now or found. It is "" if there is nothing to change."""
    if not changes:
        return ""
    key = trailers["Step-Id"]
    found = repo.find_step(key)
    if not found:
        try:
            return repo.commit(changes, subject, trailers)
        except IntegrityError:  # the git of an earlier try, whose orchestrator was killed, may have come first
            found = repo.find_step(key)
            if not found:
                raise
    # Its own text: another version of this program, which was killed after its commit, may have worded it otherwise.
    texts = repo.read(found)
    repo.check_out({name: texts.get(name, text) for name, text in changes.items()})
    return found


def trailers_of(state: State, key: str) -> dict[str, str]:
    """Lines at the end of a commit message that say which run, attempt or stage it belongs to."""
    place = {"Run": str(state.run.number), "Attempt": str(state.run.attempt)}
    if state.stage in (Stage.PLOT, Stage.NOTES):
        place = {"Stage": state.stage.value}
    if state.launched.control:
        place["Control"] = state.launched.control.removeprefix("control: ")
    return place | {"Step-Id": key}
