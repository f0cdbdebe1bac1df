"""Faults of one's own machine, in the variables and behind an error."""

from __future__ import annotations

import pytest

from agent.core.model.faults import FaultKind
from agent.core.model.local_fault import local_fault, variable_of, wrong_variables
from agent.core.model.variables import address_variable, key_variable

MODEL = "openai/gpt-4o"
KEY = "sk-0123456789abcdef"

WRONG = [
    ({"OPENAI_API_KEY": KEY + "\r\n"}, "OPENAI_API_KEY", "holds a line break"),
    ({"OPENAI_API_KEY": "sk-012345\u2026"}, "OPENAI_API_KEY", "holds U+2026"),
    ({"OPENAI_API_KEY": "sk-0123\x1b[0m"}, "OPENAI_API_KEY", "holds U+001B"),
    ({"OPENAI_API_KEY": f" {KEY}"}, "OPENAI_API_KEY", "begins or ends with a blank"),
    ({"OPENAI_API_BASE": "127.0.0.1:9/v1"}, "OPENAI_API_BASE=127.0.0.1:9/v1", "has no http://"),
    ({"OPENAI_API_BASE": "localhost:8000/v1"}, "OPENAI_API_BASE=localhost:8000/v1", "has no http://"),
    ({"OPENAI_BASE_URL": "htp://a.example/v1"}, "OPENAI_BASE_URL=htp://a.example/v1", "has no http://"),
    ({"OPENAI_API_BASE": "http://127.0.0.1:99999/v1"}, "OPENAI_API_BASE=http://127.0.0.1:99999/v1", "is no address"),
    ({"OPENAI_API_BASE": "http:///v1"}, "OPENAI_API_BASE=http:///v1", "names no host"),
    ({"OPENAI_API_BASE": "http://a.example/v 1"}, "OPENAI_API_BASE=http://a.example/v 1", "holds a blank"),
    ({"ALL_PROXY": "socks5://127.0.0.1:9"}, "ALL_PROXY=socks5://127.0.0.1:9", "package socksio is missing"),
    ({"https_proxy": "foo://me:secret@p.example:1"}, "https_proxy=foo://...@p.example:1", "of an unknown scheme: foo"),
    ({"SSL_CERT_FILE": "/no/such.pem"}, "SSL_CERT_FILE=/no/such.pem", "there is no such file"),
]


@pytest.mark.parametrize(("variables", "where", "problem"), WRONG)
def test_a_variable_that_no_request_can_be_sent_with_is_named(
    variables: dict[str, str], where: str, problem: str
) -> None:
    (found,) = wrong_variables(MODEL, variables, has_socks=False, exists=lambda path: False)
    assert found.where == where and problem in found.problem and found.remedy
    assert "secret" not in f"{found}" and KEY not in f"{found}"


def test_what_is_right_or_another_providers_is_passed_over() -> None:
    good = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_API_BASE": "https://a.example:8443/v1",
        "ANTHROPIC_API_KEY": "a\nb",
        "HTTPS_PROXY": "http://127.0.0.1:3128",
        "http_proxy": "p.example:3128",
        "ALL_PROXY": "socks5h://127.0.0.1:9",
        "SSL_CERT_FILE": "/etc/ssl/cert.pem",
        "OPENAI_ORGANIZATION": "\u00e9",
        "OPENAI_BASE_URL": "",
    }
    assert list(wrong_variables(MODEL, good)) == []


CAUSES = [
    ("ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1)",
     "certificate of a.example is not trusted: self-signed certificate (name its authority's file in SSL_CERT_FILE"),
    ("ConnectError: [SSL: WRONG_VERSION_NUMBER] wrong version number", "a.example does not speak https (write http://"),
    ("ImportError: Using SOCKS proxy, but the 'socksio' package is not installed", "package socksio is missing"),
    ("ValueError: Unknown scheme for proxy URL URL('foo://x:1')", "the proxy foo://x:1 is of an unknown scheme"),
    ("ImportError: Google Cloud SDK not found. Install it with: pip install", "needs the Google Cloud SDK"),
    ("ModuleNotFoundError: No module named 'boto3'", "needs the Python package boto3"),
    ("LocalProtocolError: Illegal header value b'Bearer x '", "export OPENAI_API_KEY anew"),
    ("UnicodeEncodeError: 'ascii' codec can't encode character '\\u2026' in position 6", "copy OPENAI_API_KEY again"),
    ("UnsupportedProtocol: Request URL is missing an 'http://' or 'https://' protocol.", "correct OPENAI_API_BASE"),
    ("InvalidURL: Invalid port: '99999'", "cannot be read: Invalid port: '99999'"),
    ("ValueError: Must provide one of the `base_url` or `azure_endpoint` arguments", "export OPENAI_API_BASE"),
    ("NoRegionError: You must specify a region.", "export AWS_REGION_NAME"),
    ("ProfileNotFound: The config profile (nope) could not be found", "no AWS profile named nope"),
]  # fmt: skip


