"""The commands that go on from where an idea stands."""

from __future__ import annotations

from dataclasses import replace

from agent.core.journal.action_results import Applied, Asked, AskFailed, Linted
from agent.core.journal.events import Ended, Paused, Resumed
from agent.core.journal.kinds import Intent, PauseKind, Purpose
from agent.core.journal.replications import Replicate
from agent.core.journal.state import State
from agent.report.pause import ways_on
from tests.core.journal_by_hand import Story

WS = "/work spaces/momentum"
QUOTED = "'/work spaces/momentum'"


def waiting(where: str) -> Story:
    story = Story()
    story.state = replace(story.state, launched=replace(story.state.launched, pause_before=where))
    return story


def stop(story: Story) -> State:
    story.hear(story.action.pause)  # type: ignore[union-attr]
    return story.state


def test_a_pause_of_any_other_kind_is_ended_by_resume() -> None:
    story = Story()
    assert ways_on(WS, story.state) == [("go on", f"scientist resume {QUOTED}")]
    story.hear(Paused(PauseKind.STOP, "stopped by request"))
    assert ways_on(WS, story.state) == [("go on", f"scientist resume {QUOTED}")]


def test_a_budget_names_the_option_that_raises_it() -> None:
    story = Story()
    story.tell(AskFailed(reason="spent", remedy="--max-tokens 9"))
    assert story.state.pause == Paused(PauseKind.BUDGET, "spent", "--max-tokens 9")
    assert ways_on(WS, story.state) == [("go on", f"scientist resume {QUOTED} --max-tokens 9")]


def test_an_edit_that_waits_can_be_looked_at_approved_and_set_aside() -> None:
    story = waiting("run")
    story.apply()
    story.tell(Linted())
    assert ways_on(WS, stop(story)) == [
        ("look", f"scientist diff {QUOTED} c0 c1"),
        ("approve", f"scientist resume {QUOTED}"),
        ("set aside", f'scientist tell {QUOTED} "..." && scientist resume {QUOTED}'),
    ]


def test_a_replication_has_nothing_to_look_at() -> None:
    story = waiting("")
    story.complete_run()
    story.hear(Resumed(pause_before="run"))
    story.ask()
    story.tell(Applied(intent=Intent.REPLICATE, code=story.state.code.good_digest, subject="Run 2: replicate run 1"))
    assert [purpose for purpose, _ in ways_on(WS, stop(story))] == ["approve", "set aside"]


def test_a_turn_that_waits_can_be_instructed() -> None:
    assert [purpose for purpose, _ in ways_on(WS, stop(waiting("plan")))] == ["approve", "instruct"]


def test_an_idea_that_has_ended_goes_on_nowhere() -> None:
    story = Story()
    story.tell(Asked(purpose=Purpose.PLAN, request="q", reply="r"))
    story.hear(Ended(True, "done"))
    assert ways_on(WS, story.state) == []


def test_an_ended_idea_with_replications_left_goes_on_with_those() -> None:
    story = Story()
    story.complete_run()
    story.hear(Ended(True, "1 run completed"))
    story.hear(Replicate(1, (10001, 10002), "key"))
    assert ways_on(WS, story.state) == [("go on", f"scientist replicate {QUOTED} 1")]
