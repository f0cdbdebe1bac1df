"""Sums of an idea with one more call of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agent.core.journal.action_results import Asked, AskFailed
from agent.core.journal.budget import Paid, Price, Tally, Use, add_call, sum_use
from agent.core.journal.events import Launched
from agent.core.journal.kinds import Role
from agent.core.journal.state import Spent

ROLES = tuple(Role)


def spend_call(spent: Spent, asked: Asked) -> Spent:
    """The sums with one more call. A try that a crash cut off before counts too, at an unknown price."""
    paid = asked.paid
    tally = add_call(spent.by_role.get(asked.role, Tally()), asked.chars, paid, times=2 if asked.repeated else 1)
    return replace(
        spent,
        calls=spent.calls + 1,
        paid=spent.paid + _known(paid),
        unknown_costs=spent.unknown_costs + _unknown_costs(paid) + asked.repeated,
        model_s=spent.model_s + asked.seconds,
        by_role=spent.by_role | {asked.role: tally},
        replies=spent.replies | {asked.role: spent.replies.get(asked.role, 0) + 1},
    )


def spend_failure(spent: Spent, failed: AskFailed) -> Spent:
    """The sums with a call that brought no reply: its answers of no use, and a try that a crash cut off."""
    paid = failed.paid
    tally = spent.by_role.get(failed.role, Tally())
    answered = paid.is_counted or paid.uncounted > 0
    if answered:
        tally = add_call(tally, failed.chars, paid)
    if failed.repeated:
        tally = add_call(tally, failed.chars, Paid(cost_usd=None))
    return replace(
        spent,
        calls=spent.calls + answered,
        paid=spent.paid + _known(paid),
        unknown_costs=spent.unknown_costs + (_unknown_costs(paid) if answered else 0) + failed.repeated,
        by_role=spent.by_role | {failed.role: tally} if answered or failed.repeated else spent.by_role,
    )


def _unknown_costs(paid: Paid) -> int:
    """Answers of unknown cost."""
    return max(paid.uncounted, 0 if paid.is_counted else paid.cost_usd is None) + (
        paid.is_counted and paid.cost_usd is None
    )


def _known(paid: Paid) -> Paid:
    """The same with an unknown cost left out of the sum."""
    return replace(paid, cost_usd=paid.cost_usd or 0.0)


def model_of(launched: Launched, role: str) -> str:
    """The model that plays the role: the planner's, if the role has none of its own."""
    own = {"editor": launched.editor_model, "reviewer": launched.reviewer_model}
    return own.get(role) or launched.model


def is_free(model: str) -> bool:
    """Whether the model is a stand-in that costs nothing, so that no budget concerns it."""
    return model.startswith(("offline/", "replay/"))


def use_of(spent: Spent, launched: Launched, prices: Mapping[str, Price | None]) -> Use:
    """Tokens and cost of an idea so far, for its budgets. `prices` by model."""
    tallies = {role: t for role, t in spent.by_role.items() if not is_free(model_of(launched, role))}
    return sum_use(tallies, {role: prices.get(model_of(launched, role)) for role in tallies})
