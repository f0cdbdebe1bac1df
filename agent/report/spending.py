"""Tokens, money and room on a disk in words."""

from __future__ import annotations

from agent.core.journal.budget import Limits
from agent.core.journal.state import Spent

__all__ = ["say_batch_limits", "say_cost", "say_size", "say_tokens"]


def say_tokens(spent: Spent, limits: Limits) -> str:
    """Tokens sent, cached and received. Empty if nothing was asked and nothing is limited."""
    if not (spent.paid.tokens_in or spent.paid.tokens_out or limits.max_tokens):
        return ""
    cached = f" ({spent.paid.tokens_cached:,} cached)" if spent.paid.tokens_cached else ""
    limit = f" of {limits.max_tokens:,}" if limits.max_tokens else ""
    return f"{spent.paid.tokens_in:,}{cached} + {spent.paid.tokens_out:,} tokens{limit}"


def say_cost(spent: Spent, limits: Limits) -> str:
    """The known cost, the number of calls of unknown cost, and the limit. Empty if there is none of these."""
    limit = f" of ${limits.max_cost_usd:g}" if limits.max_cost_usd else ""
    unknown = spent.unknown_costs if spent.paid.tokens_in or spent.cost_usd else 0
    if not (spent.cost_usd or unknown or limit):
        return ""
    known = "" if unknown and not spent.cost_usd else f"${spent.cost_usd:.4f}"
    calls = f"{unknown} call{'s' if unknown > 1 else ''} of unknown price" if unknown else ""
    return " + ".join(part for part in (known, calls) if part) + limit


def say_batch_limits(limits: Limits) -> str:
    """The limits that all ideas of the batch share. Empty if there are none."""
    tokens = f"{limits.batch_max_tokens:,} tokens" if limits.batch_max_tokens else ""
    cost = f"${limits.batch_max_cost_usd:g}" if limits.batch_max_cost_usd else ""
    both = " and ".join(part for part in (tokens, cost) if part)
    return f"at most {both} for the batch" if both else ""


def say_size(size: float) -> str:
    """Bytes as "830 B", "14 KiB" or "1.2 GiB"."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
