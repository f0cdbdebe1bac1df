"""Budgets over several ideas: real journals, real threads, a model that answers when told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.core.journal.action_results import Asked
from agent.core.journal.budget import Limits, Paid, Price
from agent.core.journal.events import Finished, Launched, Started
from agent.core.journal.fold import fold
from agent.core.journal.kinds import Role
from agent.core.model.messages import Message
from agent.edges.model.ledger import Ledger
from agent.edges.model.protocol import ModelReply, Request
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import BATCH_FILE, Workspace
from agent.errors import BudgetSpent, ProviderUnavailable

NAMES = ("a", "b", "c", "d")
CALL = 1000 + 100  # tokens of one call of Counting, once one was made


@dataclass
class Counting:
    """Uses 1000 + 100 tokens a call, and can be held until everybody is there."""

    name: str = "openai/gpt-none"
    cost_usd: float | None = 0.01
    hold: Callable[[], object] = lambda: None
    calls: list[Request] = field(default_factory=list)
    window_tokens: int | None = None
    takes_files: bool = False

    def ask(self, request: Request) -> ModelReply:
        self.calls.append(request)
        self.hold()
        return ModelReply("reply", self.name, Paid(1000, 100, cost_usd=self.cost_usd, requests=1))


@dataclass
class Batch:
    """Workspaces that consist of a journal."""

    folder: Path

    def launch(
        self, name: str, limits: Limits | None = None, model: str = "openai/gpt-none", **launched: Any
    ) -> Workspace:
        workspace = Workspace(self.folder / name)
        workspace.agent.mkdir(parents=True)
        Journal(workspace.agent).append(Launched(workspace=name, model=model, limits=limits or Limits(), **launched))
        return workspace

    def spend(self, workspace: Workspace, **asked: Any) -> None:
        journal = Journal(workspace.agent)
        journal.append(Started("k", "AskModel", 1, 1, 0))
        told: dict[str, Any] = {"chars": 4000, "tokens_in": 1000, "tokens_out": 100, "cost_usd": 0.01}
        journal.append(Finished("k", Asked(**(told | asked))))


def ask(ledger: Ledger, model: Counting, workspace: Workspace, role: Role = Role.PLANNER) -> ModelReply:
    state = fold(Journal(workspace.agent).events)
    request = Request((Message("user", "x" * 4000),), view=None)  # type: ignore[arg-type]
    return ledger.ask(model, request, workspace, state, role)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    folder = tmp_path / "a batch"
    folder.mkdir()
    (folder / BATCH_FILE).write_text(json.dumps({"schema_version": 1, "workspaces": list(NAMES)}))
    return Batch(folder)


def test_a_call_that_would_pass_the_limit_is_not_made(batch: Batch) -> None:
    workspace = batch.launch("a", Limits(max_tokens=3 * CALL))
    batch.spend(workspace)
    batch.spend(workspace)
    model = Counting()
    ask(Ledger(), model, workspace)
    batch.spend(workspace)
    with pytest.raises(BudgetSpent, match="this idea used 3,300 of --max-tokens 3,300") as error:
        ask(Ledger(), model, workspace)
    assert len(model.calls) == 1
    assert error.value.exit_code == 4 and error.value.remedy.startswith("--max-tokens ")


def test_without_limits_nobody_asks_for_prices(batch: Batch) -> None:
    def price_of(model: str) -> Price:
        raise AssertionError(f"asked for the price of {model}")

    model = Counting(cost_usd=None)
    ask(Ledger(price_of), model, batch.launch("a", Limits(max_tokens=10**6)))
    assert len(model.calls) == 1


def test_an_unknown_price_stops_the_first_call_under_a_limit_on_money(batch: Batch) -> None:
    workspace = batch.launch("a", Limits(max_cost_usd=100.0))
    model = Counting()
    with pytest.raises(BudgetSpent, match="the price of openai/gpt-none is unknown"):
        ask(Ledger(), model, workspace)
    assert model.calls == []
    ask(Ledger(lambda name: Price(1e-6, 1e-6)), model, workspace)


def test_a_reply_without_a_cost_stops_the_next_call_unless_its_price_is_registered(batch: Batch) -> None:
    workspace = batch.launch("a", Limits(max_cost_usd=1.0))
    batch.spend(workspace, cost_usd=None)
    with pytest.raises(BudgetSpent, match="unknown"):
        ask(Ledger(), Counting(), workspace)
    ask(Ledger(lambda name: Price(1e-6, 1e-6)), Counting(), workspace)
    with pytest.raises(BudgetSpent, match=r"used \$0\.99"):
        ask(Ledger(lambda name: Price(9e-4, 9e-4)), Counting(), workspace)


def test_a_fallback_that_costs_more_or_has_no_price_counts_too(batch: Batch) -> None:
    workspace = batch.launch("a", Limits(max_cost_usd=1.0), fallbacks=("openai/dear",))
    prices = {"openai/gpt-none": Price(1e-6, 1e-6)}
    with pytest.raises(BudgetSpent, match="the price of openai/dear is unknown"):
        ask(Ledger(prices.get), Counting(), workspace)
    with pytest.raises(BudgetSpent, match="the next call costs about"):
        ask(Ledger((prices | {"openai/dear": Price(1e-3, 1e-3)}).get), Counting(), workspace)
    ask(Ledger((prices | {"openai/dear": Price(1e-5, 1e-5)}).get), Counting(), workspace)


def test_a_batch_sums_its_siblings_journals(batch: Batch) -> None:
    limits = Limits(batch_max_tokens=4 * CALL)
    first, second = batch.launch("a", limits), batch.launch("b", limits)
    batch.spend(first)
    batch.spend(second)
    ledger, model = Ledger(), Counting()
    ask(ledger, model, first)
    batch.spend(first)
    batch.spend(second)  # by another process: the journal grew
    with pytest.raises(BudgetSpent, match="this batch used 4,400 of --batch-max-tokens 4,400"):
        ask(ledger, model, first)


def test_money_of_siblings_counts_with_their_own_prices(batch: Batch) -> None:
    limits = Limits(batch_max_cost_usd=1.0)
    first = batch.launch("a", limits)
    batch.spend(first)
    other = batch.launch("b", limits, model="openai/other")
    batch.spend(other, cost_usd=None)
    prices = {"openai/other": Price(1e-3, 0.0)}
    with pytest.raises(BudgetSpent, match=r"this batch used \$1\.01"):
        ask(Ledger(prices.get), Counting(), first)
    with pytest.raises(BudgetSpent, match="unknown"):
        ask(Ledger(), Counting(), first)


def test_a_control_neither_spends_nor_is_stopped(batch: Batch) -> None:
    limits = Limits(max_tokens=1, batch_max_tokens=5 * CALL, max_cost_usd=0.001)
    control = batch.launch("a", limits, model="offline/sweep")
    batch.spend(control, tokens_in=0, tokens_out=0, cost_usd=None)
    sweep, model = Counting(name="offline/sweep"), Counting()
    ask(Ledger(), sweep, control)
    other = batch.launch("b", Limits(batch_max_tokens=2 * CALL))
    batch.spend(other)
    ask(Ledger(), model, other)
    assert len(sweep.calls) == len(model.calls) == 1


def test_a_damaged_or_missing_sibling_stops_nobody(batch: Batch) -> None:
    workspace = batch.launch("a", Limits(batch_max_tokens=10 * CALL))
    (batch.launch("b").agent / "journal.jsonl").write_text("no event\n")
    (batch.launch("c").agent / "journal.jsonl").unlink()
    model = Counting()
    ask(Ledger(), model, workspace)
    assert len(model.calls) == 1


def test_a_call_that_failed_gives_its_reservation_back(batch: Batch) -> None:
    workspace = batch.launch("a", Limits(max_tokens=2 * CALL))
    batch.spend(workspace)

    def fail() -> None:
        raise ProviderUnavailable("openai/gpt-none", "overloaded")

    ledger = Ledger()
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            ask(ledger, Counting(hold=fail), workspace)
    ask(ledger, Counting(), workspace)


def test_a_call_that_failed_counts_with_what_was_paid_for_it(batch: Batch) -> None:
    limits = Limits(batch_max_tokens=4 * CALL)
    first, second = batch.launch("a", limits), batch.launch("b", limits)
    batch.spend(first)
    batch.spend(second)

    def fail() -> None:
        error = ProviderUnavailable("openai/gpt-none", "overloaded")
        error.paid = Paid(1000, 100, 0, 0.01, 3)
        raise error

    ledger, model = Ledger(), Counting()
    with pytest.raises(ProviderUnavailable):
        ask(ledger, Counting(hold=fail), first)
    ask(ledger, model, second)
    batch.spend(second)
    with pytest.raises(BudgetSpent, match="this batch used 4,400"):  # before the journal of the first has it
        ask(ledger, model, second)
    assert len(model.calls) == 1


def test_a_call_goes_on_only_while_there_is_room(batch: Batch) -> None:
    """The rest of a cut reply is asked for only if there is room, with the cost so far in place of the estimate."""
    workspace = batch.launch("a", Limits(max_tokens=3 * CALL))
    batch.spend(workspace)

    @dataclass
    class Cut(Counting):
        def ask(self, request: Request) -> ModelReply:
            request.check_room(Paid(1000, 100, 0, 0.01, 1))
            try:
                request.check_room(Paid(2000, 200, 0, 0.02, 2))
            except BudgetSpent as error:
                error.paid = Paid(2000, 200, 0, 0.02, 2)
                raise
            raise AssertionError("there was no room")

    with pytest.raises(BudgetSpent, match=r"this idea used 3,300 of --max-tokens 3,300"):
        ask(Ledger(), Cut(), workspace)


def test_the_half_of_a_count_that_a_provider_told_counts_beside_an_estimate_of_all(batch: Batch) -> None:
    workspace = batch.launch("a", Limits(max_tokens=60_000))
    batch.spend(workspace)

    @dataclass
    class Half(Counting):
        def ask(self, request: Request) -> ModelReply:
            request.check_room(Paid(0, 50_000, 0, 0.01, 1, uncounted=1))
            request.check_room(Paid(0, 60_000, 0, 0.01, 1, uncounted=1))
            raise AssertionError("there was no room")

    with pytest.raises(BudgetSpent, match=r"this idea used 62,\d00 of --max-tokens 60,000"):
        ask(Ledger(), Half(), workspace)


def test_a_call_that_a_crash_cut_off_counts_before_it_is_repeated(batch: Batch) -> None:
    workspace = batch.launch("a", Limits(max_tokens=3 * CALL - 1))
    batch.spend(workspace)
    state = fold(Journal(workspace.agent).events)
    request = Request((Message("user", "x" * 4000),), view=None)  # type: ignore[arg-type]
    with pytest.raises(BudgetSpent, match="this idea used 2,200"):
        Ledger().ask(Counting(), request, workspace, state, Role.PLANNER, repeated=True)
    ask(Ledger(), Counting(), workspace)


def test_calls_in_flight_together_cannot_pass_the_limit(batch: Batch) -> None:
    """Four ideas, room for two more calls: two are sent, and both at the same time."""
    limits = Limits(batch_max_tokens=6 * CALL)
    workspaces = [batch.launch(name, limits) for name in NAMES]
    for workspace in workspaces:
        batch.spend(workspace)
    together = threading.Barrier(2, timeout=20)
    model, ledger = Counting(hold=together.wait), Ledger()

    def try_ask(workspace: Workspace) -> str:
        try:
            return ask(ledger, model, workspace).text
        except BudgetSpent as error:
            return error.remedy

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(try_ask, workspaces))
    assert said.count("reply") == 2 and len(model.calls) == 2
    assert {text for text in said if text != "reply"} == {"--batch-max-tokens 14000"}
    left_out = workspaces[next(n for n, text in enumerate(said) if text != "reply")]
    with pytest.raises(BudgetSpent):  # what the two used counts before their journals have it
        ask(ledger, model, left_out)


def test_many_ideas_use_a_budget_up_and_never_pass_it(batch: Batch) -> None:
    limits = Limits(batch_max_tokens=50 * CALL)
    workspaces = [batch.launch(name, limits) for name in NAMES]
    for workspace in workspaces:
        batch.spend(workspace)
    model, ledger = Counting(), Ledger()

    def work(workspace: Workspace) -> None:
        while True:
            try:
                ask(ledger, model, workspace)
            except BudgetSpent:
                return
            batch.spend(workspace)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, workspaces))
    assert 50 - len(workspaces) - 3 <= len(model.calls) <= 50 - len(workspaces)
