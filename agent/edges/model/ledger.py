"""Budgets of ideas and batches: calls are admitted within them, also several at once."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.core.journal.budget import Limits, Need, Paid, Price, Tally, Use, add_use, check_call, estimate_call
from agent.core.journal.spending import ROLES, is_free, model_of, use_of
from agent.core.journal.state import State
from agent.edges.model.protocol import Model, ModelReply, Request
from agent.edges.workspace.layout import BATCH_FILE, Workspace, find_workspaces, read_state
from agent.errors import BudgetSpent, IntegrityError, ProviderError

PriceOf = Callable[[str], Price | None]


def no_price(model: str) -> Price | None:
    """Nothing is known of any model's price."""
    return None


@dataclass
class _Account:
    """One workspace and the use of its budgets."""

    # As it was last seen.
    state: State
    # Bytes of the journal when it was read. None for a workspace that this process works on.
    size: int | None = None
    # Use by calls that ended after that.
    since: list[Use] = field(default_factory=list)
    # Needs of the calls in flight.
    reserved: list[Need] = field(default_factory=list)


class Ledger:
    """The use of budgets by all ideas of a process, whose threads share it.

    Workspaces of the batch that other processes work on count as their journals stand. Their calls in flight do not.

    price_of: gives the price of a model, or None if nobody knows it. It is called only if money is limited.
    """

    def __init__(self, price_of: PriceOf = no_price) -> None:
        self._price_of = price_of
        self._prices: dict[str, Price | None] = {}
        self._accounts: dict[Path, _Account] = {}
        self._lock = threading.Lock()

    def ask(
        self, model: Model, request: Request, workspace: Workspace, state: State, role: str, *, repeated: bool = False
    ) -> ModelReply:
        """The model's reply, if the budgets have room for the call. Room is checked again before each further request.

        repeated: the same call was sent before a crash, and counts too.

        Raises: BudgetSpent, which names the use before it, and the exceptions of the model.
        """
        if is_free(model.name):
            return model.ask(request)
        path = workspace.path
        need, dearest = self._reserve(model.name, request_chars(request), path, state, role, repeated=repeated)

        def check_room(paid: Paid) -> None:
            with self._lock:
                self._check(path, need, dearest, _use_of(paid, need))

        paid = None
        try:
            reply = model.ask(replace(request, check_room=check_room))
            paid = reply.paid
        except (ProviderError, BudgetSpent) as error:
            paid = error.paid if error.paid and (error.paid.is_counted or error.paid.uncounted) else None
            raise
        finally:
            self._settle(path, need, paid)
        return reply

    def _reserve(
        self, model: str, chars: int, path: Path, state: State, role: str, *, repeated: bool
    ) -> tuple[Need, str]:
        """Reserve the need of the call if its dearest model answers. The need, and the name of that model."""
        with self._lock:
            account = self._accounts.setdefault(path, _Account(state))
            account.state, account.size, account.since = state, None, []
            money = _limits_money(state.limits)
            model, need = self._dearest([model, *state.launched.fallbacks], state, role, chars, money=money)
            if repeated:
                account.since.append(Use(need.tokens, need.cost_usd))
            self._check(path, need, model)
            account.reserved.append(need)
            return need, model

    def _check(self, path: Path, need: Need, model: str, paid: Use | None = None) -> None:
        """Check the budgets for a call whose need is reserved, or `paid` in its place.

        Raises: BudgetSpent if there is no room.
        """
        account = self._accounts[path]
        limits = account.state.limits
        money = _limits_money(limits)
        used = self._total(account, money=money) if paid is None else self._total(account, need, paid, money=money)
        others = self._siblings(path) if _limits_batch(limits) else []
        batch = add_use([used, *(self._total(a, money=money) for a in others)]) if _limits_batch(limits) else None
        over = check_call(limits, need, used, batch, model)
        if over:
            raise BudgetSpent(over.reason, over.remedy)

    def _settle(self, path: Path, need: Need, paid: Paid | None) -> None:
        """End a call: its use takes the place of its need."""
        with self._lock:
            account = self._accounts[path]
            account.reserved.remove(need)
            if paid is not None:
                account.since.append(_use_of(paid, need))

    def _dearest(self, models: list[str], state: State, role: str, chars: int, *, money: bool) -> tuple[str, Need]:
        """The model or fallback that costs most, and the need of the call with it. An unknown price is the highest."""
        tally = state.spent.by_role.get(role, Tally())
        needs = {models[0]: estimate_call(tally, chars, self._price(models[0]) if money else None)}
        for name in models[1:] if money else ():  # the role's own price so far says nothing of another model's
            needs[name] = estimate_call(replace(tally, priced_in=0, priced_out=0), chars, self._price(name))
        return max(needs.items(), key=lambda item: math.inf if item[1].cost_usd is None else item[1].cost_usd)

    def _total(self, account: _Account, need: Need | None = None, paid: Use | None = None, *, money: bool) -> Use:
        """All use and needs of an account, with `paid` in place of the reserved `need`."""
        launched = account.state.launched
        models = {model_of(launched, role) for role in ROLES} if money else ()
        prices = {name: self._price(name) for name in models}
        reserved: list[Need | Use] = list(account.reserved)
        if need is not None and paid is not None:
            reserved[account.reserved.index(need)] = paid
        return add_use([use_of(account.state.spent, launched, prices), *account.since, *reserved])

    def _price(self, model: str) -> Price | None:
        if model not in self._prices:
            self._prices[model] = None if is_free(model) else self._price_of(model)
        return self._prices[model]

    def _siblings(self, path: Path) -> list[_Account]:
        """The batch's other workspaces. If another process works on one and its journal grew, it is read again."""
        batch = path.parent
        found = find_workspaces(batch) if (batch / BATCH_FILE).is_file() else []
        for sibling in found:
            known = self._accounts.get(sibling.path)
            if sibling.path == path or (known and known.size is None):
                continue
            with contextlib.suppress(OSError, IntegrityError):  # a damaged one has its own error: its last state counts
                size = (sibling.agent / "journal.jsonl").stat().st_size
                if known is None or known.size != size:
                    self._accounts[sibling.path] = _Account(read_state(sibling), size)
        return [self._accounts[w.path] for w in found if w.path != path and w.path in self._accounts]


def request_chars(request: Request) -> int:
    """Length of all messages."""
    return sum(len(message.content) for message in request.messages)


def _use_of(paid: Paid, need: Need) -> Use:
    """The use that was paid for. If the provider did not say, the estimate stands for each answer."""
    uncounted = max(paid.uncounted, 0 if paid.tokens_in else 1)
    tokens = paid.tokens_in + paid.tokens_out + uncounted * need.tokens
    known = paid.cost_usd if paid.cost_usd is not None else need.cost_usd if paid.tokens_in else 0.0
    guessed = need.cost_usd if uncounted else 0.0
    return Use(tokens, None if known is None or guessed is None else known + uncounted * guessed)


def _limits_money(limits: Limits) -> bool:
    return limits.max_cost_usd is not None or limits.batch_max_cost_usd is not None


def _limits_batch(limits: Limits) -> bool:
    return limits.batch_max_tokens is not None or limits.batch_max_cost_usd is not None
