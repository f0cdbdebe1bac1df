"""The one door to language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.core.journal.budget import Paid
from agent.core.journal.events import Role
from agent.core.model.messages import Message
from agent.core.prompt.view import TurnView

__all__ = ["Model", "ModelReply", "Models", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the messages as rendered, not yet normalised, and the view that they were rendered from.

    role: whose turn it is; asked: replies that role got before. files: whole texts of the files that may be changed.
    check_room: called with what was paid so far before the question costs more; raises BudgetSpent.
    """

    messages: tuple[Message, ...]
    view: TurnView
    role: Role = Role.PLANNER
    asked: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    check_room: Callable[[Paid], None] = lambda paid: None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What came back. `cost_usd` is None where the price is unknown.

    tokens_in includes tokens_cached. requests: HTTP requests sent for it, the refused ones too. finish_reason: "stop",
    or "length" where the reply is cut short even after the model was asked to go on and to say less. reasoning: what
    the model thought, where the provider tells it apart.
    """

    text: str
    model: str
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None
    tokens_cached: int = 0
    requests: int = 1
    finish_reason: str = ""
    reasoning: str = ""

    @property
    def paid(self) -> Paid:
        return Paid(self.tokens_in, self.tokens_out, self.tokens_cached, self.cost_usd, self.requests)


class Model(Protocol):
    """A language model, or what stands in for one."""

    @property
    def name(self) -> str: ...

    @property
    def window_tokens(self) -> int | None:
        """Tokens that a request may have; None if nobody knows, or if no request is too long."""
        ...

    @property
    def takes_files(self) -> bool:
        """Whether it reads `Request.files` or the view, so that a prompt need not show files in part."""
        ...

    def ask(self, request: Request) -> ModelReply:
        """Raises: ProviderUnavailable after the caller's patience, ProviderRefused at once, ContextTooLong.

        What `check_room` raises. All of these tell what was paid.
        """
        ...


@dataclass(frozen=True, slots=True)
class Models:
    """Who does what for an idea: without an editor the planner edits, without a reviewer nobody reviews."""

    planner: Model
    editor: Model | None = None
    reviewer: Model | None = None

    def of(self, role: Role) -> Model:
        """Whoever plays the part."""
        match role:
            case Role.PLANNER:
                return self.planner
            case Role.EDITOR:
                return self.editor or self.planner
            case Role.REVIEWER:
                return self.reviewer or self.planner
