"""An ended idea that goes on with more runs: what the model is told, what is left, and a crash on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Resumed
from agent.core.journal.state import State
from agent.edges.model.replay import ReplayModel
from agent.edges.verify import verify
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.instant import Crash, instant_runner
from tests.loop.lines import DONE, FASTER, MOMENTUM, NOTES, PLAN

PLOT = block("plot.py", "", "# drawn once\n")


def test_an_ended_idea_goes_on_and_its_model_hears_its_last_words(study: Study) -> None:
    runner = instant_runner()
    study.loop([PLAN + FASTER, DONE, PLOT, NOTES], runner=runner).run()
    more = Resumed(limits=replace(Limits(max_runs=3), max_runs=2), more_runs=True)
    model = ScriptedModel([MOMENTUM, "plot.py stays.\n", NOTES.replace("too low", "too low, still")])

    def crash(event: Event, state: State) -> None:
        raise Crash

    with pytest.raises(Crash):
        study.loop(model, runner=runner, watch=crash).run(more)
    state = study.loop(model, runner=runner).run()  # a resume without options goes on
    assert state.ended and state.ended.completed and state.ended.summary == "2 runs completed"
    assert [row.run for row in state.rows] == [1, 2]
    first, *rest = (request.messages[-1].content for request in model.requests)
    assert "The study had ended, and the researcher adds runs" in first and "Now run 2 of at most 2" in first
    assert "The learning rate was too low." in first.partition("You said at its end:")[2]
    assert not any("The study had ended" in text for text in rest)
    path = study.workspace.path
    assert "too low, still" in (path / "notes.txt").read_text() and "# drawn once" in (path / "plot.py").read_text()
    assert not verify(study.workspace).disagreements
    assert study.loop([]).run(Resumed()).ended  # nothing more to do


def test_a_replay_goes_on_where_its_recording_went_on(make_study: Callable[..., Study], study: Study) -> None:
    more = Resumed(limits=Limits(max_runs=2), more_runs=True)
    study.loop([PLAN + FASTER, DONE, PLOT, NOTES], runner=instant_runner()).run()
    study.loop([MOMENTUM, "plot.py stays.\n", NOTES], runner=instant_runner()).run(more)
    again = make_study(batch="again")
    model = ReplayModel(f"replay/{study.workspace.path}")
    assert again.loop(model, runner=instant_runner()).run().ended
    state = again.loop(model, runner=instant_runner()).run(more)
    assert state.ended and state.ended.completed, state.pause
    first, second = ([commit.subject for commit in one.workspace.repo().log()] for one in (study, again))
    assert first == second and len(first) > 5
