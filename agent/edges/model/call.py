"""One request to a provider through litellm: an answer, or a fault with the action that it asks for."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.core.journal.budget import Paid
from agent.core.model.answer.body import ReadBody, read_body
from agent.core.model.answer.ends import BROKEN, end_of
from agent.core.model.answer.reply_fault import fault_in
from agent.core.model.answer.response import complete, see_response
from agent.core.model.answer.usage import Usage
from agent.core.model.destinations import foreign_request, proxy_variable
from agent.core.model.faults import Fault, FaultKind, classify, printable
from agent.core.model.local_fault import local_fault, variable_of
from agent.core.model.messages import Message, to_dicts
from agent.core.model.own_servers import PASSED, place_of
from agent.core.model.rules import DEFAULT_TIMEOUT_S, ModelRules, RuleTable
from agent.core.model.variables import address_variable, key_variable
from agent.core.text.redact import Redactor
from agent.edges.model.litellm_table import full_name, load_litellm, price_of
from agent.edges.model.wire.headers import RateLimits, lower_names, read_limits, retry_after_s
from agent.edges.model.wire.traffic import Traffic, record
from agent.errors import StopRequested

__all__ = ["Answer", "Call", "CallFailed", "address_and_key", "check_stop", "sleep_unless_stopped"]

NAME_CHARS = 200
READ_BYTES = 4000
# "litellm.NotFoundError: OpenAIException - Error code: 404", to which openai adds no body that is no JSON
_BARE = re.compile(r"Error code: \d{3}$")
DEEPEST_CAUSE = 20
CONNECT_TIMEOUT_S = 30.0
POLL_S = 0.2
NO_KEY = "none"  # sent to a server that asks for none: litellm refuses to send nothing


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
    # "stop", "length", "" if the provider does not say, or its own word.
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
class _Addressee:
    """Who was asked, and what is known of its prices."""

    model: str
    rules: ModelRules
    # Seconds since the epoch.
    now: float
    redact: Redactor


@dataclass(frozen=True, slots=True)
class Call:
    """Sends requests to any model. `check_stop` raises if work must end. Errors pass `redact`.

    environment: variables, of which one may name a host or hold a key.
    """

    check_stop: Callable[[], None]
    redact: Redactor = field(default_factory=Redactor)
    now: Callable[[], float] = time.time
    environment: Mapping[str, str] = field(default_factory=dict)

    def send(
        self, model: str, messages: Sequence[Message], rules: ModelRules, dropped: Collection[str], deadline_s: float
    ) -> Answer:
        """Send one request, which ends after `deadline_s` even if the provider goes on.

        Raises: CallFailed, and the exception of `check_stop`.
        """
        litellm = load_litellm()
        parameters = _parameters(model, rules, dropped) | address_and_key(model, self.environment)
        timeout = _read_timeout(rules.timeout_s or DEFAULT_TIMEOUT_S)
        provider = full_name(model).partition("/")[0]
        seen = Traffic(lambda host, key: foreign_request(provider, host, key, self.environment))

        def complete() -> Any:
            with record(seen):
                return litellm.completion(
                    model=model,
                    messages=to_dicts(messages),
                    timeout=timeout,
                    num_retries=0,
                    max_retries=0,
                    drop_params=True,
                    **parameters,
                )

        asked = _Addressee(model, rules, self.now(), self.redact)
        try:
            return _read_answer(asked, self._within(complete, deadline_s), seen)
        except _LibraryError as raised:
            return self._read_unread(asked, raised.error, seen)

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
                fault = Fault(FaultKind.TIMEOUT, f"no complete answer within {round(deadline_s, 1):g} s")
                raise CallFailed(fault, answer=_uncounted(""))  # the provider may have counted it
        if errors:
            raise _LibraryError(errors[0])
        return results[0]

    def _read_unread(self, asked: _Addressee, error: Exception, seen: Traffic) -> Answer:
        """The answer that litellm could not read.

        Raises: CallFailed if there is none.
        """
        headers = lower_names(_headers_of(error))
        limits = read_limits(headers, asked.now)
        answer = _read_in_body(asked, seen, limits)
        if answer is not None:
            return answer
        model = full_name(asked.model)
        fault = self._explain_locally(error, model, seen) or self._classify(error, seen)
        if fault.kind is FaultKind.MODEL and self.environment.get(address_variable(model)):
            fault = replace(fault, text=f"{fault.text} (asked at {seen.address}, as {address_variable(model)} says)")
        wait_s = retry_after_s(headers, asked.now)
        if wait_s is not None:
            fault = replace(fault, wait_s=max(wait_s, fault.wait_s or 0.0))
        raise CallFailed(fault, limits) from error

    def _explain_locally(self, error: Exception, model: str, seen: Traffic) -> Fault | None:
        """The fault of this machine or its network because of which no server answered, None for any other.

        model: with its provider.
        """
        if seen.refused:
            return Fault(FaultKind.MACHINE, printable(self.redact.in_error(seen.refused)))
        if seen.answers:
            return None
        chain = list(_chain(error))
        host = next((host for link in chain if (host := _host_of(link))), "")
        causes = [f"{type(link).__name__}: {link}" for link in chain]
        proxy = proxy_variable(seen.address, self.environment)
        found = local_fault(causes, model, host, variable_of(host, self.environment), self.redact, proxy)
        if found or seen.begun or any(isinstance(link, OSError) for link in chain):
            return found
        fault = self._classify(error, seen)
        is_own = fault.kind in (FaultKind.OUTAGE, FaultKind.REFUSED, FaultKind.GARBLED)
        return replace(fault, kind=FaultKind.MACHINE, text=f"litellm sent nothing: {fault.text}") if is_own else None

    def _classify(self, error: Exception, seen: Traffic) -> Fault:
        import openai

        last = seen.last
        # litellm stumbled over a body that nobody reads, and tells its own classes. Of a web page it tells the title.
        unread = last is not None and last.is_success and last.body.lstrip()[:1] != b"<"
        if last and (unread or not isinstance(error, openai.OpenAIError)):
            return Fault(FaultKind.GARBLED, last.describe(self.redact.in_error))
        status = getattr(error, "status_code", None)
        said = str(error)
        if last and last.body and not last.is_success and _BARE.search(said):
            said = last.body[:READ_BYTES].decode("utf-8", "replace")
        return classify(said, status, type(error).__name__, self.redact)


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


def _parameters(model: str, rules: ModelRules, dropped: Collection[str]) -> dict[str, Any]:
    """Parameters of a request beside model and messages. Ollama's own window is small, whatever the model's is."""
    left_out = sorted({*(rules.drop_params or ()), *dropped})
    parameters: dict[str, Any] = {"max_tokens": rules.max_output_tokens} if rules.max_output_tokens else {}
    if rules.window_tokens and model.startswith(("ollama/", "ollama_chat/")):
        parameters["num_ctx"] = rules.window_tokens
    parameters = {name: value for name, value in parameters.items() if name not in left_out}
    return parameters | ({"additional_drop_params": left_out} if left_out else {})


def address_and_key(model: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Address and key of a server whose own variables litellm does not read: it would take OpenAI's."""
    provider = model.partition("/")[0]
    place = place_of(provider, environment) if provider in PASSED or provider == "openai" else None
    if place is None:
        return {}
    if provider == "openai":
        return {} if environment.get("OPENAI_API_KEY") else {"api_key": NO_KEY}
    names = ("OPENAI_API_KEY",) if place.variable.startswith("OPENAI_") else ()
    key = next((value for name in (key_variable(model), *names) if (value := environment.get(name))), "")
    return {"api_base": place.address, "api_key": key or NO_KEY}


