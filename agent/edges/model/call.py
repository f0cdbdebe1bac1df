"""One request to a provider through litellm: an answer, or a fault with the action that it asks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.core.journal.budget import Paid
from agent.core.model.faults import Fault, FaultKind, classify, printable
from agent.core.model.messages import Message, to_dicts
from agent.core.model.rules import DEFAULT_TIMEOUT_S, ModelRules
from agent.core.text.redact import Redactor
from agent.edges.model.headers import RateLimits, lower_names, read_limits, retry_after_s
from agent.edges.model.litellm_table import load_litellm
from agent.errors import StopRequested

CONNECT_TIMEOUT_S = 30.0
POLL_S = 0.2
NAME_CHARS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request."""

    # The reply as the provider gives it.
    text: str
    # Name of the model as the provider gives it.
    model: str
    # Tokens and cost. Requests are counted for the whole question, those without an answer too.
    paid: Paid
    # The model's thoughts, if the provider keeps them apart from the reply.
    reasoning: str = ""
    # "stop", "length" or the provider's own word.
    finish_reason: str = ""
    # Rates in the headers.
    limits: RateLimits = field(default_factory=RateLimits)


class CallFailed(Exception):
    """One request failed.

    limits: the rates in the headers of the error.
    answer: an answer of no use, which the provider counted all the same.
    """

    def __init__(self, fault: Fault, limits: RateLimits | None = None, answer: Answer | None = None) -> None:
        self.fault, self.limits, self.answer = fault, limits or RateLimits(), answer
        super().__init__(f"{fault.kind}: {fault.text}")


@dataclass(frozen=True, slots=True)
class Call:
    """Sends requests to any model. `check_stop` raises if work must end. Errors pass `redact`."""

    check_stop: Callable[[], None]
    redact: Redactor = field(default_factory=Redactor)
    now: Callable[[], float] = time.time

    def send(
        self, model: str, messages: Sequence[Message], rules: ModelRules, dropped: Collection[str], deadline_s: float
    ) -> Answer:
        """Send one request, which ends after `deadline_s` even if the provider goes on.

        Raises: CallFailed, and the exception of `check_stop`.
        """
        litellm = load_litellm()
        parameters = _parameters(rules, dropped)
        timeout = _read_timeout(rules.timeout_s or DEFAULT_TIMEOUT_S)

        def complete() -> Any:
            return litellm.completion(
                model=model,
                messages=to_dicts(messages),
                timeout=timeout,
                num_retries=0,
                max_retries=0,
                drop_params=True,
                **parameters,
            )

        try:
            response = self._within(complete, deadline_s)
            return _read(model, response, rules, self.now())
        except _LibraryError as raised:
            raise self._explain(raised.error) from raised.error

    def _within(self, act: Callable[[], Any], deadline_s: float) -> Any:
        """The result of `act`, done on a thread. If it outlasts the deadline or a stop, the thread is left behind.

        A timeout of the socket alone is not enough: it starts anew with every byte that arrives.
        """
        results: list[Any] = []
        errors: list[Exception] = []
        done = threading.Event()

        def work() -> None:
            try:
                results.append(act())
            except Exception as error:  # noqa: BLE001 - the edge of a worker: its caller reads the error
                errors.append(error)
            done.set()

        threading.Thread(target=work, name="provider call", daemon=True).start()
        deadline = time.monotonic() + deadline_s
        while not done.wait(max(0.0, min(POLL_S, deadline - time.monotonic()))):
            self.check_stop()
            if time.monotonic() >= deadline:
                raise CallFailed(Fault(FaultKind.TIMEOUT, f"no complete answer within {deadline_s:g} s"))
        if errors:
            raise _LibraryError(errors[0])
        return results[0]

    def _explain(self, error: Exception) -> CallFailed:
        import openai

        if not isinstance(error, openai.OpenAIError):  # litellm could not read the provider's answer
            text = self.redact.in_error(" ".join(f"{type(error).__name__}: {error}".split()))[:500]
            return CallFailed(Fault(FaultKind.GARBLED, printable(text)))
        headers = lower_names(_headers_of(error))
        status = getattr(error, "status_code", None)
        fault = classify(str(error), status, type(error).__name__, self.redact)
        wait_s = retry_after_s(headers, self.now())
        if wait_s is not None:
            fault = replace(fault, wait_s=max(wait_s, fault.wait_s or 0.0))
        return CallFailed(fault, read_limits(headers, self.now()))


