"""Tokens and money: sums of past calls, the need of the next one, and whether it still fits the limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from agent.core.model.tokens import CHARS_PER_TOKEN

TOKENS_OUT = 1500


class Price(NamedTuple):
    """USD for one token sent and one received."""

    input_usd: float
    output_usd: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The budgets."""

    # Run numbers. A completed run spends one, and so does one that is given up.
    max_runs: int = 10
    # Attempts of one run. Code that fails lint, smoke, run or evaluation spends one.
    attempts: int = 4
    # Repairs of one reply, before the one turn that asks for a whole function or file.
    repairs: int = 2
    # Run numbers given up in a row before the experiments end. The idea has failed if no run was completed.
    give_ups: int = 3
    # How long one model call may be repeated while the provider is down.
    patience_s: float = 6 * 3600.0
    # Attempts to draw the figures.
    plot_attempts: int = 2
    # Steps lost or killed by somebody else in a row before the idea pauses.
    lost_steps: int = 3
    # Tokens over all calls of the idea; None: no limit.
    max_tokens: int | None = None
    # Cost of all calls of the idea; None: no limit.
    max_cost_usd: float | None = None
    # Tokens over all ideas of the batch; None: no limit.
    batch_max_tokens: int | None = None
    # Cost of all ideas of the batch; None: no limit.
    batch_max_cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over the calls of one role."""

    # Calls made. One that was repeated after a crash counts twice, and so does an answer that nobody counted.
    calls: int = 0
    # Tokens sent, as far as the provider counted them.
    tokens_in: int = 0
    # Tokens received, as far as the provider counted them.
    tokens_out: int = 0
    # Characters of the requests whose tokens the provider counted.
    chars: int = 0
    # Answers whose tokens the provider did not count.
    uncounted: int = 0
    # Characters of the requests of those answers.
    uncounted_chars: int = 0
    # Sum of the costs that are known.
    cost_usd: float = 0.0
    # The part of tokens_in whose cost is known.
    priced_in: int = 0
    # The part of tokens_out whose cost is known.
    priced_out: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """Expected use of one call. `cost_usd` is None if the price is unknown."""

    tokens: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Use:
    """Use so far. `cost_usd` is None if a part of it has an unknown price."""

    tokens: int = 0
    cost_usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Paid:
    """Price of all answers to a question, whether or not they were of use."""

    # Includes tokens_cached.
    tokens_in: int = 0
    # Tokens received.
    tokens_out: int = 0
    # Part of tokens_in that the provider had in its cache.
    tokens_cached: int = 0
    # None if the cost of a counted answer is unknown, or if no answer was counted.
    cost_usd: float | None = 0.0
    # HTTP requests that were sent, with those that were refused.
    requests: int = 0
    # Answers whose tokens the provider did not count.
    uncounted: int = 0

    @property
    def is_counted(self) -> bool:
        """Whether the provider counted tokens of at least one answer."""
        return self.tokens_in + self.tokens_out > 0

    def __add__(self, other: Paid) -> Paid:
        costs = [paid.cost_usd for paid in (self, other) if paid.is_counted or not paid.uncounted]
        known = [cost for cost in costs if cost is not None]
        uncounted = self.uncounted + other.uncounted
        is_known = len(known) == len(costs) and (self.is_counted or other.is_counted or not uncounted)
        return Paid(
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.tokens_cached + other.tokens_cached,
            sum(known) if is_known else None,
            self.requests + other.requests,
            uncounted,
        )


@dataclass(frozen=True, slots=True)
class OverBudget:
    """Why a call is not made, and the options of `resume` that would allow it."""

    reason: str
    remedy: str


def add_call(tally: Tally, chars: int, paid: Paid, *, times: int = 1) -> Tally:
    """The tally with one more call. `times` is 2 for one that was sent again after a crash: both may be charged."""
    counted = paid.tokens_in > 0
    uncounted = times * max(paid.uncounted, 0 if counted else 1)
    priced = times if paid.cost_usd is not None else 0
    return Tally(
        calls=tally.calls + (times if counted else 0) + uncounted,
        tokens_in=tally.tokens_in + times * paid.tokens_in,
        tokens_out=tally.tokens_out + times * paid.tokens_out,
        chars=tally.chars + (times * chars if counted else 0),
        uncounted=tally.uncounted + uncounted,
        uncounted_chars=tally.uncounted_chars + uncounted * chars,
        cost_usd=tally.cost_usd + times * (paid.cost_usd or 0.0),
        priced_in=tally.priced_in + priced * paid.tokens_in,
        priced_out=tally.priced_out + priced * paid.tokens_out,
    )


def estimate_call(tally: Tally, chars: int, price: Price | None) -> Need:
    """Expected use of a request of that many characters, estimated from earlier calls of the role if it has any."""
    sent = math.ceil(chars / _chars_per_token(tally))
    received = _mean_out(tally)
    priced = tally.priced_in + tally.priced_out
    if priced:
        cost: float | None = tally.cost_usd / priced * (sent + received)
    else:
        cost = price.input_usd * sent + price.output_usd * received if price else None
    return Need(sent + received, cost)


def sum_use(tallies: Mapping[str, Tally], prices: Mapping[str, Price | None]) -> Use:
    """Use by all roles. Tokens that a provider did not count, and costs that it did not give, are estimated.

    prices: of the model of each role. Without a price, tokens that have no cost yet make the sum unknown.
    """
    return add_use(_use(tally, prices.get(role)) for role, tally in tallies.items())


def add_use(uses: Iterable[Use | Need]) -> Use:
    tokens, cost = 0, 0.0
    known = True
    for use in uses:
        tokens += use.tokens
        known = known and use.cost_usd is not None
        cost += use.cost_usd or 0.0
    return Use(tokens, cost if known else None)


def check_call(limits: Limits, need: Need, idea: Use, batch: Use | None, model: str) -> OverBudget | None:
    """Why the call is not made. None if it may be.

    batch: use by the whole batch, None if that has no limit.
    """
    found = _check("", limits.max_tokens, limits.max_cost_usd, need, idea, model)
    if found is None and batch is not None:
        found = _check("batch-", limits.batch_max_tokens, limits.batch_max_cost_usd, need, batch, model)
    return found


def _check(
    prefix: str, max_tokens: int | None, max_cost_usd: float | None, need: Need, used: Use, model: str
) -> OverBudget | None:
    whose = "this batch" if prefix else "this idea"
    option = f"--{prefix}max-tokens"
    if max_tokens is not None and used.tokens + need.tokens > max_tokens:
        return OverBudget(
            f"the next call needs about {need.tokens:,} tokens, and {whose} used {used.tokens:,} "
            f"of {option} {max_tokens:,}",
            f"{option} {_round_up(max(2 * max_tokens, used.tokens + 2 * need.tokens))}",
        )
    if max_cost_usd is None:
        return None
    option = f"--{prefix}max-cost-usd"
    if need.cost_usd is None or used.cost_usd is None:
        return OverBudget(
            f"the price of {model} is unknown, so {option} {max_cost_usd:g} cannot be kept; register it in "
            f'scientist.toml, under [models."{model}"], as input_usd_per_mtok and output_usd_per_mtok (USD for a '
            f"million tokens), or lift that limit and set --{prefix}max-tokens",
            f"{option} 0 --{prefix}max-tokens 1000000",
        )
    if used.cost_usd + need.cost_usd > max_cost_usd:
        return OverBudget(
            f"the next call costs about ${need.cost_usd:.4f}, and {whose} used ${used.cost_usd:.4f} "
            f"of {option} {max_cost_usd:g}",
            f"{option} {max(2 * max_cost_usd, _round_cost(used.cost_usd + 2 * need.cost_usd)):g}",
        )
    return None


def change_limits(
    limits: Limits,
    *,
    max_tokens: int | None = None,
    max_cost_usd: float | None = None,
    batch_max_tokens: int | None = None,
    batch_max_cost_usd: float | None = None,
) -> Limits:
    """The limits with the given values in place of the old ones. 0 lifts a limit."""
    given = {
        "max_tokens": max_tokens,
        "max_cost_usd": max_cost_usd,
        "batch_max_tokens": batch_max_tokens,
        "batch_max_cost_usd": batch_max_cost_usd,
    }
    return replace(limits, **{name: value or None for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def _use(tally: Tally, price: Price | None) -> Use:
    guessed_in = math.ceil(tally.uncounted_chars / _chars_per_token(tally))
    guessed_out = tally.uncounted * _mean_out(tally)
    tokens = tally.tokens_in + tally.tokens_out + guessed_in + guessed_out
    unpriced_in = tally.tokens_in - tally.priced_in + guessed_in
    unpriced_out = tally.tokens_out - tally.priced_out + guessed_out
    if unpriced_in + unpriced_out == 0:
        return Use(tokens, tally.cost_usd)
    if price is None:
        return Use(tokens, None)
    return Use(tokens, tally.cost_usd + price.input_usd * unpriced_in + price.output_usd * unpriced_out)


def _chars_per_token(tally: Tally) -> float:
    return tally.chars / tally.tokens_in if tally.chars and tally.tokens_in else CHARS_PER_TOKEN


def _mean_out(tally: Tally) -> int:
    counted = tally.calls - tally.uncounted
    return math.ceil(tally.tokens_out / counted) if counted and tally.tokens_out else TOKENS_OUT


def _round_up(tokens: int) -> int:
    """The number rounded up to two digits, so that a person can type it."""
    step = int(10 ** max(0, len(str(tokens)) - 2))
    return -(-tokens // step) * step


def _round_cost(cost_usd: float) -> float:
    return math.ceil(cost_usd * 100) / 100
