"""litellm's own table of models: providers and their keys, windows and prices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from agent.core.journal.budget import Price
from agent.core.model.rules import RuleTable
from agent.edges.system.large_imports import import_large
from agent.edges.system.library_warnings import ignore_library_warnings
from agent.errors import UsageError

__all__ = ["check_model", "known_window", "load_litellm", "price_of"]

# Variables that litellm reads. Without them it fetches prices, header names and other tables from its project's site.
WITHOUT_REQUESTS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_OFFLINE_MODE": "True",
}


def load_litellm() -> Any:
    """Import litellm, which takes seconds: only when it is first used, and without any request of its own."""
    for name, value in WITHOUT_REQUESTS.items():
        os.environ.setdefault(name, value)
    ignore_library_warnings()
    litellm: Any = import_large("litellm")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def known_window(name: str) -> int | None:
    """The window of a model by litellm's table, or None if the table does not have it."""
    if name.startswith("ollama"):  # litellm would ask the server, which may be down
        return None
    litellm = load_litellm()
    try:
        known = litellm.get_model_info(name).get("max_input_tokens")
    except litellm.exceptions.ModelNotMappedError:
        return None
    return int(known) if known else None


def check_model(name: str, environment: Mapping[str, str], option: str = "--model") -> None:
    """Check the name that was given as `option`.

    Raises: UsageError if litellm knows no such provider, or the provider's key is not set.
    """
    litellm = load_litellm()
    try:
        litellm.get_llm_provider(name)
    except litellm.exceptions.BadRequestError as error:
        raise UsageError(
            f"{option} {name}",
            "litellm knows no such provider",
            "write provider/model, for example deepseek/deepseek-reasoner, or offline/sweep",
        ) from error
    checked = litellm.validate_environment(name)
    missing = [key for key in checked.get("missing_keys", []) if not environment.get(key)]
    if missing and not checked.get("keys_in_environment"):
        raise UsageError(f"{option} {name}", f"{' and '.join(missing)} not set", "export the key or put it into .env")


def price_of(model: str, rules: RuleTable) -> Price | None:
    """USD a token, from the settings or from litellm's table. None if neither has it.

    A price of zero counts only in the settings. In litellm's table many unknown prices are zero.
    """
    model = model.removeprefix("aider/")
    registered = rules.find(model)
    if registered.input_usd_per_mtok is not None and registered.output_usd_per_mtok is not None:
        return Price(registered.input_usd_per_mtok / 1e6, registered.output_usd_per_mtok / 1e6)
    litellm = load_litellm()
    try:
        known = litellm.get_model_info(model)
    except litellm.exceptions.ModelNotMappedError:
        return None
    sent, received = known.get("input_cost_per_token"), known.get("output_cost_per_token")
    return Price(float(sent), float(received)) if sent and received else None