@pytest.mark.parametrize(("cause", "told"), CAUSES)
def test_a_cause_on_this_machine_is_told_with_its_remedy(cause: str, told: str) -> None:
    fault = local_fault(["InternalServerError: Connection error.", cause], MODEL, "a.example", "")
    assert fault and fault.kind is FaultKind.MACHINE and told in fault.text


def test_a_host_that_does_not_resolve_is_waited_for_unless_a_variable_names_it() -> None:
    causes = ["InternalServerError: Connection error.", "gaierror: [Errno -2] Name or service not known"]
    offline = local_fault(causes, MODEL, "api.openai.com", "")
    assert offline and offline.kind is FaultKind.OUTAGE and "api.openai.com does not resolve" in offline.text
    named = variable_of("no-such.example", {"OPENAI_API_BASE": "http://no-such.example/v1"})
    wrong = local_fault(causes, MODEL, "no-such.example", named)
    assert wrong and wrong.kind is FaultKind.MACHINE and "correct OPENAI_API_BASE" in wrong.text
    passing = ["gaierror: [Errno -3] Temporary failure in name resolution"]
    assert (found := local_fault(passing, MODEL, "no-such.example", named)) and found.kind is FaultKind.OUTAGE


def test_an_outage_of_the_network_says_its_cause_and_others_are_not_judged() -> None:
    refused = local_fault(["E: Connection error.", "ConnectError: [Errno 111] Connection refused"], MODEL, "h", "")
    assert refused and (refused.kind, refused.text) == (FaultKind.OUTAGE, "h: connection refused")
    assert local_fault(["RateLimitError: Too many requests"], MODEL, "h", "") is None


def test_variables_of_providers() -> None:
    models = (MODEL, "bedrock/x", "ollama_chat/x", "azure/x", "gemini/x")
    assert [key_variable(m) for m in models[:2]] == ["OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"]
    assert [address_variable(m) for m in models[2:]] == ["OLLAMA_API_BASE", "AZURE_API_BASE", "GEMINI_API_BASE"]


@pytest.mark.parametrize(
    ("model", "name", "value", "told"),
    [
        ("openai/m", "OPENAI_API_KEY", '"sk-0123456789"', "has a quotation mark around it"),
        ("openai/m", "OPENAI_API_KEY", "Bearer sk-0123456789", "begins with Bearer"),
        ("openai/m", "OPENAI_API_KEY", "sk-01234 56789", "holds a blank, which no key has"),
        ("openai/m", "OPENAI_API_KEY", "\ufeffsk-0123456789", "holds U+FEFF"),
        ("openai/m", "OPENAI_API_BASE", "http://h/v1/chat/completions", "ends with /chat/completions, which litellm"),
        ("anthropic/m", "ANTHROPIC_API_BASE", "https://api.anthropic.com/v1/", "ends with /v1, which litellm adds"),
        ("ollama_chat/m", "OLLAMA_API_BASE", "http://localhost:11434/v1", "ends with /v1, which litellm adds"),
    ],
)
def test_values_that_cannot_be_meant_are_told(model: str, name: str, value: str, told: str) -> None:
    (wrong,) = wrong_variables(model, {name: value})
    assert wrong.problem.startswith(told) and ("sk-" not in wrong.where)
    assert not list(wrong_variables("hosted_vllm/m", {"HOSTED_VLLM_API_BASE": "http://h/v1/chat/completions"}))


@pytest.mark.parametrize(
    ("cause", "kind", "told"),
    [
        ("ProxyError: 407 authenticationrequired", FaultKind.MACHINE, "the proxy asks for a name and a password"),
        ("ProxyError: 403 Forbidden", FaultKind.MACHINE, "does not let through to api.openai.com: 403 Forbidden"),
        ("ProxyError: 502 Bad Gateway", FaultKind.OUTAGE, "the proxy of HTTPS_PROXY: answered 502"),
        (
            "ConnectError: [Errno 111] Connection refused",
            FaultKind.OUTAGE,
            "the proxy of HTTPS_PROXY: connection refused",
        ),
        ("gaierror: [Errno -2] Name or service not known", FaultKind.MACHINE, "does not resolve (correct HTTPS_PROXY)"),
        ("gaierror: [Errno -3] Temporary failure in name resolution", FaultKind.OUTAGE, "is this machine online?"),
    ],
)
def test_a_fault_of_the_proxy_is_told_as_the_proxys(cause: str, kind: FaultKind, told: str) -> None:
    causes = ["InternalServerError: Connection error.", cause]
    fault = local_fault(causes, MODEL, "api.openai.com", "", None, "HTTPS_PROXY")
    assert fault and fault.kind is kind and told in fault.text
