"""litellm, loaded: its table of models (providers and their keys, windows, prices), and the answers that it is given.

litellm raises what it cannot read away, and renames the reasons for a reply's end. Every provider is asked through
httpx, whose `send` is wrapped once: no argument of litellm.completion reaches all of its clients.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from agent.core.journal.budget import Price
from agent.core.model.faults import printable
from agent.core.model.local_fault import wrong_variables
from agent.core.model.rules import RuleTable
from agent.core.model.variables import address_variable
from agent.edges.system.large_imports import import_large
from agent.edges.system.library_warnings import ignore_library_warnings
from agent.errors import UsageError

__all__ = ["Exchange", "check_model", "full_name", "known_window", "load_litellm", "price_of", "record"]

READ_BYTES = 2000
TOLD_CHARS = 200

# Variables that litellm reads. Without them it fetches prices, header names and other tables from its project's site.
WITHOUT_REQUESTS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_OFFLINE_MODE": "True",
}

LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")
# Providers that may find their rights elsewhere (profile, role), and those that need none.
KEYLESS = frozenset({"bedrock", "bedrock_converse", "sagemaker", "sagemaker_chat", "ollama", "ollama_chat"})
# Providers without an address of their own, of which litellm would send prompts to api.openai.com.
NAMED_SERVERS = frozenset({"hosted_vllm", "lm_studio"})


def load_litellm() -> Any:
    """Import litellm, which takes seconds: only when it is first used, and without any request of its own."""
    for name, value in WITHOUT_REQUESTS.items():
        os.environ.setdefault(name, value)
    ignore_library_warnings()
    litellm: Any = import_large("litellm")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they write tracebacks to the terminal
    _wrap_httpx()
    return litellm


def full_name(name: str) -> str:
    """The name with its provider in front: of gpt-4o openai/gpt-4o. A name of no known provider stays as it is."""
    litellm = load_litellm()
    try:
        model, provider, *_ = litellm.get_llm_provider(name)
    except litellm.exceptions.BadRequestError:
        return name
    return f"{provider}/{model}"


def known_window(name: str) -> int | None:
    """The window of a model by litellm's table, or None if the table does not have it."""
    if name.startswith("ollama"):  # litellm would ask the server, which may be down
        return None
    litellm = load_litellm()
    try:
        known = litellm.get_model_info(name).get("max_input_tokens")
    except litellm.exceptions.ModelNotMappedError:
        return None
    return int(known) if known else None


def check_model(name: str, environment: Mapping[str, str], option: str = "--model") -> None:
    """Check the name that was given as `option`.

    Raises: UsageError if litellm knows no such provider, or the provider's key is not set.
    """
    litellm = load_litellm()
    try:
        model, provider, *_ = litellm.get_llm_provider(name)
    except litellm.exceptions.BadRequestError as error:
        raise UsageError(
            f"{option} {name}",
            "litellm knows no such provider",
            _nearest(litellm, name) or "write provider/model, for example deepseek/deepseek-reasoner, or offline/sweep",
        ) from error
    _check_keys(name, provider, environment, option)
    has_socks = importlib.util.find_spec("socksio") is not None
    exists = os.path.exists
    for wrong in wrong_variables(f"{provider}/{model}", environment, has_socks=has_socks, exists=exists):
        raise UsageError(wrong.where, wrong.problem, wrong.remedy)


def _nearest(litellm: Any, name: str) -> str:
    """The names under which litellm's table has a model without its provider."""
    known = [known for known in litellm.model_cost if known.endswith(f"/{name}")] if "/" not in name else []
    return f"write {' or '.join(sorted(known, key=len)[:2])}" if known else ""


def _check_keys(name: str, provider: str, environment: Mapping[str, str], option: str) -> None:
    """Raises: UsageError if the provider's key, or the address of a server of one's own, is not set."""
    if provider in NAMED_SERVERS and not environment.get(address_variable(f"{provider}/")):
        address = address_variable(f"{provider}/")
        raise UsageError(f"{option} {name}", f"{address} not set", f"export it, as {address}=http://localhost:8000/v1")
    if provider in KEYLESS:
        return
    checked = load_litellm().validate_environment(name)
    missing = [key for key in checked.get("missing_keys", []) if not environment.get(key)]
    if missing and not checked.get("keys_in_environment"):
        raise UsageError(f"{option} {name}", f"{' and '.join(missing)} not set", "export the key or put it into .env")


def price_of(model: str, rules: RuleTable) -> Price | None:
    """USD a token, from the settings or from litellm's table. None if neither has it.

    A price of zero counts only in the settings. In litellm's table many unknown prices are zero.
    """
    model = model.removeprefix("aider/")
    registered = rules.find(model)
    if registered.input_usd_per_mtok is not None and registered.output_usd_per_mtok is not None:
        return Price(registered.input_usd_per_mtok / 1e6, registered.output_usd_per_mtok / 1e6)
    litellm = load_litellm()
    try:
        known = litellm.get_model_info(model)
    except litellm.exceptions.ModelNotMappedError:
        return None
    sent, received = known.get("input_cost_per_token"), known.get("output_cost_per_token")
    return Price(float(sent), float(received)) if sent and received else None


# Answers as they came over the wire


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answer. `is_whole` is False if the connection ended within it."""

    status: int
    body: bytes = b""
    is_whole: bool = True

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def begins_as_json(self) -> bool:
        return self.body.lstrip()[:1] in (b"{", b"[")

    def describe(self, redact: Callable[[str], str]) -> str:
        """The body in a few words."""
        text = " ".join(self.body[:READ_BYTES].decode("utf-8", "replace").split())
        if not text:
            return "answered with an empty body"
        kind = "JSON that holds no reply" if self.begins_as_json else "what is no JSON"
        return f"answered with {kind}: {printable(redact(text))[:TOLD_CHARS]}"


_SEEN: ContextVar[list[Exchange] | None] = ContextVar("exchanges of this call", default=None)


@contextmanager
def record(seen: list[Exchange]) -> Iterator[None]:
    """Add to `seen` the answers that come in the meantime, in this thread and those that take over its context."""
    token = _SEEN.set(seen)
    try:
        yield
    finally:
        _SEEN.reset(token)


def _wrap_httpx() -> None:
    """Have every client of httpx tell its answers to `record`. Doing it twice changes nothing more."""
    import httpx

    send = httpx.Client.send
    if hasattr(send, "is_recorded"):
        return

    @functools.wraps(send)
    def recorded(self: httpx.Client, request: httpx.Request, *, stream: bool = False, **more: Any) -> httpx.Response:
        seen = _SEEN.get()
        if seen is None or stream:
            return send(self, request, stream=stream, **more)
        response = send(self, request, stream=True, **more)
        try:
            response.read()
        except BaseException:
            seen.append(Exchange(response.status_code, is_whole=False))
            response.close()
            raise
        seen.append(Exchange(response.status_code, response.content))
        return response

    recorded.is_recorded = True  # type: ignore[attr-defined]
    httpx.Client.send = recorded  # type: ignore[method-assign]
