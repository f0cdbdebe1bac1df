"""Servers of one's own (llama.cpp, vLLM, Ollama, LM Studio): where they are, by the variables that name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from agent.core.model.variables import address_variable
from agent.core.text.plain import plain_line

__all__ = [
    "EXAMPLES",
    "PASSED",
    "Place",
    "ServerFacts",
    "needs_address",
    "other_bases",
    "place_of",
    "shown_address",
]

# Providers whose server has no address that litellm knows, with an example. litellm would ask some of them at
# api.openai.com.
EXAMPLES: Final = {
    "hosted_vllm": "http://localhost:8000/v1",
    "lm_studio": "http://localhost:1234/v1",
    "litellm_proxy": "http://localhost:4000/v1",
    "xinference": "http://localhost:9997/v1",
    "custom_openai": "http://localhost:8000/v1",
    "custom": "http://localhost:8000",
    "oobabooga": "http://localhost:5000",
    "triton": "http://localhost:8000/generate",
    "heroku": "https://us.inference.heroku.com",
    "azure_ai": "https://NAME.services.ai.azure.com/models",
}
# Of these, those of somebody else.
_HOSTED: Final = frozenset({"heroku", "azure_ai"})
# Those whose variable litellm does not read: the address goes with each request.
PASSED: Final = frozenset({"xinference", "custom_openai", "custom", "oobabooga"})
# Providers that litellm looks for on this machine.
_AT_HOME: Final = {
    "llamafile": "http://127.0.0.1:8080/v1",
    "ollama": "http://localhost:11434",
    "ollama_chat": "http://localhost:11434",
    "docker_model_runner": "http://localhost:22088/engines/llama.cpp",
    "lemonade": "http://localhost:8000/api/v1",
    "langflow": "http://localhost:7860",
    "langgraph": "http://localhost:2024",
}
_OPENAI_BASES: Final = ("OPENAI_BASE_URL", "OPENAI_API_BASE")  # in the order in which litellm looks


@dataclass(frozen=True, slots=True)
class Place:
    """A server of one's own."""

    variable: str
    address: str
    # Whether the variable named the address: else it is the usual one.
    is_named: bool = True
    # Whether it may write to the end of its window if no length is asked for. Gateways have limits of their own.
    needs_bound: bool = True

    def __str__(self) -> str:
        shown = shown_address(self.address)
        return f"{self.variable}={shown}" if self.is_named else shown


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of one model, None for each fact that it leaves out."""

    # Tokens of a request.
    window_tokens: int | None = None
    # Tokens of the longest request that the model was trained for. The server may have loaded it with fewer.
    trained_tokens: int | None = None
    # Names of its models.
    models: tuple[str, ...] = ()


def needs_address(provider: str, environment: Mapping[str, str]) -> str:
    """The variable that must name the provider's server, "" if one does or none has to."""
    variables = _variables(provider)
    is_missing = provider in EXAMPLES and not any(environment.get(name, "").strip() for name in variables)
    return variables[0] if is_missing else ""


def place_of(provider: str, environment: Mapping[str, str]) -> Place | None:
    """Where the provider's server is, or None if it is no server of one's own, or if no variable names it."""
    if provider in _HOSTED or provider not in {*EXAMPLES, *_AT_HOME, "openai"}:
        return None
    variables = _variables(provider)
    named = next((name for name in variables if environment.get(name, "").strip()), "")
    if named:
        address = environment[named].strip()
        found = Place(named, address, needs_bound=provider != "litellm_proxy")
        return found if provider != "openai" or _is_near(address) else None
    return Place(variables[0], _AT_HOME[provider], is_named=False) if provider in _AT_HOME else None


def _variables(provider: str) -> tuple[str, ...]:
    """Variables that may name the provider's server, the first that is set."""
    if provider == "openai":
        return _OPENAI_BASES
    own = address_variable(f"{provider}/")
    return (own, *_OPENAI_BASES) if provider == "custom_openai" else (own,)


def _is_near(address: str) -> bool:
    """Whether an address is one of this machine or of its own network."""
    try:
        host = urlsplit(address.strip()).hostname or ""
    except ValueError:
        return False
    if not host:
        return False
    if host.endswith((".local", "localhost")) or ("." not in host and ":" not in host):
        return True
    try:
        return ip_address(host).is_private
    except ValueError:  # a name
        return False


def shown_address(value: str) -> str:
    """The address without a password."""
    head, at, tail = value.rpartition("@")
    scheme = head.partition("://")[0] + "://" if "://" in head else ""
    return plain_line(f"{scheme}...@{tail}" if at else value, 200)


def other_bases(address: str) -> tuple[str, ...]:
    """Addresses that may have been meant, if a server knows nothing at this one: with /v1 at the end, or once only."""
    base = address.rstrip("/")
    parts = urlsplit(base)
    root = f"{parts.scheme}://{parts.netloc}"
    return tuple(dict.fromkeys(other for other in (f"{base}/v1", f"{root}/v1") if other != base))