class _LibraryError(Exception):
    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


def check_stop(is_stopped: Callable[[], bool]) -> None:
    """Raises: StopRequested if work must end."""
    if is_stopped():
        raise StopRequested("stopped by request while waiting for the provider")


def sleep_unless_stopped(seconds: float, is_stopped: Callable[[], bool]) -> None:
    """Raises: StopRequested, soon after it is asked for."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        check_stop(is_stopped)
        time.sleep(min(POLL_S, left))


def _read_timeout(timeout_s: float) -> Any:
    """Of the socket, the same for all calls of a model: litellm keeps a connection pool for each timeout it sees."""
    import httpx

    return httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))


def _parameters(rules: ModelRules, dropped: Collection[str]) -> dict[str, Any]:
    """Parameters of a request beside model and messages."""
    left_out = sorted({*(rules.drop_params or ()), *dropped})
    parameters: dict[str, Any] = {"max_tokens": rules.max_output_tokens} if rules.max_output_tokens else {}
    parameters = {name: value for name, value in parameters.items() if name not in left_out}
    return parameters | ({"additional_drop_params": left_out} if left_out else {})


def _headers_of(error: Exception) -> Mapping[str, object] | None:
    """litellm keeps the provider's headers beside the error or in its response, by provider."""
    beside = getattr(error, "litellm_response_headers", None)
    return beside or getattr(getattr(error, "response", None), "headers", None)


def _read(model: str, response: Any, rules: ModelRules, now: float) -> Answer:
    """The answer in a response.

    Raises: CallFailed if nothing in it can be used.
    """
    choices = getattr(response, "choices", None) or []
    message = getattr(choices[0], "message", None) if choices else None
    finish = str(getattr(choices[0], "finish_reason", None) or "") if choices else ""
    text = getattr(message, "content", None) or ""
    usage = getattr(response, "usage", None)
    hidden: Mapping[str, Any] = getattr(response, "_hidden_params", None) or {}
    tokens_in, tokens_out = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    details = getattr(usage, "prompt_tokens_details", None)
    cached = min(tokens_in, _count(details, "cached_tokens") or _count(usage, "cache_read_input_tokens"))
    price = rules.price(tokens_in, cached, tokens_out)
    told = hidden.get("response_cost") or None  # litellm says zero if it has no price
    cost_usd = told if price is None else price
    answer = Answer(
        text=str(text),
        model=printable(str(getattr(response, "model", "") or model)[:NAME_CHARS]),
        reasoning=str(getattr(message, "reasoning_content", None) or ""),
        paid=Paid(tokens_in, tokens_out, cached, cost_usd if tokens_in or tokens_out else None),
        finish_reason=finish,
        limits=read_limits(lower_names(hidden.get("additional_headers")), now),
    )
    counted = answer if tokens_in or tokens_out else None
    if finish == "content_filter":
        fault = Fault(FaultKind.CONTENT, "the answer was withheld by the provider's content filter")
        raise CallFailed(fault, answer.limits, counted)
    if not (isinstance(text, str) and text.strip()) and finish != "length":
        fault = Fault(FaultKind.GARBLED, "answered with an empty reply" if choices else "answered nothing")
        raise CallFailed(fault, answer.limits, counted)
    return answer


def _count(source: Any, name: str) -> int:
    return max(0, int(getattr(source, name, 0) or 0))
