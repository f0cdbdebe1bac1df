"""A replay through the whole loop, with real git: the same replies on the same template give the same commits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.core.journal.budget import Limits
from agent.core.journal.events import Event
from agent.core.journal.kinds import PauseKind
from agent.core.journal.state import State
from agent.edges.model.protocol import ModelReply, Models, Request
from agent.edges.model.replay import ReplayModel
from agent.edges.workspace.layout import Workspace
from tests.fakes import block
from tests.loop.conftest import Study
from tests.loop.instant import Crash, instant_runner
from tests.loop.lines import DONE, FASTER, LR, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN
from tests.loop.test_roles import PLAN as ROLES_PLAN
from tests.loop.test_roles import PROSE, REVIEW, ROLES, cast

CRASH = block("experiment.py", LR, "LR = 0.1 + undefined\n")
REPAIR = block("experiment.py", "LR = 0.1 + undefined\n", "LR = 0.1  # search: log 1e-3..0.4\n")
MISFIT = block("experiment.py", "LR = 7\n", "LR = 8\n")
STORY = [PLAN + CRASH, MISFIT, REPAIR, MOMENTUM, "REPLICATE\n", DONE, NO_PLOT_EDIT, NOTES]


def replay_of(workspace: Workspace) -> ReplayModel:
    return ReplayModel(f"replay/{workspace.path}")


def trees(workspace: Workspace) -> list[tuple[str, str]]:
    """Subject and tree hash of every commit, oldest first."""
    repo = workspace.repo()
    return [(c.subject, repo.resolve(f"{c.sha}^{{tree}}")) for c in repo.log()]


def test_a_replay_makes_the_same_commits(make_study: Callable[..., Study]) -> None:
    first = make_study(batch="recorded", limits=Limits(max_runs=4))
    ended = first.loop(STORY, runner=instant_runner()).run().ended
    assert ended and ended.completed
    again = make_study(batch="replayed", limits=Limits(max_runs=4))
    state = again.loop(replay_of(first.workspace), runner=instant_runner()).run()
    assert state.ended == ended and state.completed_runs == 3
    assert trees(again.workspace) == trees(first.workspace) and len(trees(first.workspace)) > 6
    assert (state.spent.paid.tokens_in, state.spent.cost_usd, state.spent.unknown_costs) == (0, 0.0, 0)


@pytest.mark.slow  # quick: the test before it, and test_resume.py
def test_a_replay_that_stops_anywhere_goes_on_where_it_was(make_study: Callable[..., Study]) -> None:
    """A crash after every reply: each resume is a new process, with a new model."""
    first = make_study(batch="recorded", limits=Limits(max_runs=4))
    first.loop(STORY, runner=instant_runner()).run()
    again = make_study(batch="replayed", limits=Limits(max_runs=4))
    for calls in range(len(STORY)):

        def crash(event: Event, state: State, given: int = calls) -> None:
            if state.spent.calls > given:
                raise Crash

        with pytest.raises(Crash):
            again.loop(replay_of(first.workspace), runner=instant_runner(), watch=crash).run()
    again.loop(replay_of(first.workspace), runner=instant_runner()).run()
    assert again.loop([]).state.ended and trees(again.workspace) == trees(first.workspace)


def test_what_an_older_version_refused_stays_refused(make_study: Callable[..., Study]) -> None:
    """The recording was made before comments at the ends of lines could be left out."""
    first = make_study(batch="recorded", limits=Limits(max_runs=1))
    first.loop([PLAN + MISFIT, FASTER, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    newer = PLAN + block("experiment.py", "LR = 0.02\n", "LR = 0.3\n")
    again = make_study(batch="replayed", limits=Limits(max_runs=1))
    model = replay_of(first.workspace)
    original = model.ask

    def ask(request: Request) -> ModelReply:
        said = original(request)
        return replace(said, text=newer) if request.asked == 0 else said

    model.ask = ask  # type: ignore[method-assign]
    state = again.loop(model, runner=instant_runner()).run()
    assert state.ended and trees(again.workspace) == trees(first.workspace)


def test_spent_replies_pause_and_say_which_was_due(make_study: Callable[..., Study]) -> None:
    first = make_study(batch="recorded", limits=Limits(max_runs=1))
    first.loop([PLAN + FASTER, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    again = make_study(batch="replayed", limits=Limits(max_runs=3))
    state = again.loop(replay_of(first.workspace), runner=instant_runner()).run()
    assert state.pause and state.pause.kind is PauseKind.PROVIDER and not state.ended
    assert "reply 2 of the planner was given when asked to plot, and now it is asked to next" in state.pause.reason
    assert state.completed_runs == 1


def test_three_roles_are_replayed_from_one_recording(make_study: Callable[..., Study]) -> None:
    limits = Limits(max_runs=1)
    first = make_study(batch="recorded", limits=limits, **ROLES)
    team = cast([ROLES_PLAN + PROSE, NO_PLOT_EDIT, NOTES], [MISFIT, FASTER], [REVIEW])
    ended = first.loop(team.models, runner=instant_runner()).run().ended
    assert ended and ended.completed
    again = make_study(batch="replayed", limits=limits, **ROLES)
    model = replay_of(first.workspace)
    assert again.loop(Models(model, model, model), runner=instant_runner()).run().ended == ended
    assert trees(again.workspace) == trees(first.workspace)
