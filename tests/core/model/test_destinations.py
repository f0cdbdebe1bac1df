"""Hosts and keys of a request: those that the user named, and no other."""

from __future__ import annotations

import pytest

from agent.core.model.destinations import foreign_request, proxy_variable, unread_address
from agent.core.model.local_fault import wrong_variables


def test_neither_key_nor_host_of_openai_is_another_providers() -> None:
    keys = {"OPENAI_API_KEY": "sk-a", "ROUTER_KEY": "sk-b", "OPENAI_ADMIN_KEY": "sk-b"}
    asked = foreign_request("scaleway", "api.scaleway.ai", "Bearer sk-a", keys)
    assert "would send OPENAI_API_KEY to api.scaleway.ai (export the key of scaleway)" in asked
    other = foreign_request("xinference", "api.openai.com", "", keys)
    assert "would ask api.openai.com (export XINFERENCE_API_BASE)" in other
    assert foreign_request("openai", "api.openai.com", "Bearer sk-a", keys) == ""
    for key in ("Bearer sk-b", "Bearer sk-c", ""):  # one that is another variable's too, one of nobody, and none
        assert foreign_request("scaleway", "api.scaleway.ai", key, keys) == ""


def test_an_address_that_litellm_does_not_read_is_told_before_the_prompt_goes_elsewhere() -> None:
    own = {"MISTRAL_API_BASE": "http://127.0.0.1:8000/v1", "MISTRAL_API_KEY": "sk-a"}
    asked = foreign_request("mistral", "api.mistral.ai", "Bearer sk-a", own)
    assert "does not read MISTRAL_API_BASE, and would ask api.mistral.ai (name the model openai/MODEL" in asked
    assert foreign_request("mistral", "127.0.0.1", "Bearer sk-a", own) == ""
    assert unread_address("openai", "api.openai.com", {"OPENAI_API_URL": "http://a.example/v1"}) == "OPENAI_API_URL"
    assert unread_address("openai", "api.openai.com", {"OPENAI_API_BASE": "http://[bad/v1"}) == ""
    assert unread_address("github", "models.example", {"GITHUB_API_URL": "https://api.github.com"}) == ""
    assert unread_address("bedrock", "bedrock.example", {"AWS_STS_ENDPOINT": "https://sts.example"}) == ""


@pytest.mark.parametrize(
    ("model", "environment", "is_wrong"),
    [
        ("ollama/m", {"HTTP_PROXY": "http://proxy.example:3128"}, True),
        ("ollama/m", {"all_proxy": "proxy.example:3128"}, True),
        ("ollama/m", {"HTTP_PROXY": "http://proxy.example:3128", "no_proxy": "localhost,.example"}, False),
        ("ollama/m", {"HTTPS_PROXY": "http://proxy.example:3128"}, False),
        ("ollama/m", {"HTTP_PROXY": "http://127.0.0.1:8080"}, False),
        ("openai/m", {"HTTP_PROXY": "http://proxy.example:3128", "OPENAI_API_BASE": "http://127.0.0.1:8000/v1"}, True),
        ("openai/m", {"HTTP_PROXY": "http://proxy.example:3128", "OPENAI_API_BASE": "http://gpu.example/v1"}, False),
        ("openai/m", {"HTTPS_PROXY": "http://proxy.example:3128"}, False),
    ],
)
def test_no_prompt_for_a_server_on_this_machine_leaves_it_for_a_proxy(
    model: str, environment: dict[str, str], is_wrong: bool
) -> None:
    wrong = list(wrong_variables(model, environment))
    assert bool(wrong) is is_wrong and all("NO_PROXY=localhost" in one.remedy for one in wrong)


def test_the_proxy_that_is_asked_is_known_by_its_variable() -> None:
    both = {"HTTPS_PROXY": "http://p.example:1", "all_proxy": "http://q.example:1", "NO_PROXY": "gpu.example, .lab"}
    assert proxy_variable("https://api.openai.com/v1", both) == "HTTPS_PROXY"
    assert proxy_variable("http://api.openai.com/v1", both) == "all_proxy"
    assert [proxy_variable(f"https://{host}/v1", both) for host in ("gpu.example", "a.gpu.example", "x.lab")] == [
        ""
    ] * 3
    assert proxy_variable("https://gpu.example.org/v1", both | {"no_proxy": "*"}) == ""
    assert proxy_variable("https://gpu.example.org/v1", both | {"no_proxy": "gpu.example.org:443"}) == ""
