"""Faults of one's own machine: a proxy, a certificate, a key or an address that no wait will mend.

They are found in the variables before anything is sent, and in the causes of an error afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from agent.core.model.destinations import ADDRESS, OPENAI, leads_away
from agent.core.model.faults import Fault, FaultKind, printable
from agent.core.model.own_servers import shown_address
from agent.core.model.variables import address_variable, key_variable, provider_prefixes
from agent.core.text.redact import Redactor

__all__ = ["WrongVariable", "local_fault", "variable_of", "wrong_variables"]

# "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"
_KEY: Final = re.compile(r"_(?:API_?KEY|ACCESS_KEY(?:_ID)?|KEY|TOKEN)$")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_PROXY_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_FILES: Final = ("SSL_CERT_FILE", "SSL_CERTIFICATE", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class WrongVariable:
    """A variable of the environment with which no request can be sent. `shown` is its value, empty for a key."""

    name: str
    shown: str
    problem: str
    remedy: str

    @property
    def where(self) -> str:
        return f"{self.name}={self.shown}" if self.shown else self.name


def wrong_variables(
    model: str,
    environment: Mapping[str, str],
    *,
    has_socks: bool = True,
    exists: Callable[[str], bool] = lambda path: True,
) -> Iterator[WrongVariable]:
    """Variables that no request to the model's provider can be sent with, the worst first.

    model: with its provider. has_socks: whether httpx can speak to a SOCKS proxy.
    """
    prefixes = provider_prefixes(model)
    own = {n: v for n, v in environment.items() if n.startswith(prefixes) and v.strip()}
    for name, value in own.items():
        if _KEY.search(name) and (problem := _problem_of_key(value)):
            yield WrongVariable(name, "", problem, "copy the key again, without blanks and line breaks")
        if ADDRESS.search(name) and (problem := _problem_of_address(value)):
            yield WrongVariable(
                name, shown_address(value), problem, "write it as http://HOST:PORT/v1 or https://HOST/v1"
            )
        elif ADDRESS.search(name) and (added := _added_twice(value, model.partition("/")[0])):
            problem = f"ends with {added}, which litellm adds by itself"
            yield WrongVariable(name, shown_address(value), problem, f"leave {added} out")
    for name, value in environment.items():
        if name.upper() in _PROXIES and value.strip():
            problem, remedy = _problem_of_proxy(value, has_socks=has_socks)
            if problem:
                yield WrongVariable(name, shown_address(value), problem, remedy)
            elif leads_away(name.upper(), value, model.partition("/")[0], environment):
                problem = "is a proxy on another machine, which would be asked for a server on this one"
                yield WrongVariable(name, shown_address(value), problem, "export NO_PROXY=localhost,127.0.0.1")
        if name in _FILES and value.strip() and not exists(value):
            yield WrongVariable(name, shown_address(value), "there is no such file", "correct it, or unset it")


def _problem_of_key(value: str) -> str:
    if "\n" in value or "\r" in value:
        return "holds a line break"
    odd = next((c for c in value if not c.isascii() or not c.isprintable()), "")
    if odd:
        return f"holds U+{ord(odd):04X}, which no key has"
    if value != value.strip():
        return "begins or ends with a blank"
    if value[0] in "\"'" or value[-1] in "\"'":
        return "has a quotation mark around it"
    if value.lower().startswith("bearer "):
        return "begins with Bearer, which litellm adds by itself"
    return "holds a blank, which no key has" if " " in value else ""


def _problem_of_address(value: str) -> str:
    if value != value.strip() or any(c.isspace() or not c.isprintable() for c in value):
        return "holds a blank or a line break"
    try:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or "://" not in value:
            return "has no http:// or https:// in front"
        if not parts.hostname:
            return "names no host"
        parts.port  # noqa: B018 - it is read when asked for
    except ValueError as error:
        return f"is no address: {error}"
    return ""


def _added_twice(value: str, provider: str) -> str:
    """The end of an address that litellm would add once more, "" if there is none."""
    ends: tuple[str, ...] = ("/chat/completions",) if provider in (*OPENAI, "lm_studio", "litellm_proxy") else ()
    ends += ("/v1",) if provider in ("anthropic", "ollama", "ollama_chat") else ()
    return next((end for end in ends if urlsplit(value).path.rstrip("/").endswith(end)), "")


def _problem_of_proxy(value: str, *, has_socks: bool) -> tuple[str, str]:
    scheme = value.partition("://")[0].strip().lower() if "://" in value else "http"
    if scheme not in _PROXY_SCHEMES:
        return f"is a proxy of an unknown scheme: {scheme}", "write http://HOST:PORT, or unset it"
    if scheme.startswith("socks") and not has_socks:
        return "is a SOCKS proxy, for which the package socksio is missing", "pip install socksio, or unset it"
    return "", ""


def variable_of(host: str, environment: Mapping[str, str]) -> str:
    """The variable that names a host in an address, "" if none does."""
    return next((name for name, value in environment.items() if host and "//" in value and host in value), "")


# Causes of an error


@dataclass(frozen=True, slots=True)
class _Sign:
    """A cause that stands in an error's text, the words for it, and its remedy.

    Both may name {found}, {host}, {key} and {address}.
    """

    pattern: re.Pattern[str]
    words: str
    remedy: str


# Above each: a text that it finds.
_SIGNS: Final = (
    # "certificate verify failed: self-signed certificate (_ssl.c:1006)"
    _Sign(
        re.compile(r"certificate verify failed:? ?([\w ,.'-]{0,100})", re.I),
        "the certificate of {host} is not trusted: {found}",
        "name its authority's file in SSL_CERT_FILE, or correct {address}",
    ),
    # "[SSL: WRONG_VERSION_NUMBER] wrong version number", "[SSL] record layer failure"
    _Sign(
        re.compile(r"WRONG_VERSION_NUMBER|wrong version number|record layer failure|HTTP_REQUEST\]", re.I),
        "{host} does not speak https",
        "write http:// in {address}",
    ),
    # "Using SOCKS proxy, but the 'socksio' package is not installed"
    _Sign(
        re.compile(r"(socksio)", re.I),
        "the proxy is a SOCKS proxy, for which the package socksio is missing",
        "pip install socksio, or unset ALL_PROXY, HTTPS_PROXY and HTTP_PROXY",
    ),
    # "Unknown scheme for proxy URL URL('foo://x:1')"
    _Sign(
        re.compile(r"Unknown scheme for proxy URL (?:URL\(')?([\w.:/-]{0,100})", re.I),
        "the proxy {found} is of an unknown scheme",
        "correct or unset ALL_PROXY, HTTPS_PROXY and HTTP_PROXY",
    ),
    # "407 Proxy Authentication Required", "ProxyError: 407 authenticationrequired"
    _Sign(
        re.compile(r"(407 Proxy Authentication|Proxy Authentication Required|ProxyError: 407)", re.I),
        "the proxy asks for a name and a password",
        "write them into HTTPS_PROXY, as http://NAME:PASSWORD@HOST:PORT",
    ),
    # "ProxyError: 403 Forbidden"
    _Sign(
        re.compile(r"ProxyError: (4\d\d[\w ]{0,60})"),
        "the proxy does not let through to {host}: {found}",
        "correct HTTPS_PROXY, or name {host} in NO_PROXY",
    ),
    # "Google Cloud SDK not found. Install it with: pip install 'litellm[google]'"
    _Sign(
        re.compile(r"(Google Cloud SDK) not found", re.I),
        "litellm needs the {found} for this provider",
        "pip install google-cloud-aiplatform",
    ),
    # "No module named 'boto3'", "Missing boto3 to call bedrock"
    _Sign(
        re.compile(r"No module named '([\w.]{1,60})'|Missing (\w{1,60}) to call", re.I),
        "litellm needs the Python package {found} for this provider",
        "install it beside scientist",
    ),
    # "Illegal header value b'Bearer sk-...'"
    _Sign(re.compile(r"Illegal header value", re.I), "the key holds a line break or a blank", "export {key} anew"),
    # "'ascii' codec can't encode character '\u2026' in position 16"
    _Sign(
        re.compile(r"codec can't encode character '?([^' ]{1,12})", re.I),
        "the key holds a character that no key has: {found}",
        "copy {key} again",
    ),
    # "Request URL is missing an 'http://' or 'https://' protocol.", "has an unsupported protocol 'htp://'"
    _Sign(
        re.compile(r"Request URL is missing an|has an unsupported protocol", re.I),
        "the provider's address has no http:// or https:// in front",
        "correct {address}",
    ),
    # "InvalidURL: Invalid port: '99999'", "Invalid IDNA hostname: 'a..b'"
    _Sign(
        re.compile(r"InvalidURL: (.{0,80})|(Invalid (?:port: |IDNA hostname|non-printable ASCII).{0,40})"),
        "the provider's address cannot be read: {found}",
        "correct {address}",
    ),
    # "Must provide one of the `base_url` or `azure_endpoint` arguments"
    _Sign(
        re.compile(r"Must provide one of the `base_url`|api_base is required|Missing (?:AZURE_)?API_BASE", re.I),
        "the provider has no address of its own",
        "export {address}",
    ),
    # "You must specify a region.", "AWS region is not set"
    _Sign(
        re.compile(r"must specify a region|region.{0,20}(?:is not set|is missing|not found)|NoRegionError", re.I),
        "no region is named",
        "export AWS_REGION_NAME, for example us-east-1",
    ),
    # "The config profile (nope) could not be found"
    _Sign(
        re.compile(r"The config profile \(([^)]{1,80})\) could not be found", re.I),
        "there is no AWS profile named {found}",
        "correct AWS_PROFILE, or write the profile into ~/.aws/config",
    ),
)
# "[Errno -2] Name or service not known"
_UNRESOLVED: Final = re.compile(
    r"Name or service not known|nodename nor servname|No address associated|getaddrinfo failed"
    r"|Temporary failure in name resolution|Name does not resolve",
    re.I,
)
# "[Errno 111] Connection refused"
_REASON: Final = re.compile(
    r"ProxyError: (5\d\d)|Connection refused|Connection reset|Network is unreachable|No route to host"
    r"|Server disconnected|timed out",
    re.I,
)


def local_fault(
    causes: Sequence[str], model: str, host: str, variable: str, redact: Redactor | None = None, proxy: str = ""
) -> Fault | None:
    """The fault of this machine that an error's causes tell, or an outage whose cause they tell. None for any other.

    causes: class and words of the error and of those behind it. host: where the request was to go, and `variable` names
    it. If no variable does, and it does not resolve, then this machine is offline.
    proxy: variable with the proxy that is asked for it.
    """
    told = "\n".join(cause[:2000] for cause in causes)
    key, address = key_variable(model), address_variable(model)
    for sign in _SIGNS:
        found = sign.pattern.search(told)
        if found:
            word = next((group for group in found.groups() if group), "").strip() if found.groups() else ""
            names = {"found": word, "host": host or "the provider", "key": key, "address": address}
            text = f"{sign.words.format(**names)} ({sign.remedy.format(**names)})"
            return Fault(FaultKind.MACHINE, printable((redact or Redactor()).in_error(text)))
    variable = proxy or variable
    if _UNRESOLVED.search(told):
        named = f"the proxy of {proxy}" if proxy else f"the address {host or 'of the provider'}"
        if variable and "Temporary failure" not in told:
            return Fault(FaultKind.MACHINE, f"{named} does not resolve (correct {variable})")
        return Fault(FaultKind.OUTAGE, f"{named} does not resolve: is this machine online?")
    reason = _REASON.search(told)
    if reason and any(sign in told for sign in ("Connection error.", "ConnectError", "ProxyError")):
        named = f"the proxy of {proxy}" if proxy else host or "the provider"
        return Fault(FaultKind.OUTAGE, f"{named}: {f'answered {reason[1]}' if reason[1] else reason[0].lower()}")
    return None