def _headers_of(error: Exception) -> Mapping[str, object] | None:
    """litellm keeps the provider's headers beside the error or in its response, by provider."""
    beside = getattr(error, "litellm_response_headers", None)
    return beside or getattr(getattr(error, "response", None), "headers", None)


def _read_answer(asked: _Addressee, response: Any, seen: Traffic) -> Answer:
    """The answer in litellm's response, as the body that came completes it.

    Raises: CallFailed if nothing in it can be used.
    """
    body = next((answer.body for answer in reversed(seen.answers) if answer.is_success), b"")
    heard = read_body(body) if body else None
    told = see_response(response)
    if heard is None:
        heard = told
    elif told.text.strip() and not heard.form:
        # litellm took thoughts out of the text, or names a block that this reader passes over
        heard = complete(heard, told)
    usage = max(told.usage, heard.usage, key=lambda one: one.total)  # what one of them overlooked was billed too
    hidden: Mapping[str, Any] = getattr(response, "_hidden_params", None) or {}
    is_told = told.usage.is_counted and usage.total == told.usage.total
    cost_usd = hidden.get("response_cost") or None if is_told else None  # litellm says zero without a price
    limits = read_limits(lower_names(hidden.get("additional_headers")), asked.now)
    return _judge(asked, heard, usage, cost_usd, limits)


