"""What a reply adds to what an idea used up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agent.core.journal.budget import Price, Tally, Use, add_call, sum_use
from agent.core.journal.events import Asked, AskFailed, Launched, Role
from agent.core.journal.state import Spent

ROLES = tuple(Role)


def spend_call(spent: Spent, asked: Asked) -> Spent:
    """The sums with one more call; one that a crash cut off before was charged too, nobody knows how much."""
    tally = add_call(
        spent.by_role.get(asked.role, Tally()),
        chars=asked.chars,
        tokens_in=asked.tokens_in,
        tokens_out=asked.tokens_out,
        cost_usd=asked.cost_usd,
        times=2 if asked.repeated else 1,
    )
    return replace(
        spent,
        calls=spent.calls + 1,
        requests=spent.requests + asked.requests,
        tokens_in=spent.tokens_in + asked.tokens_in,
        tokens_out=spent.tokens_out + asked.tokens_out,
        tokens_cached=spent.tokens_cached + asked.tokens_cached,
        cost_usd=spent.cost_usd + (asked.cost_usd or 0.0),
        unknown_costs=spent.unknown_costs + (asked.cost_usd is None) + asked.repeated,
        model_s=spent.model_s + asked.seconds,
        by_role=spent.by_role | {asked.role: tally},
        replies=spent.replies | {asked.role: spent.replies.get(asked.role, 0) + 1},
    )


def spend_failure(spent: Spent, failed: AskFailed) -> Spent:
    """The sums with what a call came to that brought no reply: answers of no use, and the one that a crash cut off."""
    tally = spent.by_role.get(failed.role, Tally())
    answered = failed.tokens_in + failed.tokens_out > 0
    if answered:
        tally = add_call(
            tally,
            chars=failed.chars,
            tokens_in=failed.tokens_in,
            tokens_out=failed.tokens_out,
            cost_usd=failed.cost_usd,
        )
    if failed.repeated:
        tally = add_call(tally, chars=failed.chars, tokens_in=0, tokens_out=0, cost_usd=None)
    return replace(
        spent,
        calls=spent.calls + answered,
        requests=spent.requests + failed.requests,
        tokens_in=spent.tokens_in + failed.tokens_in,
        tokens_out=spent.tokens_out + failed.tokens_out,
        tokens_cached=spent.tokens_cached + failed.tokens_cached,
        cost_usd=spent.cost_usd + (failed.cost_usd or 0.0),
        unknown_costs=spent.unknown_costs + (answered and failed.cost_usd is None) + failed.repeated,
        by_role=spent.by_role | {failed.role: tally} if answered or failed.repeated else spent.by_role,
    )


def model_of(launched: Launched, role: str) -> str:
    """The model that plays the role: the planner's, where it has none of its own."""
    return str(getattr(launched, f"{role}_model", "") or launched.model)


def is_free(model: str) -> bool:
    """Whether the model is a stand-in that costs nothing: no budget concerns it."""
    return model.startswith(("offline/", "replay/"))


def use_of(spent: Spent, launched: Launched, prices: Mapping[str, Price | None]) -> Use:
    """What an idea used, for its budgets. `prices` by model."""
    tallies = {role: t for role, t in spent.by_role.items() if not is_free(model_of(launched, role))}
    return sum_use(tallies, {role: prices.get(model_of(launched, role)) for role in tallies})
