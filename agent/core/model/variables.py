"""Names of the environment variables that hold a provider's keys and addresses."""

from __future__ import annotations

from typing import Final

__all__ = ["address_variable", "key_variable", "provider_prefixes"]

# Providers whose variables do not begin with their own name.
_PREFIXES: Final = {
    "azure": ("AZURE_",),
    "bedrock": ("AWS_",),
    "gemini": ("GEMINI_", "GOOGLE_API_KEY"),
    "ollama_chat": ("OLLAMA_",),
    "perplexity": ("PERPLEXITY", "PPLX_"),
    "together_ai": ("TOGETHER",),
    "text-completion-openai": ("OPENAI_",),
    "vertex_ai": ("VERTEX", "GOOGLE_"),
    "watsonx": ("WATSONX_", "WX_"),
}
_KEYS: Final = {"bedrock": "AWS_SECRET_ACCESS_KEY", "perplexity": "PERPLEXITYAI_API_KEY", "vertex_ai": "VERTEX_API_KEY"}
_ADDRESSES: Final = {"bedrock": "AWS_BEDROCK_RUNTIME_ENDPOINT", "ollama_chat": "OLLAMA_API_BASE"}


def provider_prefixes(model: str) -> tuple[str, ...]:
    """How the variables of a model's provider begin: of deepseek/deepseek-chat ("DEEPSEEK_",)."""
    provider = model.partition("/")[0]
    return _PREFIXES.get(provider, (f"{provider.upper().replace('-', '_')}_",))


def key_variable(model: str) -> str:
    """The variable with the key of a model's provider."""
    return _KEYS.get(model.partition("/")[0], f"{provider_prefixes(model)[0].rstrip('_')}_API_KEY")


def address_variable(model: str) -> str:
    """The variable with the address of a model's provider."""
    return _ADDRESSES.get(model.partition("/")[0], f"{provider_prefixes(model)[0].rstrip('_')}_API_BASE")
