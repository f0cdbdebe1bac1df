"""A reply that changes nothing and asks to see code: whether it is one, and whether it is still answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agent.core.edit.apply import EditResult, has_blocks
from agent.core.journal.kinds import PlanItem, Role
from agent.core.journal.state import State
from agent.core.reply.code_request import CodeRequest, find_code_request
from agent.core.reply.plan import ParsedReply
from agent.core.reply.turn import Turn

__all__ = ["MOST_ANSWERS", "Inquiry", "find_inquiry", "places_beside"]

MOST_ANSWERS: Final = 3  # in one chat


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A reply that asks to see code. `staged` holds the files that earlier replies changed, as they were."""

    request: CodeRequest
    staged: dict[str, str] = field(default_factory=dict)
    plan: tuple[PlanItem, ...] | None = None


def find_inquiry(state: State, turn: Turn, parsed: ParsedReply, result: EditResult) -> CodeRequest | None:
    """The request of a reply that asks to see code and holds no edit and no command. Words to an editor come first."""
    is_edit = result.applied or any(r.block.search or r.block.replace for r in result.rejected)
    if is_edit or parsed.all_completed or parsed.replicate or not _hears(state, turn):
        return None
    if not result.rejected and has_blocks(turn.reply):
        return None
    return find_code_request(turn.reply, turn.readable, turn.run_files[0], strict=_instructs(state))


def places_beside(state: State, turn: Turn) -> tuple[str, ...]:
    """Places of the code that a reply asks to see beside its edits."""
    if not _hears(state, turn) or _instructs(state):
        return ()
    found = find_code_request(turn.reply, turn.readable, turn.run_files[0])
    return found.places if found else ()


def _hears(state: State, turn: Turn) -> bool:
    """Whether requests to see code are answered: not those of a program that reads the files by itself."""
    is_program = state.launched.editor != "blocks" and state.attempt.conversation.role is Role.EDITOR
    return turn.answers and bool(turn.run_files) and not is_program


def _instructs(state: State) -> bool:
    """Whether the reply is a planner's, whose words an editor carries out."""
    return state.launched.separate_editor and state.attempt.conversation.role is Role.PLANNER
