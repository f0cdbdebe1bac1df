"""Tokens and money: estimates from past calls, limits that a call would pass, prices that nobody knows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.journal.action_results import Asked, AskFailed
from agent.core.journal.budget import (
    TOKENS_OUT,
    Limits,
    Need,
    OverBudget,
    Paid,
    Price,
    Tally,
    Use,
    add_call,
    add_use,
    change_limits,
    check_call,
    estimate_call,
    sum_use,
)
from agent.core.journal.codec import from_json, to_json
from agent.core.journal.events import Finished, Launched
from agent.core.journal.kinds import Role
from agent.core.journal.spending import is_free, model_of, spend_call, spend_failure, use_of
from agent.core.journal.state import Spent
from agent.core.model.tokens import CHARS_PER_TOKEN

PRICE = Price(1e-6, 2e-6)
NEED = Need(1000, 0.01)
MODEL = "openai/gpt-none"


def after(*calls: tuple[int, int, int, float | None]) -> Tally:
    """Calls as characters, tokens in, tokens out, cost."""
    tally = Tally()
    for chars, tokens_in, tokens_out, cost in calls:
        tally = add_call(tally, chars, Paid(tokens_in, tokens_out, cost_usd=cost))
    return tally


def test_the_first_call_is_estimated_from_its_characters_and_the_registered_price() -> None:
    need = estimate_call(Tally(), 3500, PRICE)
    assert need.tokens == 3500 / CHARS_PER_TOKEN + TOKENS_OUT
    assert need.cost_usd == pytest.approx(1000 * 1e-6 + TOKENS_OUT * 2e-6)


def test_later_calls_are_estimated_from_what_the_own_ones_came_to() -> None:
    tally = after((2000, 1000, 100, 0.011), (6000, 3000, 300, 0.033))
    need = estimate_call(tally, 4000, Price(9.0, 9.0))
    assert need.tokens == 2000 + 200
    assert need.cost_usd == pytest.approx(0.044 / 4400 * 2200)


def test_an_unknown_price_makes_no_estimate_of_money() -> None:
    assert estimate_call(after((350, 100, 10, None)), 350, None).cost_usd is None
    assert sum_use({"planner": after((350, 100, 10, None))}, {}).cost_usd is None
    assert sum_use({"planner": after((350, 100, 10, 0.5))}, {}).cost_usd == 0.5


def test_a_price_registered_later_covers_the_calls_before_it() -> None:
    tally = after((350, 100, 10, 0.5), (350, 200, 20, None))
    assert sum_use({"planner": tally}, {"planner": PRICE}).cost_usd == pytest.approx(0.5 + 200e-6 + 40e-6)


def test_tokens_that_a_provider_did_not_count_are_estimated_and_not_zero() -> None:
    use = sum_use({"planner": after((7000, 0, 0, None))}, {})
    assert use.tokens == 2000 + TOKENS_OUT and use.cost_usd is None


def test_a_call_sent_again_after_a_crash_counts_twice() -> None:
    asked = Asked(tokens_in=100, tokens_out=10, cost_usd=0.5, chars=350, repeated=True)
    spent = spend_call(Spent(), asked)
    assert (spent.calls, spent.cost_usd, spent.unknown_costs) == (1, 0.5, 1)
    assert use_of(spent, Launched(model=MODEL), {}) == Use(220, 1.0)


def test_roles_are_estimated_apart_and_summed() -> None:
    spent = spend_call(Spent(), Asked(tokens_in=1000, tokens_out=100, cost_usd=0.1, chars=4000))
    spent = spend_call(spent, Asked(tokens_in=100, tokens_out=10, cost_usd=None, chars=300, role=Role.EDITOR))
    launched = Launched(model=MODEL, editor_model="ollama/small")
    assert estimate_call(spent.by_role["editor"], 300, None).tokens == 110
    assert use_of(spent, launched, {}) == Use(1210, None)
    assert use_of(spent, launched, {"ollama/small": Price(0.0, 0.0)}) == Use(1210, 0.1)


def test_cached_tokens_and_requests_are_counted_apart() -> None:
    spent = spend_call(Spent(), Asked(tokens_in=100, tokens_cached=80, requests=3))
    assert (spent.paid.tokens_in, spent.paid.tokens_cached, spent.paid.requests) == (100, 80, 3)


def test_a_stand_in_for_a_model_spends_nothing() -> None:
    assert is_free("offline/sweep") and is_free("replay/old/momentum") and not is_free(MODEL)
    spent = spend_call(Spent(), Asked(chars=10_000))
    assert use_of(spent, Launched(model="offline/sweep"), {}) == Use(0, 0.0)
    assert model_of(Launched(model="a/b"), "reviewer") == "a/b"


def test_a_call_that_just_fits_is_made_and_one_more_token_is_not() -> None:
    limits = Limits(max_tokens=5000)
    assert check_call(limits, NEED, Use(4000), None, MODEL) is None
    over = check_call(limits, NEED, Use(4001), None, MODEL)
    assert over == OverBudget(
        "the next call needs about 1,000 tokens, and this idea used 4,001 of --max-tokens 5,000", "--max-tokens 10000"
    )


def test_money_is_limited_as_tokens_are() -> None:
    limits = Limits(max_cost_usd=0.05)
    assert check_call(limits, NEED, Use(0, 0.04), None, MODEL) is None
    over = check_call(limits, NEED, Use(0, 0.0401), None, MODEL)
    assert over and over.reason.endswith("this idea used $0.0401 of --max-cost-usd 0.05")
    assert over.remedy == "--max-cost-usd 0.1"


def test_the_batch_has_limits_of_its_own() -> None:
    limits = Limits(batch_max_tokens=5000, max_tokens=100_000)
    over = check_call(limits, NEED, Use(10), Use(4500), MODEL)
    assert over and over.remedy == "--batch-max-tokens 10000" and "this batch used 4,500" in over.reason
    money = check_call(Limits(batch_max_cost_usd=1.0), NEED, Use(10), Use(4500, 0.995), MODEL)
    assert money and money.remedy == "--batch-max-cost-usd 2"
    assert check_call(limits, NEED, Use(10), None, MODEL) is None


@pytest.mark.parametrize(("need", "used"), [(Need(10, None), Use(0, 0.0)), (NEED, Use(10, None))])
def test_a_limit_on_money_cannot_be_kept_at_an_unknown_price(need: Need, used: Use) -> None:
    over = check_call(Limits(max_cost_usd=5.0), need, used, None, MODEL)
    assert over and over.remedy.startswith("--max-cost-usd 0 --max-tokens ")
    assert f'[models."{MODEL}"]' in over.reason and "input_usd_per_mtok" in over.reason
    assert check_call(Limits(), need, used, None, MODEL) is None


def test_a_remedy_is_enough_for_the_call_that_was_not_made() -> None:
    for used in (0, 900, 10_000):
        over = check_call(Limits(max_tokens=1000), Need(12_345, 0.1), Use(used), None, MODEL)
        assert over
        raised = change_limits(Limits(), max_tokens=int(over.remedy.split()[1]))
        assert check_call(raised, Need(12_345, 0.1), Use(used), None, MODEL) is None


def test_limits_are_changed_one_by_one_and_zero_lifts_one() -> None:
    limits = Limits(max_tokens=5, max_cost_usd=2.0)
    assert change_limits(limits) == limits
    assert change_limits(limits, max_tokens=9) == Limits(max_tokens=9, max_cost_usd=2.0)
    assert change_limits(limits, max_cost_usd=0.0, batch_max_tokens=7) == Limits(max_tokens=5, batch_max_tokens=7)


def test_a_sum_with_one_unknown_cost_is_unknown() -> None:
    assert add_use([Use(1, 1.0), Need(2, 0.5)]) == Use(3, 1.5)
    assert add_use([Use(1, 1.0), Need(2, None)]) == Use(3, None)


def test_a_failed_call_counts_with_what_was_paid_for_it() -> None:
    failed = AskFailed(role=Role.EDITOR, tokens_in=200, tokens_out=20, tokens_cached=7, cost_usd=0.5, requests=3)
    spent = spend_failure(Spent(), failed)
    assert (spent.calls, spent.paid) == (1, Paid(200, 20, 7, 0.5, requests=3))
    assert spent.by_role[Role.EDITOR].tokens_out == 20 and spent.unknown_costs == 0
    assert spend_failure(Spent(), replace(failed, cost_usd=None)).unknown_costs == 1
    assert spend_failure(Spent(), AskFailed(reason="down", requests=2)) == Spent(paid=Paid(requests=2))


def test_a_call_that_a_crash_cut_off_counts_where_its_repeat_is_refused() -> None:
    spent = spend_failure(Spent(), AskFailed(chars=3500, repeated=True))
    assert spent.unknown_costs == 1
    used = use_of(spent, Launched(model="p/m"), {"p/m": Price(1e-6, 1e-6)})
    assert used.tokens == 1000 + TOKENS_OUT and used.cost_usd == pytest.approx(used.tokens * 1e-6)
    assert use_of(spent, Launched(model="p/m"), {}).cost_usd is None


def test_one_unknown_cost_makes_what_was_paid_unknown() -> None:
    assert Paid(1, 2, 1, 0.5, 1) + Paid(3, 4, 0, 0.25, 2) == Paid(4, 6, 1, 0.75, 3)
    assert (Paid(1, 2, 0, 0.5) + Paid(3, 4, 0, None)).cost_usd is None


def test_answers_that_nobody_counted_are_estimated_each() -> None:
    """A reply of no use that cannot be read was billed all the same, and so were two beside one that was counted."""
    failed = spend_failure(Spent(), AskFailed(chars=7000, requests=3, uncounted=3))
    price = {Role.PLANNER.value: Price(1e-6, 2e-6)}
    assert sum_use(failed.by_role, price) == Use(3 * (2000 + 1500), pytest.approx(3 * (0.002 + 0.003)))
    assert (failed.calls, failed.unknown_costs) == (1, 3)
    asked = Asked(tokens_in=2000, tokens_out=1000, cost_usd=0.004, chars=7000, requests=3, uncounted=2)
    spent = spend_call(Spent(), asked)
    assert sum_use(spent.by_role, price) == Use(3 * 3000, pytest.approx(3 * 0.004))
    assert spent.unknown_costs == 2 and sum_use(spent.by_role, {}).cost_usd is None


def test_a_sum_keeps_the_known_cost_beside_answers_that_nobody_counted() -> None:
    uncounted, known = Paid(cost_usd=None, uncounted=1), Paid(10, 5, 0, 0.25)
    assert sum([uncounted, known, uncounted], Paid(requests=3)) == Paid(10, 5, 0, 0.25, 3, 2)
    assert sum([uncounted, uncounted], Paid(requests=2)) == Paid(cost_usd=None, requests=2, uncounted=2)
    assert (known + Paid(10, 5, 0, None)).cost_usd is None


def test_a_count_of_zero_is_left_out_of_the_journal() -> None:
    for count in (0, 2):
        event = Finished(key="ask", result=AskFailed(reason="x", uncounted=count))
        written = to_json(event)
        assert ("uncounted" in written["result"]) is (count > 0) and from_json(written) == event
