"""The one door to language models."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agent.core.messages import Message, to_dicts
from agent.core.view import TurnView
from agent.errors import ProviderRefused, ProviderUnavailable, UsageError

REQUEST_TIMEOUT_S = 600.0
SHORTEST_TIMEOUT_S = 10.0
LONGEST_WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the messages, and the view that they were rendered from."""

    messages: tuple[Message, ...]
    view: TurnView


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What came back. `cost_usd` is None where the price is unknown."""

    text: str
    model: str
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None


class Model(Protocol):
    """A language model, or what stands in for one."""

    name: str

    def ask(self, request: Request) -> ModelReply:
        """Raises: ProviderUnavailable after the caller's patience, ProviderRefused at once."""
        ...


class LiteLLMModel:
    """Any model that litellm can reach, with the keys that it finds in the environment.

    litellm itself retries nothing: `patience_s` and `sleep` are tenacity's.
    """

    def __init__(self, name: str, *, patience_s: float, sleep: Callable[[float], None]) -> None:
        self.name = name
        self._patience_s = patience_s
        self._sleep = sleep

    def ask(self, request: Request) -> ModelReply:
        import tenacity

        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ProviderUnavailable),
            wait=tenacity.wait_random_exponential(multiplier=1, max=LONGEST_WAIT_S),
            stop=tenacity.stop_after_delay(self._patience_s),
            sleep=self._sleep,
            reraise=True,
        )
        return retry(self._ask_once, request)

    def _ask_once(self, request: Request) -> ModelReply:
        litellm = load_litellm()
        import openai

        try:
            response = litellm.completion(
                model=self.name,
                messages=to_dicts(request.messages),
                timeout=min(REQUEST_TIMEOUT_S, max(SHORTEST_TIMEOUT_S, self._patience_s)),
                num_retries=0,
                max_retries=0,
                drop_params=True,
            )
        except openai.OpenAIError as error:  # the root of every error that litellm raises for a provider
            raise _translate(self.name, error) from error
        return _read_response(self.name, response)


def load_litellm() -> Any:
    """litellm takes two seconds to import: it is imported when first used."""
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def _read_response(name: str, response: Any) -> ModelReply:
    choices = getattr(response, "choices", None) or []
    text = (choices[0].message.content or "") if choices else ""
    if not text.strip():
        raise ProviderUnavailable(name, "answered with an empty reply")
    usage = getattr(response, "usage", None)
    hidden: Mapping[str, Any] = getattr(response, "_hidden_params", None) or {}
    return ModelReply(
        text=text,
        model=str(getattr(response, "model", "") or name),
        tokens_in=int(getattr(usage, "prompt_tokens", 0) or 0),
        tokens_out=int(getattr(usage, "completion_tokens", 0) or 0),
        cost_usd=hidden.get("response_cost"),
    )


_REFUSED_STATUS = frozenset({400, 401, 402, 403, 404, 413, 422})
_KEY = re.compile(r"\b(?:sk|gsk|xai|pplx|hf|r8|nvapi)[-_][\w-]{12,}|\bAIza[\w-]{20,}|(?<=[Bb]earer )\S{8,}")
_REFUSED_TEXT = ("insufficient_quota", "exceeded your current quota", "insufficient balance", "invalid api key")


def _translate(name: str, error: Exception) -> ProviderUnavailable | ProviderRefused:
    """Text first, then status: litellm's classes alone mislead (a spent quota comes as a rate limit).

    Some providers quote the key that they refuse; the text goes to terminal and journal, so keys are blotted out.
    """
    text = _KEY.sub("[key]", " ".join(str(error).split()))[:500]
    if any(sign in text.lower() for sign in _REFUSED_TEXT):
        return ProviderRefused(name, text)
    if getattr(error, "status_code", None) in _REFUSED_STATUS:
        return ProviderRefused(name, text)
    return ProviderUnavailable(name, text)


def check_model(name: str, environment: Mapping[str, str]) -> None:
    """Raises: UsageError where litellm knows no such provider, or its key is not set."""
    litellm = load_litellm()
    try:
        litellm.get_llm_provider(name)
    except litellm.exceptions.BadRequestError as error:
        raise UsageError(
            f"--model {name}",
            "litellm knows no such provider",
            "write provider/model, for example deepseek/deepseek-reasoner, or offline/sweep",
        ) from error
    checked = litellm.validate_environment(name)
    missing = [key for key in checked.get("missing_keys", []) if not environment.get(key)]
    if missing and not checked.get("keys_in_environment"):
        raise UsageError(f"--model {name}", f"{' and '.join(missing)} not set", "export the key or put it into .env")
