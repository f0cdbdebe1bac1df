"""The one door to language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.core.journal.budget import Paid
from agent.core.journal.events import Role
from agent.core.model.messages import Message
from agent.core.prompt.view import TurnView
from agent.edges.model.call import load_litellm
from agent.errors import UsageError

__all__ = ["Model", "ModelReply", "Models", "Request", "check_model", "load_litellm"]


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


def known_window(name: str) -> int | None:
    """The tokens that litellm's table says a model takes in; None where it says nothing."""
    if name.startswith("ollama"):  # litellm would ask the server, which may be down
        return None
    litellm = load_litellm()
    try:
        known = litellm.get_model_info(name).get("max_input_tokens")
    except litellm.exceptions.ModelNotMappedError:
        return None
    return int(known) if known else None


def check_model(name: str, environment: Mapping[str, str], option: str = "--model") -> None:
    """Raises: UsageError where litellm knows no such provider, or its key is not set; `option` is what named it."""
    litellm = load_litellm()
    try:
        litellm.get_llm_provider(name)
    except litellm.exceptions.BadRequestError as error:
        raise UsageError(
            f"{option} {name}",
            "litellm knows no such provider",
            "write provider/model, for example deepseek/deepseek-reasoner, or offline/sweep",
        ) from error
    checked = litellm.validate_environment(name)
    missing = [key for key in checked.get("missing_keys", []) if not environment.get(key)]
    if missing and not checked.get("keys_in_environment"):
        raise UsageError(f"{option} {name}", f"{' and '.join(missing)} not set", "export the key or put it into .env")
