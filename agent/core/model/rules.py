"""Rules of models that are known before the first request.

One small table, extended by `[models."PREFIX"]` in scientist.toml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.core.text.wording import say_field
from agent.errors import UsageError

__all__ = ["BUILT_IN", "ModelRules", "RuleTable", "read_model_rules"]

DEFAULT_TIMEOUT_S: Final = 600.0
REASONER_TIMEOUT_S: Final = 1800.0


class ModelRules(BaseModel):
    """Rules of the models whose name has a prefix. None: not known, or not limited."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    # Whether the model takes a system message.
    system: bool | None = None
    # Tokens of a request.
    window_tokens: int | None = Field(default=None, gt=0)
    # Tokens of a reply.
    max_output_tokens: int | None = Field(default=None, gt=0)
    # Rate limit of tokens, both ways together.
    tokens_per_minute: int | None = Field(default=None, gt=0)
    # Rate limit of requests.
    requests_per_minute: int | None = Field(default=None, gt=0)
    # Requests in flight at once.
    concurrency: int | None = Field(default=None, gt=0)
    # USD for a million tokens sent.
    input_usd_per_mtok: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    # USD for a million cached tokens. Without it they are paid as input.
    cached_usd_per_mtok: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    # USD for a million tokens received.
    output_usd_per_mtok: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    # Seconds that one request may take.
    timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    # Parameters that are never sent.
    drop_params: list[str] | None = None
    # Whether the model's reasoning goes back to it with its earlier replies.
    send_reasoning: bool | None = None

    def price(self, tokens_in: int, tokens_cached: int, tokens_out: int) -> float | None:
        """US dollars by the registered price, or None if there is none. `tokens_in` includes `tokens_cached`."""
        if self.input_usd_per_mtok is None or self.output_usd_per_mtok is None:
            return None
        cached_price = self.input_usd_per_mtok if self.cached_usd_per_mtok is None else self.cached_usd_per_mtok
        fresh = tokens_in - tokens_cached
        return (
            fresh * self.input_usd_per_mtok + tokens_cached * cached_price + tokens_out * self.output_usd_per_mtok
        ) / 1e6


_NO_SYSTEM: Final = ModelRules(system=False)
# litellm turns the system message of these into a second user message: the text is folded into the first instead.
_O_SERIES: Final = ModelRules(system=False, timeout_s=REASONER_TIMEOUT_S)
_REASONER: Final = ModelRules(timeout_s=REASONER_TIMEOUT_S)
_OWN_MACHINE: Final = ModelRules(input_usd_per_mtok=0.0, output_usd_per_mtok=0.0)

# Gemma 1-3: the chat template has no system turn (2 raises, 3 folds it, the Gemini API refuses one).
BUILT_IN: Final[tuple[tuple[str, ModelRules], ...]] = (
    ("deepseek-reasoner", _REASONER),
    ("deepseek-r1", _REASONER),
    ("gemma-1", _NO_SYSTEM),
    ("gemma-2", ModelRules(system=False, window_tokens=8192)),
    ("gemma2", ModelRules(system=False, window_tokens=8192)),
    ("gemma-3", _NO_SYSTEM),
    ("gemma3", _NO_SYSTEM),
    ("gemma-7b", _NO_SYSTEM),
    ("gemma:", _NO_SYSTEM),
    ("gpt-5", _REASONER),
    ("o1", _O_SERIES),
    ("o3", _O_SERIES),
    ("o4", _O_SERIES),
    ("llamafile/", _OWN_MACHINE),
    ("lm_studio/", _OWN_MACHINE),
    ("ollama/", _OWN_MACHINE),
    ("ollama_chat/", _OWN_MACHINE),
)


@dataclass(frozen=True, slots=True)
class RuleTable:
    """Rules by prefix of any part of a litellm name: "openrouter/google/gemma-2-9b" has "google/" and "gemma-2"."""

    extensions: tuple[tuple[str, ModelRules], ...] = ()

    def find(self, model: str) -> ModelRules:
        """The rules of a model. Each field comes from the longest prefix that sets it, and extensions come first."""
        found: dict[str, Any] = {}
        for rows in (BUILT_IN, self.extensions):
            for prefix, rules in sorted(rows, key=lambda row: len(row[0])):
                if _has_prefix(model, prefix):
                    found |= rules.model_dump(exclude_none=True)
        return ModelRules(**found)


def _has_prefix(model: str, prefix: str) -> bool:
    parts: Sequence[str] = model.strip().lower().split("/")
    return any("/".join(parts[start:]).startswith(prefix.lower()) for start in range(len(parts)))


def read_model_rules(
    section: Mapping[str, Any], where: str, place: Callable[[Sequence[str]], str] | None = None
) -> RuleTable:
    """The table with the `models` section of the settings file `where`. `place` adds the line of the given keys.

    Raises: UsageError naming file and field.
    """
    rows = []
    for prefix, fields in section.items():
        title = f'[models."{" ".join(prefix.split())}"]'
        if not prefix.strip() or not isinstance(fields, dict):
            at = place((prefix,)) if place else where
            raise UsageError(
                f"{at}: {title}", "is no table of rules", '[models."deepseek/"] and below it concurrency = 4'
            )
        try:
            rows.append((prefix, ModelRules.model_validate(fields)))
        except ValidationError as error:
            first = error.errors()[0]
            is_known = str(first["loc"][0]) in ModelRules.model_fields if first["loc"] else True
            field, _, problem = say_field(first).rpartition(": ")
            known = "" if is_known else f"known: {', '.join(ModelRules.model_fields)}"
            at = place((prefix, *map(str, first["loc"]))) if place else where
            raise UsageError(f"{at}: {title} {field}", problem, known) from error
    return RuleTable(tuple(rows))
