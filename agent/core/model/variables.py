"""Names of the environment variables that hold a provider's keys and addresses."""

from __future__ import annotations

from typing import Final

__all__ = ["provider_prefixes"]

# Providers whose variables do not begin with their own name.
_PREFIXES: Final = {
    "azure": ("AZURE_",),
    "bedrock": ("AWS_",),
    "gemini": ("GEMINI_", "GOOGLE_API_KEY"),
    "perplexity": ("PERPLEXITY", "PPLX_"),
    "together_ai": ("TOGETHER",),
    "vertex_ai": ("VERTEX", "GOOGLE_"),
    "watsonx": ("WATSONX_", "WX_"),
}


def provider_prefixes(model: str) -> tuple[str, ...]:
    """How the variables of a model's provider begin: of deepseek/deepseek-chat ("DEEPSEEK_",)."""
    provider = model.partition("/")[0]
    return _PREFIXES.get(provider, (f"{provider.upper().replace('-', '_')}_",))
