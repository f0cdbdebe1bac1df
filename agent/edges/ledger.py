"""Who used what: calls are admitted within the budgets of their idea and batch, also several at once."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.core.budget import Need, Price, Tally, Use, add_use, check_call, estimate_call
from agent.core.limits import Limits
from agent.core.spending import ROLES, is_free, model_of, use_of
from agent.core.state import State
from agent.edges.llm import Model, ModelReply, Request
from agent.edges.workspace import BATCH_FILE, Workspace, find_workspaces, read_state
from agent.errors import BudgetSpent, IntegrityError

PriceOf = Callable[[str], Price | None]


def no_price(model: str) -> Price | None:
    """Nothing is known of any model's price."""
    return None


@dataclass
class _Account:
    """One workspace: its state when last seen, what its calls used since, and what those in flight are to need.

    size: of its journal when it was read; None for a workspace that this process works on.
    """

    state: State
    size: int | None = None
    since: list[Use] = field(default_factory=list)
    reserved: list[Need] = field(default_factory=list)


class Ledger:
    """One for all ideas of a process; any of their threads may call it.

    Siblings that other processes work on count as their journals stand; their calls in flight are not seen.

    price_of: what a model charges, asked only where a limit on money stands; None where nobody knows.
    """

    def __init__(self, price_of: PriceOf = no_price) -> None:
        self._price_of = price_of
        self._prices: dict[str, Price | None] = {}
        self._accounts: dict[Path, _Account] = {}
        self._lock = threading.Lock()

    def ask(self, model: Model, request: Request, workspace: Workspace, state: State, role: str) -> ModelReply:
        """The model's reply, where the budgets have room for the call.

        Raises: BudgetSpent, with nothing sent; what the model raises.
        """
        if is_free(model.name):
            return model.ask(request)
        need = self._reserve(model.name, request_chars(request), workspace.path, state, role)
        reply = None
        try:
            reply = model.ask(request)
        finally:
            self._settle(workspace.path, need, reply)
        return reply

    def _reserve(self, model: str, chars: int, path: Path, state: State, role: str) -> Need:
        limits = state.limits
        with self._lock:
            account = self._accounts.setdefault(path, _Account(state))
            account.state, account.size, account.since = state, None, []
            accounts = [account, *self._siblings(path)] if _limits_batch(limits) else [account]
            money = limits.max_cost_usd is not None or limits.batch_max_cost_usd is not None
            model, need = self._dearest([model, *state.launched.fallbacks], state, role, chars, money=money)
            idea, *others = (self._total(a, money=money) for a in accounts)
            batch = add_use([idea, *others]) if _limits_batch(limits) else None
            over = check_call(limits, need, idea, batch, model)
            if over:
                raise BudgetSpent(over.reason, over.remedy)
            account.reserved.append(need)
            return need

    def _settle(self, path: Path, need: Need, reply: ModelReply | None) -> None:
        """The call is over: what it used takes the place of what it was expected to use."""
        with self._lock:
            account = self._accounts[path]
            account.reserved.remove(need)
            if reply is not None:
                tokens = reply.tokens_in + reply.tokens_out if reply.tokens_in else need.tokens
                account.since.append(Use(tokens, need.cost_usd if reply.cost_usd is None else reply.cost_usd))

    def _dearest(self, models: list[str], state: State, role: str, chars: int, *, money: bool) -> tuple[str, Need]:
        """What the call needs of the model, or of a fallback that costs more; an unknown price is the highest."""
        tally = state.spent.by_role.get(role, Tally())
        needs = {models[0]: estimate_call(tally, chars, self._price(models[0]) if money else None)}
        for name in models[1:] if money else ():  # the role's own price so far says nothing of another model's
            needs[name] = estimate_call(replace(tally, priced_in=0, priced_out=0), chars, self._price(name))
        return max(needs.items(), key=lambda item: math.inf if item[1].cost_usd is None else item[1].cost_usd)

    def _total(self, account: _Account, *, money: bool) -> Use:
        launched = account.state.launched
        models = {model_of(launched, role) for role in ROLES} if money else ()
        prices = {name: self._price(name) for name in models}
        return add_use([use_of(account.state.spent, launched, prices), *account.since, *account.reserved])

    def _price(self, model: str) -> Price | None:
        if model not in self._prices:
            self._prices[model] = None if is_free(model) else self._price_of(model)
        return self._prices[model]

    def _siblings(self, path: Path) -> list[_Account]:
        """The batch's other workspaces; those that this process does not work on are read again where they grew."""
        batch = path.parent
        found = find_workspaces(batch) if (batch / BATCH_FILE).is_file() else []
        for sibling in found:
            known = self._accounts.get(sibling.path)
            if sibling.path == path or (known and known.size is None):
                continue
            with contextlib.suppress(OSError, IntegrityError):  # a damaged one has its own error; what is known counts
                size = (sibling.agent / "journal.jsonl").stat().st_size
                if known is None or known.size != size:
                    self._accounts[sibling.path] = _Account(read_state(sibling), size)
        return [self._accounts[w.path] for w in found if w.path != path and w.path in self._accounts]


def request_chars(request: Request) -> int:
    """Length of all messages."""
    return sum(len(message.content) for message in request.messages)


def _limits_batch(limits: Limits) -> bool:
    return limits.batch_max_tokens is not None or limits.batch_max_cost_usd is not None
