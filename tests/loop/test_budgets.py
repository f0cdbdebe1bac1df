"""Tokens and money run out: the call is not made, the idea pauses with figures, and a resume with more goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.core.journal.budget import Limits, Paid, Price, change_limits
from agent.core.journal.events import Event, Resumed
from agent.core.journal.kinds import PauseKind
from agent.core.journal.state import State
from agent.edges.model.ledger import Ledger
from agent.edges.model.protocol import ModelReply, Request
from agent.edges.model.sweep import SweepModel
from agent.errors import ContextTooLong, ProviderRefused, ProviderUnavailable
from agent.loop import Loop
from tests.fakes import ScriptedModel
from tests.loop.conftest import Study
from tests.loop.instant import Crash, instant_runner, pauses_in, results_in, waits
from tests.loop.lines import DONE, FASTER, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN
from tests.loop.test_resume import place

# A scripted call uses 100 + 10 tokens and costs $0.001; the first one is estimated from its characters.
LINES = [PLAN + FASTER, MOMENTUM, DONE, NO_PLOT_EDIT, NOTES]


def loop(study: Study, model: object, ledger: Ledger | None = None) -> Loop:
    found = study.loop(model, runner=instant_runner())  # type: ignore[arg-type]
    found._edges = replace(found._edges, ledger=ledger or Ledger())
    return found


def raised(state: State, **limits: float) -> Resumed:
    return Resumed(limits=change_limits(state.limits, **limits))  # type: ignore[arg-type]


def test_an_idea_pauses_before_the_call_that_would_pass_its_tokens(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=3, max_tokens=1))
    model = ScriptedModel(LINES)
    state = loop(study, model).run()
    assert waits(state, PauseKind.BUDGET) and model.requests == [] and state.run.attempts_spent == 0
    assert state.pause and "this idea used 0 of --max-tokens 1" in state.pause.reason
    assert state.pause.remedy.startswith("--max-tokens ")

    state = loop(study, model).run(raised(state, max_tokens=int(state.pause.remedy.split()[1])))
    assert len(model.requests) > 0
    spent = state.spent
    assert state.ended or spent.paid.tokens_in + spent.paid.tokens_out <= state.limits.max_tokens  # type: ignore[operator]


def test_the_remedy_that_a_pause_names_always_goes_on(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=3, max_cost_usd=0.0001))
    model, rounds = ScriptedModel(LINES), 0
    state = loop(study, model, Ledger(lambda name: Price(1e-9, 1e-9))).run()
    while not state.ended:
        assert waits(state, PauseKind.BUDGET) and state.pause
        option, value = state.pause.remedy.split()
        assert option == "--max-cost-usd"
        before = len(model.requests)
        state = loop(study, model, Ledger(lambda name: Price(1e-9, 1e-9))).run(raised(state, max_cost_usd=float(value)))
        assert len(model.requests) > before
        rounds += 1
    assert state.ended.completed and rounds >= 1
    assert state.spent.cost_usd == pytest.approx(0.001 * len(LINES)) and state.spent.unknown_costs == 0


def test_a_call_that_was_not_made_is_no_call_in_flight(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1, max_tokens=1))
    loop(study, ScriptedModel([])).run()
    loop(study, ScriptedModel([])).run()  # resumed with nothing changed: the same pause
    state = loop(study, ScriptedModel([PLAN + FASTER, NO_PLOT_EDIT, NOTES])).run(Resumed(limits=Limits(max_runs=1)))
    assert state.ended and state.ended.completed and state.spent.unknown_costs == 0
    events = study.workspace.journal().events
    assert [asked.repeated for asked in results_in(events, "asked")] == [False] * 3  # type: ignore[attr-defined]
    assert len(pauses_in(events, PauseKind.BUDGET)) == 2


@pytest.mark.slow  # quick: the same in tests/cli/test_tell.py
def test_an_unknown_price_pauses_before_the_first_call_and_says_what_to_do(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1, max_cost_usd=5.0))
    model = ScriptedModel([PLAN + FASTER, NO_PLOT_EDIT, NOTES])
    state = loop(study, model).run()
    assert model.requests == [] and state.pause and state.pause.kind is PauseKind.BUDGET
    assert "the price of scripted/model is unknown" in state.pause.reason
    assert '[models."scripted/model"]' in state.pause.reason and "--max-tokens" in state.pause.reason
    state = loop(study, model, Ledger(lambda name: Price(1e-6, 1e-6))).run()
    assert state.ended and state.ended.completed


def test_a_control_spends_nothing_and_is_never_stopped(make_study: Callable[..., Study]) -> None:
    limits = Limits(max_runs=1, max_tokens=1, max_cost_usd=1e-9, batch_max_tokens=1)
    study = make_study(limits=limits, model="offline/sweep", control="control: sweep")
    state = loop(study, SweepModel()).run()
    assert state.ended and state.ended.completed


def test_an_idea_within_its_batchs_limit_goes_to_its_end(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1, batch_max_tokens=300_000))
    ledger = Ledger()
    state = loop(study, ScriptedModel([PLAN + FASTER, NO_PLOT_EDIT, NOTES]), ledger).run()
    assert state.ended and state.ended.completed
    assert state.spent.by_role["planner"].chars > 1000


@pytest.mark.slow  # quick: the same without pauses in test_resume.py
def test_a_crash_after_every_event_of_a_pause_changes_nothing(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1, max_tokens=1))
    model, seen = ScriptedModel([PLAN + FASTER, NO_PLOT_EDIT, NOTES]), set()
    runner = instant_runner()

    def crash(event: Event, state: State) -> None:
        where = (place(event, state), state.limits, str(state.pause))
        if event.type != "resumed" and where not in seen:
            seen.add(where)
            raise Crash

    for _ in range(100):
        state = study.loop([]).state
        if state.ended:
            break
        rich = raised(state, max_tokens=10**6) if waits(state, PauseKind.BUDGET) else None
        try:
            study.loop(model, runner=runner, watch=crash).run(rich)
        except Crash:
            continue
    assert state.ended and state.ended.completed and state.limits.max_tokens == 10**6


def test_a_crash_in_a_call_whose_repeat_is_refused_is_no_free_call(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1))

    class Gone(ScriptedModel):
        def ask(self, request: Request) -> ModelReply:
            raise Crash

    with pytest.raises(Crash):
        loop(study, Gone([])).run()
    state = loop(study, ScriptedModel([ProviderRefused("m", "no balance")])).run()
    assert waits(state, PauseKind.PROVIDER) and state.spent.unknown_costs == 1
    state = loop(study, ScriptedModel([PLAN + FASTER, NO_PLOT_EDIT, NOTES])).run()
    assert state.ended and state.spent.unknown_costs == 1 and state.spent.calls == 3


def test_what_a_failed_question_cost_is_counted_once_a_shorter_prompt_is_answered(
    make_study: Callable[..., Study],
) -> None:
    study = make_study(limits=Limits(max_runs=1))
    long, down = ContextTooLong("m", "too long", 50_000), ProviderUnavailable("m", "down")
    long.paid, down.paid = Paid(1000, 100, 0, 0.5, 2), Paid(100, 10, 0, 0.25, 1)
    state = loop(study, ScriptedModel([long, down])).run()
    assert waits(state, PauseKind.PROVIDER) and state.spent.cost_usd == 0.75 and state.spent.paid.requests == 3
    state = loop(study, ScriptedModel([long, PLAN + FASTER, NO_PLOT_EDIT, NOTES])).run()
    assert state.ended and state.spent.cost_usd == pytest.approx(0.75 + 0.5 + 3 * 0.001)
    assert state.spent.paid.tokens_in == 1100 + 1000 + 300


def test_the_reasoning_of_a_reply_is_kept(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1, max_tokens=1_000_000))

    class Thinking(ScriptedModel):
        def ask(self, request: Request) -> ModelReply:
            return replace(super().ask(request), reasoning="Hm \ud83d.")

    state = loop(study, Thinking([PLAN + FASTER, NO_PLOT_EDIT, NOTES])).run()
    assert state.ended
    (asked, *_) = results_in(study.workspace.journal().events, "asked")
    assert study.workspace.journal().get(asked.reasoning) == "Hm \ufffd."  # type: ignore[attr-defined]
