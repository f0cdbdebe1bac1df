"""Where a server of one's own is, by the variables that name it."""

from __future__ import annotations

import pytest

from agent.core.model.own_servers import EXAMPLES, PASSED, Place, needs_address, other_bases, place_of

OPENAI = {"OPENAI_API_BASE": "http://gateway.example/v1", "OPENAI_BASE_URL": "http://gateway.example/v1"}


@pytest.mark.parametrize("provider", sorted(set(EXAMPLES) - {"custom_openai"}))
def test_a_server_without_an_address_has_none_of_another_provider(provider: str) -> None:
    variable = needs_address(provider, OPENAI)
    assert variable == f"{provider.upper()}_API_BASE" and place_of(provider, OPENAI) is None
    assert not needs_address(provider, {variable: EXAMPLES[provider]})


def test_blanks_are_no_address() -> None:
    assert needs_address("hosted_vllm", {"HOSTED_VLLM_API_BASE": " "}) == "HOSTED_VLLM_API_BASE"


def test_custom_openai_is_found_by_its_own_variable_first() -> None:
    named = OPENAI | {"CUSTOM_OPENAI_API_BASE": "http://box:8000/v1"}
    assert needs_address("custom_openai", {}) == "CUSTOM_OPENAI_API_BASE"
    assert place_of("custom_openai", named) == Place("CUSTOM_OPENAI_API_BASE", "http://box:8000/v1")
    assert place_of("custom_openai", OPENAI) == Place("OPENAI_BASE_URL", OPENAI["OPENAI_BASE_URL"])
    assert set(EXAMPLES) >= PASSED


def test_some_servers_are_looked_for_on_this_machine() -> None:
    assert place_of("ollama", {}) == Place("OLLAMA_API_BASE", "http://localhost:11434", is_named=False)
    assert str(place_of("llamafile", {})) == "http://127.0.0.1:8080/v1"
    assert place_of("deepseek", {"DEEPSEEK_API_BASE": "http://127.0.0.1:1"}) is None


@pytest.mark.parametrize(
    ("address", "is_near"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost:8080", True),
        ("http://[::1]:8080/v1", True),
        ("http://192.168.0.7:8000/v1", True),
        ("http://172.20.0.2:8000/v1", True),
        ("http://gpu-box:8000/v1", True),
        ("http://box.local:8000/v1", True),
        ("https://api.openai.com/v1", False),
        ("https://gateway.example.com/v1", False),
        ("http://172.40.0.2:8000/v1", False),
        ("http://[fe80::1]:8000/v1", True),
        ("http://[fd12::1]:8000/v1", True),
        ("https://fd-models.example.com/v1", False),
        ("https://10.example.com/v1", False),
        ("http://[::1/v1", False),
        ("not an address", False),
    ],
)
def test_openais_variable_names_a_server_of_ones_own_if_it_is_near(address: str, is_near: bool) -> None:
    assert (place_of("openai", {"OPENAI_API_BASE": address}) is not None) is is_near


def test_a_password_in_an_address_is_not_shown() -> None:
    assert str(Place("HOSTED_VLLM_API_BASE", "http://me:secret@box:8000/v1")) == (
        "HOSTED_VLLM_API_BASE=http://...@box:8000/v1"
    )


@pytest.mark.parametrize(
    ("named", "others"),
    [
        ("http://box:8000", ("http://box:8000/v1",)),
        ("http://box:8000/", ("http://box:8000/v1",)),
        ("http://box:8000/v1/v1", ("http://box:8000/v1/v1/v1", "http://box:8000/v1")),
        ("http://box/llm", ("http://box/llm/v1", "http://box/v1")),
    ],
)
def test_a_path_that_may_have_been_meant_has_v1_once(named: str, others: tuple[str, ...]) -> None:
    assert other_bases(named) == others
