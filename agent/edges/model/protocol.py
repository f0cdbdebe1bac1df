"""The one door to language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from agent.core.journal.budget import Paid
from agent.core.journal.kinds import Role
from agent.core.model.messages import Message
from agent.core.prompt.conversation import ChatRequest
from agent.core.prompt.view import TurnView

__all__ = ["FREE", "UNCOUNTED", "BoundedReply", "Model", "ModelReply", "Models", "Request"]


# One request whose tokens and price nobody knows, and one that costs nothing.
UNCOUNTED = Paid(cost_usd=None, requests=1)
FREE = Paid(requests=1)


@dataclass(frozen=True, slots=True)
class Request:
    """A question to a model."""

    # As rendered, not yet normalised.
    messages: tuple[Message, ...]
    # The values that the last message was rendered from.
    view: TurnView
    # Who is asked.
    role: Role = Role.PLANNER
    # How many replies that role got before.
    asked: int = 0
    # Whole texts of the files that may be changed.
    files: Mapping[str, str] = field(default_factory=dict)
    # Called with the payment so far before the question costs more. Raises BudgetSpent.
    check_room: Callable[[Paid], None] = lambda paid: None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A reply, with the payment for all requests of the question."""

    # As it stands in the answer.
    text: str
    # The name that the provider gives the model.
    model: str
    # Tokens, requests and cost of all requests.
    paid: Paid = UNCOUNTED
    # "stop", or "length" if the reply is cut even after the model was asked to go on and to say less.
    finish_reason: str = ""
    # The model's thoughts, if the provider keeps them apart from the reply.
    reasoning: str = ""
    # The name by which it was asked: of several models the one that answered. Empty if it is `model`.
    asked: str = ""
    # The request that a recorded reply was given to: it is judged by what that one showed.
    request: ChatRequest | None = None


class Model(Protocol):
    """A language model, or a program that plays one."""

    @property
    def name(self) -> str: ...

    @property
    def window_tokens(self) -> int | None:
        """Tokens that a request may have. None if nobody knows, or if no request is too long."""
        ...

    @property
    def takes_files(self) -> bool:
        """Whether it reads `Request.files` or the view, so that a prompt need not show files in part."""
        ...

    def ask(self, request: Request) -> ModelReply:
        """The reply to one question.

        Raises: ProviderUnavailable once patience is spent, ProviderRefused at once, ContextTooLong, and the exception
        of `check_room`. Each of these holds the payment.
        """
        ...


@runtime_checkable
class BoundedReply(Protocol):
    """A model whose replies have a set length."""

    @property
    def output_tokens(self) -> int | None:
        """Most tokens of a reply, None if nobody set them."""
        ...


@dataclass(frozen=True, slots=True)
class Models:
    """The models of an idea. Without an editor the planner edits, and without a reviewer nobody reviews."""

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
