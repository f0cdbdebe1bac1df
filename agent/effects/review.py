"""Take a reviewer's reply: a judgement for notes.txt and, if it revises the idea, a new idea.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent.core.inputs.idea import revise_idea
from agent.core.journal.action_results import Refused, Reviewed
from agent.core.journal.kinds import Role
from agent.core.journal.roles import REVIEW_MISSES
from agent.core.journal.state import State
from agent.core.prompt.facts import review_facts
from agent.core.prompt.notes import append_facts
from agent.core.prompt.render import capitalise
from agent.core.reply.misses import Miss
from agent.core.reply.review import Done, Review, read_review
from agent.edges.system.reader import Unread, read_apart
from agent.effects.commit import commit
from agent.effects.edges import Edges
from agent.errors import UsageError


def review(edges: Edges, state: State, reply: str, key: str) -> Reviewed | Refused:
    """Read the review, and keep it once the reviewer is done with it. Refuse a reply that is no review.

    reply: name of the blob.
    """
    chat = state.reviewing
    assert chat
    found = _read(edges, reply, cut=chat.cut)
    if isinstance(found, Done) and chat.draft:
        found, settled = _read(edges, chat.draft, cut=False), True
    else:
        settled = chat.rounds >= state.launched.reflections
    if isinstance(found, Done):
        found = Miss("there is no review yet that could be done with")
    refused = ""
    if isinstance(found, Review) and found.changes:
        refused = _check_revision(edges, state, found)
        if refused and chat.misses < REVIEW_MISSES:
            found = Miss(f"the revised idea is refused: {refused}", found.line, "REVISED IDEA:")
    if isinstance(found, Miss):
        return Refused(summary=f"review: {found.problem}", feedback=edges.journal.put(f"{capitalise(str(found))}."))
    reviewed = Reviewed(
        run=chat.run,
        judgement=found.judgement.value,
        reason=found.reason,
        suggestions=found.suggestions,
        version=state.idea_version,
        refused=refused,
        final=settled,
    )
    return _keep(edges, state, reviewed, {} if refused else found.changes, key) if settled else reviewed


def _read(edges: Edges, reply: str, *, cut: bool) -> Review | Done | Miss:
    found = read_apart(edges.workspace.is_stopped, read_review, edges.journal.get(reply), cut=cut)
    return Miss(f"your reply {found.why}") if isinstance(found, Unread) else found


def _check_revision(edges: Edges, state: State, review: Review) -> str:
    """The reason why the idea with the changed fields is none, or ""."""
    idea = edges.workspace.idea(edges.repo, state.code.head)
    try:
        revise_idea(idea, review.changes, state.launched.primary)
    except UsageError as error:
        return f"{error.where} {error.problem}"
    return ""


def _keep(edges: Edges, state: State, reviewed: Reviewed, changed: Mapping[str, Any], key: str) -> Reviewed:
    """Commit the review in notes.txt. If it changes the idea, the old one stays beside the new as idea.vN.json."""
    files = edges.repo.read(state.code.head, ("idea.json", "notes.txt"))
    idea = edges.workspace.idea(edges.repo, state.code.head)
    revised = revise_idea(idea, changed, state.launched.primary) if changed else idea
    changes, subject = {}, f"Run {reviewed.run}: the reviewer judges the idea {reviewed.judgement}"
    if revised != idea:
        changes = {f"idea.v{reviewed.version}.json": files["idea.json"], "idea.json": revised.to_json()}
        reviewed = replace(reviewed, version=reviewed.version + 1)
        subject = f"Run {reviewed.run}: the reviewer revises the idea, version {reviewed.version}"
    changes["notes.txt"] = append_facts(files.get("notes.txt", ""), review_facts(reviewed, revised=bool(changes)))
    trailers = {
        "Run": str(reviewed.run),
        "Model": edges.models.of(Role.REVIEWER).name,
        "Idea-Version": str(reviewed.version),
        "Step-Id": key,
    }
    return replace(reviewed, commit=commit(edges.repo, changes, subject, trailers))
