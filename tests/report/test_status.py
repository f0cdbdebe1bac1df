"""How an idea stands: its state, its step, its best run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.evidence.baseline import Baseline
from agent.core.inputs.spec import Direction, Metric, TemplateSpec
from agent.core.journal.action_results import Asked, AskFailed, Linted, Opened, Refused
from agent.core.journal.budget import Limits
from agent.core.journal.events import Ended, Paused
from agent.core.journal.kinds import Intent, Measured, PauseKind, Step
from agent.core.journal.replications import Replicate
from agent.core.journal.state import State
from agent.report import status
from agent.report.status import Activity, Best, Standing, WorkState, best_run, phase_of, stand
from tests.core.journal_by_hand import Story

BASELINES = [Baseline("plain", seed, {"score": value}) for seed, value in enumerate((0.48, 0.5, 0.52))]


def spec(direction: Direction = "higher") -> TemplateSpec:
    return TemplateSpec(name="t", metrics=(Metric(name="score", path=("score",), direction=direction),))


def standing(
    state: State, *, is_held: bool = False, fresh: bool = False, silence: str = "", step_goes_on: bool = False
) -> Standing:
    return stand("/w/momentum", state, spec(), BASELINES, Activity(is_held, fresh, silence, step_goes_on))


def after(*scores: float, limits: Limits | None = None, verified: bool = False) -> Story:
    story = Story(limits or Limits(), verified=verified)
    for score in scores:
        story.complete_run(score)
    return story


def test_the_module_offers_what_it_says() -> None:
    assert all(hasattr(status, name) for name in status.__all__)


# The state


def test_an_idea_just_launched_is_pending() -> None:
    assert standing(Story().state, fresh=True).state is WorkState.PENDING


def test_an_idea_that_somebody_works_on_is_running() -> None:
    told = standing(Story().state, is_held=True, fresh=True)
    assert (told.state, told.reason) == (WorkState.RUNNING, "")


ENDED_EARLY = "Ctrl-C, a signal or a crash ended the work on it"


def test_an_idea_that_nobody_works_on_was_interrupted_and_names_the_way_on() -> None:
    told = standing(after(0.5).state)
    assert (told.state, told.reason) == (WorkState.INTERRUPTED, f"{ENDED_EARLY}; nothing is running")
    assert told.next == ("scientist resume /w/momentum",)


def test_an_interrupted_idea_names_the_run_that_goes_on_and_no_other() -> None:
    story = Story()
    story.apply()
    story.tell(Linted(), Opened(step=Step.RUN, folder="run_1.1"))
    going, still = standing(story.state, step_goes_on=True), standing(story.state)
    assert (going.reason, going.at_work) == (f"{ENDED_EARLY}; run_1.1 goes on", True)
    assert (still.reason, still.at_work) == (f"{ENDED_EARLY}; nothing is running", False)
    assert going.needs_person and still.needs_person


def test_an_idea_at_work_or_to_come_needs_no_command() -> None:
    assert standing(after(0.5).state, is_held=True).next == ()
    assert standing(Story().state, fresh=True).next == ()


def test_an_idea_whose_supervisor_is_silent_is_stalled_whoever_works_on_it() -> None:
    story = Story()
    story.apply()
    story.tell(Linted(), Opened(step=Step.RUN, folder="run_1.1"))
    words = "run_1.1: no heartbeat for 75 s from supervisor 4711 on node7"
    told = standing(story.state, is_held=True, silence=words)
    assert (told.state, told.phase, told.reason) == (WorkState.STALLED, "run", words)
    alone = standing(story.state, silence=words, step_goes_on=True)
    assert (alone.state, alone.reason) == (WorkState.STALLED, f"{ENDED_EARLY}; {words}")
    assert (told.next, alone.next) == ((), ("scientist resume /w/momentum",))
    assert not told.at_work and not alone.at_work, "nothing moves until a person does something"


def test_a_paused_idea_says_why_until_somebody_works_on_it_again() -> None:
    story = Story()
    story.tell(AskFailed(reason="insufficient balance"))
    told = standing(story.state)
    assert (told.state, told.reason) == (WorkState.PAUSED, "insufficient balance")
    assert standing(story.state, is_held=True).state is WorkState.RUNNING


@pytest.mark.parametrize(("completed", "state"), [(True, WorkState.COMPLETED), (False, WorkState.FAILED)])
@pytest.mark.parametrize("is_held", [True, False])
def test_an_ended_idea_tells_the_first_line_of_its_summary(completed: bool, state: WorkState, is_held: bool) -> None:
    story = Story()
    story.hear(Paused(PauseKind.STOP, "stopped"))
    story.hear(Ended(completed, "the end\nrun 1 (given up): AError"))
    told = standing(story.state, is_held=is_held)
    assert (told.state, told.reason, told.phase) == (state, "the end", "ended")


def test_fresh_seeds_that_nobody_works_on_name_the_way_on() -> None:
    story = after(0.5)
    story.hear(Ended(True, "1 run completed"))
    story.hear(Replicate(1, (7, 8), "key"))
    left = "run 1 again with 0 of 2 seeds"
    assert standing(story.state).again == f"{left}; go on: scientist replicate /w/momentum 1"
    assert standing(story.state, is_held=True).again == left


def test_an_idea_that_ended_early_counts_the_runs_that_it_used() -> None:
    story = after(0.5, 0.6)
    assert (story.state.run.number, standing(story.state).run) == (3, 3)
    story.hear(Ended(True, "2 runs completed"))
    assert standing(story.state).run == 2


def test_an_end_without_words_is_still_an_end() -> None:
    story = Story()
    story.hear(Ended(True, ""))
    assert (standing(story.state).state, standing(story.state).reason) == (WorkState.COMPLETED, "")


# The phase


def test_the_phase_is_the_step_at_work() -> None:
    story = Story(Limits(max_runs=1), smoke=True)
    seen = [phase_of(story.state)]
    story.ask()
    seen.append(phase_of(story.state))
    story.tell(Refused(summary="no block"))
    story.apply()
    seen.append(phase_of(story.state))
    story.tell(Linted(), Opened(step=Step.SMOKE, folder="run_1.1.smoke"))
    seen.append(phase_of(story.state))
    assert seen == ["ask", "edit", "check", "smoke"]
    story = after(0.5, limits=Limits(max_runs=1))
    assert phase_of(story.state) == "plot"
    story.apply(Intent.PLOT)
    story.run_step()
    assert phase_of(story.state) == "notes"


# Money and tokens


def test_cost_is_unknown_where_no_price_is_known_and_a_sum_of_what_is_known_otherwise() -> None:
    story = Story()
    assert standing(story.state).cost_usd == 0.0
    story.tell(Asked(cost_usd=None, tokens_in=7, tokens_out=3), Refused(summary="no block"))
    told = standing(story.state)
    assert (told.cost_usd, told.tokens_in, told.tokens_out) == (None, 7, 3)
    story.tell(Asked(cost_usd=0.25, tokens_in=1, tokens_out=1))
    assert standing(story.state).cost_usd == 0.25


def test_run_name_and_budget_are_told() -> None:
    told = standing(after(0.5, 0.6).state)
    assert (told.name, told.path, told.run, told.max_runs) == ("momentum", "/w/momentum", 3, 10)


# The best run


@pytest.mark.parametrize(("direction", "run"), [("higher", 2), ("lower", 3)])
def test_the_best_run_is_that_of_the_metrics_direction(direction: Direction, run: int) -> None:
    best = best_run(after(0.5, 0.9, 0.1).state, spec(direction), BASELINES)
    assert best and best.run == run


def test_the_best_run_comes_with_its_baseline_verdict_and_trust() -> None:
    best = best_run(after(0.9, verified=True).state, spec(), BASELINES)
    assert best == Best(1, "score", 0.9, 0.5, "better", True)
    assert best and (best.delta, best.direction) == (pytest.approx(0.4), "higher")
    best = best_run(after(0.9).state, spec(), [])
    assert best == Best(1, "score", 0.9, None, "no verdict", False)


def test_runs_given_up_and_runs_without_the_metric_are_never_best() -> None:
    story = Story(Limits(attempts=1))
    story.give_up_run()
    assert best_run(story.state, spec(), BASELINES) is None
    story.complete_run(0.4)
    assert (best := best_run(story.state, spec(), BASELINES)) and best.run == 2
    rows = (*story.state.rows, replace(story.state.rows[-1], run=3, measured=Measured({"loss": 9.0})))
    assert (best := best_run(replace(story.state, rows=rows), spec(), BASELINES)) and best.run == 2


def test_without_a_direction_no_run_is_best() -> None:
    assert best_run(after(0.5).state, spec("unknown"), BASELINES) is None
    assert best_run(after(0.5).state, TemplateSpec(name="t"), BASELINES) is None


def test_a_verified_run_is_best_before_any_that_is_self_reported() -> None:
    state = after(0.6, 0.9, 0.7, verified=True).state
    first, second, third = state.rows
    rows = (first, replace(second, measured=Measured(second.values, "its decoder is not linear")), third)
    best = best_run(replace(state, rows=rows), spec(), BASELINES)
    assert best and (best.run, best.verified) == (3, True)
    none = tuple(replace(row, measured=Measured(row.values, "it cannot be served")) for row in state.rows)
    best = best_run(replace(state, rows=none), spec(), BASELINES)
    assert best and (best.run, best.verified) == (2, False)


def test_a_run_in_doubt_is_best_only_if_no_run_compares_with_the_baseline() -> None:
    state = after(0.6, 0.9, 0.7).state
    doubted = [replace(row, measured=replace(row.measured, doubt="it sets its seed")) for row in state.rows]
    best = best_run(replace(state, rows=(state.rows[0], *doubted[1:])), spec(), BASELINES)
    assert best and (best.run, best.verdict) == (1, "better")
    best = best_run(replace(state, rows=tuple(doubted)), spec(), BASELINES)
    assert best and (best.run, best.verdict, best.reason) == (2, "no verdict", "it sets its seed")


def test_along_a_frontier_the_best_run_is_the_one_farthest_from_it() -> None:
    score = Metric(name="score", path=("score",), direction="higher")
    along = TemplateSpec(name="t", frontier="l0", metrics=(score, Metric(name="l0", path=("l0",))))
    line = [
        Baseline("topk", seed, {"score": mean + seed / 100, "l0": l0}, str(l0))
        for mean, l0 in ((0.3, 4.0), (0.7, 16.0))
        for seed in (-1, 0, 1)
    ]
    state = after(0.45, 0.72, 0.9).state
    places = (4.0, 16.0, 40.0)
    rows = tuple(
        replace(row, measured=Measured(row.values | {"l0": l0})) for row, l0 in zip(state.rows, places, strict=True)
    )
    best = best_run(replace(state, rows=rows), along, line)
    assert best and (best.run, best.verdict, best.reference) == (1, "better", "topk at l0 4")
    assert best.baseline == pytest.approx(0.3)


def test_the_best_of_several_runs_is_called_better_only_if_that_is_no_luck() -> None:
    """0.61 is outside the band of one run, 0.4006 to 0.5994, and inside that of the best of four."""
    assert (alone := best_run(after(0.61).state, spec(), BASELINES)) and alone.verdict == "better"
    best = best_run(after(0.5, 0.61, 0.48, 0.51).state, spec(), BASELINES)
    assert best and (best.run, best.verdict, best.chosen_from) == (2, "no difference", 4)
    assert "as the best of 4 runs it may be luck" in best.reason
    far = best_run(after(0.5, 0.9).state, spec(), BASELINES)
    assert far and (far.verdict, far.chosen_from) == ("better", 0)


def test_run_zero_stands_in_for_a_baseline() -> None:
    story = Story(has_baseline=False)
    story.run_step({"score": 0.4})
    story.publish({"score": 0.4})
    story.complete_run(0.6)
    best = best_run(story.state, spec(), [])
    assert best and (best.baseline, best.verdict) == (0.4, "no verdict")


def test_tokens_money_and_limits_are_in_the_standing() -> None:
    story = Story(Limits(max_tokens=500, max_cost_usd=2.0))
    story.tell(Asked(cost_usd=None, tokens_in=7, tokens_cached=5, tokens_out=3, requests=4))
    told = standing(story.state)
    assert (told.calls, told.requests) == (1, 4)
    assert (told.tokens_cached, told.unknown_costs, told.max_tokens, told.max_cost_usd) == (5, 1, 500, 2.0)
    assert told.spent == "7 (5 cached) + 3 tokens of 500, 1 call of unknown price of $2"
    assert told.next == ("scientist resume /w/momentum",)


def test_a_paused_idea_names_the_commands_that_go_on() -> None:
    story = Story()
    story.tell(AskFailed(reason="spent", remedy="--max-tokens 9"))
    story.hear(Paused(PauseKind.BUDGET, "spent", "--max-tokens 9"))
    assert standing(story.state).next == ("scientist resume /w/momentum --max-tokens 9",)


def test_baselines_of_another_machine_are_told_beside_the_verdicts() -> None:
    state = after(0.9).state
    told = standing(replace(state, launched=replace(state.launched, caveat="3 of 3 baselines were made on Abacus")))
    assert told.caveat == "3 of 3 baselines were made on Abacus" and standing(state).caveat == ""
