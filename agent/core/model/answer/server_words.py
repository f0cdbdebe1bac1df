"""What a server of one's own says of itself: the windows of its models, in the words of each kind of server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from json import loads
from typing import Any, Final

from agent.core.model.answer.usage import read_count
from agent.core.model.own_servers import ServerFacts

__all__ = ["ServerWords", "read_server"]


@dataclass(frozen=True, slots=True)
class ServerWords:
    """Bodies of a server's answers, "" for each that it did not give."""

    # GET /v1/models
    models: str = ""
    # GET /props of llama-server
    props: str = ""
    # GET /api/v0/models of LM Studio
    studio: str = ""
    # POST /api/show of Ollama
    show: str = ""
    # GET /api/ps of Ollama
    loaded: str = ""
    # GET /api/tags of Ollama
    tags: str = ""


# In an entry of /v1/models: vLLM and SGLang, LM Studio, gateways.
_WINDOW_KEYS: Final = ("max_model_len", "loaded_context_length", "context_length", "context_window")
# "num_ctx                        8192"
_NUM_CTX: Final = re.compile(r"^num_ctx[ \t]+(\d{1,9})[ \t]*$", re.MULTILINE)


def read_server(model: str, words: ServerWords) -> ServerFacts:
    """What a server's answers say of a model. model: its name there, without the provider."""
    listed = [entry for entry in _list_in(words.models, "data") if isinstance(entry.get("id"), str)]
    pulled = [entry["name"] for entry in _list_in(words.tags, "models") if isinstance(entry.get("name"), str)]
    names = (*(entry["id"] for entry in listed), *pulled)
    studio = [entry for entry in _list_in(words.studio, "data") if entry.get("id") == model]
    named = [entry for entry in listed if entry["id"] == model]
    bases = [entry for entry in listed if entry["id"] in [adapter.get("parent") for adapter in named]]
    ours = [*named, *bases] or (listed if len(listed) == 1 else [])
    show, trained = _object_in(words.show), None
    for key, value in _object(show.get("model_info")).items():
        if key.endswith(".context_length"):
            trained = read_count(value) or None
    set_by_file = _NUM_CTX.search(parameters) if isinstance(parameters := show.get("parameters"), str) else None
    loaded = [m for m in _list_in(words.loaded, "models") if model in (m.get("name"), m.get("model"), _untagged(m))]
    settings = _object(_object_in(words.props).get("default_generation_settings"))
    found = [
        settings.get("n_ctx"),
        *(entry.get(key) for entry in (*studio, *ours) for key in _WINDOW_KEYS),
        *(_object(entry.get("meta")).get("n_ctx") for entry in ours),
        *(entry.get("context_length") for entry in loaded),
        int(set_by_file[1]) if set_by_file else None,
    ]
    trained = trained or next((n for e in ours if (n := read_count(_object(e.get("meta")).get("n_ctx_train")))), None)
    trained = trained or next((n for e in studio if (n := read_count(e.get("max_context_length")))), None)
    return ServerFacts(next((n for value in found if (n := read_count(value))), None), trained, names)


def _untagged(entry: Mapping[str, Any]) -> str:
    """Ollama's name of a model without ":latest", which may be left out."""
    return str(entry.get("name")).removesuffix(":latest")


def _object_in(body: str) -> Mapping[str, Any]:
    try:
        return _object(loads(body)) if body else {}
    except (ValueError, RecursionError):
        return {}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list_in(body: str, key: str) -> list[Mapping[str, Any]]:
    held = _object_in(body).get(key)
    return [entry for entry in held if isinstance(entry, dict)] if isinstance(held, list) else []
