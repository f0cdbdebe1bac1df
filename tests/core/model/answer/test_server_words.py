"""Windows in the words of each kind of server. The bodies are cut to the keys that are read, and some beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.core.model.answer.server_words import ServerWords, read_server


def listed(*entries: dict[str, Any]) -> str:
    return json.dumps({"object": "list", "data": entries})


SAID = {
    "vllm": (ServerWords(listed({"id": "m", "owned_by": "vllm", "max_model_len": 32768})), 32768, None),
    "vllm with an adapter": (
        ServerWords(listed({"id": "x", "max_model_len": 4096}, {"id": "m", "parent": "x", "max_model_len": None})),
        4096,
        None,
    ),
    "llama-server": (
        ServerWords(
            listed({"id": "/models/m.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 8192}}),
            props='{"default_generation_settings": {"n_ctx": 4096, "params": {}}, "total_slots": 2}',
        ),
        4096,
        8192,
    ),
    "llama-server that lists its window": (
        ServerWords(listed({"id": "/models/m.gguf", "meta": {"n_ctx": 16384, "n_ctx_train": 32768}})),
        16384,
        32768,
    ),
    "lm studio": (
        ServerWords(
            listed({"id": "m", "owned_by": "organization_owner"}, {"id": "other"}),
            studio=listed(
                {"id": "other", "loaded_context_length": 1000},
                {"id": "m", "state": "loaded", "max_context_length": 131072, "loaded_context_length": 4096},
            ),
        ),
        4096,
        131072,
    ),
    "ollama, loaded": (
        ServerWords(
            show='{"model_info": {"qwen2.context_length": 32768}, "parameters": "stop \\"x\\""}',
            loaded='{"models": [{"name": "m:latest", "context_length": 8192}]}',
        ),
        8192,
        32768,
    ),
    "ollama, by its Modelfile": (
        ServerWords(
            show='{"model_info": {"general.x": 1}, "parameters": "stop x\\nnum_ctx                        16384"}'
        ),
        16384,
        None,
    ),
    "ollama, not loaded": (ServerWords(show='{"model_info": {"llama.context_length": 8192}}'), None, 8192),
}


@pytest.mark.parametrize("server", SAID)
def test_the_window_is_read(server: str) -> None:
    words, window, trained = SAID[server]
    facts = read_server("m", words)
    assert (facts.window_tokens, facts.trained_tokens) == (window, trained)


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[" * 100_000,
        "[]",
        "null",
        '{"data": 1}',
        '{"data": [1, {"id": 2}, {"id": "m", "max_model_len": -5, "meta": []}]}',
        '{"data": [{"id": "m", "max_model_len": "many"}, {"id": "m", "max_model_len": 1e999}]}',
        '{"data": [{"id": "m", "max_model_len": true}]}',
        '{"model_info": [], "parameters": {"num_ctx": 1}, "models": {"name": "m"}}',
    ],
)
def test_what_is_no_window_is_unknown(body: str) -> None:
    assert read_server("m", ServerWords(body, body, body, body, body)).window_tokens is None
