"""Host and key of a request before it is sent: to the provider or address that the user named, or nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from agent.core.model.own_servers import place_of
from agent.core.model.variables import address_variable, provider_prefixes

__all__ = ["ADDRESS", "OPENAI", "foreign_request", "leads_away", "proxy_variable", "say_unread", "unread_address"]

# "OPENAI_API_BASE", "OPENAI_BASE_URL", "AWS_BEDROCK_RUNTIME_ENDPOINT"
ADDRESS: Final = re.compile(r"_(?:API_BASE|BASE_URL|API_URL|ENDPOINT)$")
# Providers that are asked with OpenAI's key and at its address.
OPENAI: Final = frozenset({"openai", "text-completion-openai", "aiohttp_openai", "custom_openai"})
OPENAI_HOST: Final = "api.openai.com"
# Variables of other programs that begin like a provider's: of GitHub's runners, and of the client of wandb.
_OF_OTHERS: Final = frozenset({"GITHUB_API_URL", "WANDB_BASE_URL"})


def unread_address(provider: str, host: str, environment: Mapping[str, str]) -> str:
    """The variable with an address of the provider that litellm does not read: it asks another host. "" if none."""
    prefixes = provider_prefixes(f"{provider}/")
    own = {n: v for n, v in environment.items() if n.startswith(prefixes) and n not in _OF_OTHERS}
    named = {name: value for name, value in own.items() if ADDRESS.search(name) and "://" in value}
    is_read = any(name.startswith("AWS_") or _host_in(value) in (host, "") for name, value in named.items())
    return "" if is_read else min(named, default="")


def foreign_request(provider: str, host: str, authorization: str, environment: Mapping[str, str]) -> str:
    """Why a request to this host with this key is not the provider's, "" if it may be.

    litellm asks OpenAI's host, and with OpenAI's key, for providers whose own address or key it does not find.
    """
    if variable := unread_address(provider, host, environment):
        return f"litellm does not read {variable}, and would ask {host} ({say_unread(variable)})"
    if provider in OPENAI:
        return ""
    if host == OPENAI_HOST:
        return f"litellm finds no address of {provider}, and would ask {host} (export {address_variable(provider)})"
    key = authorization.removeprefix("Bearer ")
    holders = [name for name, value in environment.items() if value.strip() == key]
    if not key or not holders or not all(name.startswith("OPENAI_") for name in holders):
        return ""
    return f"litellm finds no key of {provider}, and would send {holders[0]} to {host} (export the key of {provider})"


def say_unread(variable: str) -> str:
    """The remedy for an address that litellm does not read."""
    return f"name the model openai/MODEL and its server with OPENAI_API_BASE, or unset {variable}"


def leads_away(name: str, proxy: str, provider: str, environment: Mapping[str, str]) -> bool:
    """Whether prompts for a server on this machine would leave it for the proxy."""
    prefixes = provider_prefixes(f"{provider}/")
    named = [v for n, v in environment.items() if n.startswith(prefixes) and ADDRESS.search(n) and "://" in v]
    place = place_of(provider, environment)
    own = named or ([place.address] if place else [])
    passed = {"HTTP_PROXY": "http://", "HTTPS_PROXY": "https://"}.get(name, "")
    hosts = [_host_in(address) for address in own if address.lower().startswith(passed)]
    proxy_host = _host_in(proxy if "://" in proxy else f"http://{proxy}")
    is_away = not _is_loopback(proxy_host)
    return is_away and any(_is_loopback(host) and not _is_excepted(host, environment) for host in hosts)


def proxy_variable(address: str, environment: Mapping[str, str]) -> str:
    """The variable with the proxy that is asked for an address, "" if none is."""
    scheme, host = address.partition("://")[0].lower(), _host_in(address)
    if _is_excepted(host, environment):
        return ""
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return next((name for name in names if environment.get(name, "").strip()), "")


def _is_excepted(host: str, environment: Mapping[str, str]) -> bool:
    """Whether a host, or a domain above it, stands in NO_PROXY."""
    given = f"{environment.get('NO_PROXY', '')},{environment.get('no_proxy', '')}".split(",")
    parts = [part.strip().lstrip(".") for part in given if part.strip()]
    names = [_host_in(part if "://" in part else f"//{part}") or part for part in parts]  # "localhost:8000" has a port
    return "*" in names or any(host == name or host.endswith(f".{name}") for name in names)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")


def _host_in(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