def _read_in_body(asked: _Addressee, seen: Traffic, limits: RateLimits) -> Answer | None:
    """The answer in a body that litellm could not read, or None if no provider writes such a body.

    Raises: CallFailed if it holds no reply.
    """
    last = seen.last
    if last is None or not last.is_success:
        return None
    if not last.is_whole:
        fault = Fault(FaultKind.OUTAGE, "the connection ended within the answer")
        raise CallFailed(fault, limits, _uncounted(asked.model))
    heard = read_body(last.body)
    if heard is not None:
        return _judge(asked, heard, heard.usage, None, limits)
    if last.begins_as_json:
        fault = Fault(FaultKind.GARBLED, last.describe(asked.redact.in_error))
        raise CallFailed(fault, limits, _uncounted(asked.model))
    return None


def _judge(asked: _Addressee, heard: ReadBody, usage: Usage, told_usd: float | None, limits: RateLimits) -> Answer:
    tokens_in, tokens_out = usage.tokens_in or 0, usage.tokens_out or 0
    is_whole = usage.is_whole and (tokens_out > 0 or not heard.text)
    cached = min(tokens_in, usage.tokens_cached)
    price = asked.rules.price(tokens_in, cached, tokens_out)
    cost_usd = told_usd if price is None else price
    if cost_usd is None and usage.is_counted and (listed := price_of(asked.model, RuleTable())):
        cost_usd = tokens_in * listed.input_usd + tokens_out * listed.output_usd
    counted = usage.is_counted
    end = end_of(heard.finish)
    answer = Answer(
        text=heard.text,
        model=printable((heard.model or asked.model)[:NAME_CHARS]),
        reasoning=heard.reasoning,
        paid=Paid(tokens_in, tokens_out, cached, cost_usd if counted else None, uncounted=0 if is_whole else 1),
        finish_reason="length" if end == BROKEN else end,
        limits=limits,
    )
    fault = fault_in(heard, asked.redact)
    if fault:
        # An error in place of a reply costs nothing, unless the provider counted it.
        raise CallFailed(fault, limits, None if heard.error and not (counted or heard.text) else answer)
    return answer


def _uncounted(model: str) -> Answer:
    """An answer of no use, whose tokens nobody counted."""
    return Answer("", model, Paid(cost_usd=None, uncounted=1))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(DEEPEST_CAUSE):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _host_of(error: BaseException) -> str:
    """The host of a request of httpx, which knows none before one was made. litellm's own errors name any host."""
    import httpx

    try:
        return str(error.request.url.host) if isinstance(error, httpx.RequestError) else ""
    except RuntimeError:
        return ""
