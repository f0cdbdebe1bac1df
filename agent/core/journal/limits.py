"""The budgets of an idea. Each is counted apart from the others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The budgets."""

    # Run numbers. A completed run spends one, and so does one that is given up.
    max_runs: int = 10
    # Attempts of one run. Code that fails lint, smoke, run or evaluation spends one.
    attempts: int = 4
    # Repairs of one reply, before the one turn that asks for a whole function or file.
    repairs: int = 2
    # Run numbers given up in a row before the idea is given up.
    give_ups: int = 3
    # How long one model call may be repeated while the provider is down.
    patience_s: float = 6 * 3600.0
    # Attempts to draw the figures.
    plot_attempts: int = 2
    # Steps lost in a row before the idea pauses.
    lost_steps: int = 3
    # Over all calls of the idea; None: no limit.
    max_tokens: int | None = None
    max_cost_usd: float | None = None
    # Over all ideas of the batch; None: no limit.
    batch_max_tokens: int | None = None
    batch_max_cost_usd: float | None = None
