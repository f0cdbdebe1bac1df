"""The budgets of an idea. They are kept apart and never mixed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent.

    max_runs: run numbers, spent by a completed run or one given up.
    attempts: per run, spent by code that failed lint, smoke, run or evaluation.
    repairs: per reply, before the one turn that asks for a whole function or file.
    give_ups: run numbers given up in a row before the idea is given up.
    patience_s: how long one model call may be repeated while the provider is down.
    max_tokens, max_cost_usd: of all calls of the idea; batch_...: of all ideas of its batch. None: no limit.
    """

    max_runs: int = 10
    attempts: int = 4
    repairs: int = 2
    give_ups: int = 3
    patience_s: float = 6 * 3600.0
    plot_attempts: int = 2
    lost_steps: int = 3
    max_tokens: int | None = None
    max_cost_usd: float | None = None
    batch_max_tokens: int | None = None
    batch_max_cost_usd: float | None = None
