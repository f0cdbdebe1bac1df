"""`replay/<workspace>`: the replies that an earlier workspace got, as a model. It costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from agent.core.journal.action_results import Applied, Asked, Handed, Refused
from agent.core.journal.events import Finished, Launched, replies_of
from agent.core.journal.kinds import Role
from agent.core.prompt.conversation import load_request
from agent.edges.model.protocol import FREE, ModelReply, Request
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import open_workspace
from agent.errors import IntegrityError, ProviderRefused, UsageError

__all__ = ["PREFIX", "ReplayModel", "is_replay", "read_launch", "replay_name"]

PREFIX = "replay/"


class ReplayModel:
    """The replies of one workspace, each role's in their order.

    The number of the due reply comes from the journal of the workspace that asks, so that a resumed replay goes on
    there. Prompts may differ from the recorded ones. Only the purpose of each request must be the recorded one.
    """

    window_tokens = None
    takes_files = False

    def __init__(self, name: str) -> None:
        self.name = name

    def ask(self, request: Request) -> ModelReply:
        """The next recorded reply of the role.

        Raises: ProviderRefused if no reply is left, or if the next one was given for another purpose.
        """
        replies = replies_of(self._journal.events, request.role)
        number, purpose = request.asked + 1, request.view.purpose
        which = f"reply {number} of the {request.role}"
        if number > len(replies):
            left = f"the recording holds {len(replies)}" if replies else "the recording holds none of that role"
            raise ProviderRefused(self.name, f"there is no {which} (asked to {purpose}): {left}")
        due = replies[number - 1]
        if due.purpose is not purpose:
            said = f"{which} was given when asked to {due.purpose}, and now it is asked to {purpose}"
            raise ProviderRefused(self.name, f"{said}: template, limits or options are not those of the recording")
        try:
            text = self._journal.get(due.reply)
            given_to = load_request(self._journal.get(due.request)) if due.request else None
        except IntegrityError as error:
            raise ProviderRefused(self.name, f"{which} cannot be read: {error}") from error
        return ModelReply(text, PREFIX + Path(self.name).name, FREE, request=given_to)

    def refusal_of(self, role: Role, number: int, template_hash: str) -> tuple[Refused, Callable[[str], str]] | None:
        """How the recording refused a reply of a role, counted from 1, and what reads the texts that this names.

        A later version may read more forms of edits. It makes the same commits all the same. None if the reply was not
        refused, or if the recording has another template.
        """
        events = self._journal.events
        if not isinstance(events[0], Launched) or events[0].template_hash != template_hash:
            return None
        results = [event.result for event in events if isinstance(event, Finished)]
        given = [n for n, result in enumerate(results) if isinstance(result, Asked) and result.role == role]
        after = results[given[number - 1] + 1 :] if 0 < number <= len(given) else []
        found = next((r for r in after if isinstance(r, Applied | Handed | Refused | Asked)), None)
        return (found, self._journal.get) if isinstance(found, Refused) else None

    @cached_property
    def _journal(self) -> Journal:
        return _open(self.name)


def is_replay(model: str) -> bool:
    return model.startswith(PREFIX)


def replay_name(model: str) -> str:
    """The name with its path made absolute if it is a replay's, since a resume may come from another folder."""
    return PREFIX + str(Path(model.removeprefix(PREFIX)).absolute()) if is_replay(model) else model


def read_launch(model: str, option: str = "--model") -> Launched:
    """The launch of the recorded workspace, which was given as `option`.

    Raises: UsageError if it is no workspace, or holds no reply.
    """
    try:
        events = _open(model).events
    except ProviderRefused as error:
        remedy = "write replay/ and the folder of one idea; see: scientist status"
        raise UsageError(f"{option} {model}", error.problem, remedy) from error
    launched = events[0]
    assert isinstance(launched, Launched)
    if not any(replies_of(events, role) for role in Role):
        raise UsageError(f"{option} {model}", "holds no reply", "name a workspace whose model was asked")
    return launched


def _open(model: str) -> Journal:
    """The journal of the recorded workspace.

    Raises: ProviderRefused if there is none that can be read.
    """
    try:
        return open_workspace(Path(model.removeprefix(PREFIX))).journal()
    except (UsageError, IntegrityError) as error:
        raise ProviderRefused(model, error.problem) from error
    except OSError as error:
        raise ProviderRefused(model, f"cannot be read: {error.strerror}") from error
