"""What a model charges before its first reply told: by the settings, else by litellm's own table."""

from __future__ import annotations

from agent.core.journal.budget import Price
from agent.core.model.rules import RuleTable
from agent.edges.model.protocol import load_litellm


def price_of(model: str, rules: RuleTable) -> Price | None:
    """USD a token; None where nobody knows.

    A price of zero counts where it is registered: in litellm's table it stands for many that are not known.
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
