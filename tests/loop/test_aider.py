"""`--editor aider` in the whole loop: a scripted planner, and aider as the editor, its command a stand-in or real."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.journal.action_results import Asked
from agent.core.journal.budget import Limits
from agent.core.journal.events import Finished
from agent.core.journal.kinds import Role
from agent.edges.model.aider import AiderModel
from agent.edges.model.protocol import Models
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.instant import instant_runner
from tests.loop.lines import LR, NO_PLOT_EDIT, NOTES
from tests.loop.test_replay import replay_of, trees
from tests.provider.server import StrictServer

AIDER = os.environ.get("SCIENTIST_AIDER", "")
PLAN = (
    "PLAN:\n1. Raise the learning rate; expect score above 0.9; refuted below 0.7\n\nIn experiment.py set LR to 0.1.\n"
)
FASTER = "LR = 0.1  # search: log 1e-3..0.4\n"


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    return make_study(limits=Limits(max_runs=1), editor="aider", batch="recorded")


def play(study: Study, aider: AiderModel) -> None:
    planner = ScriptedModel([PLAN, NO_PLOT_EDIT, NOTES])
    state = study.loop(Models(planner, aider), runner=instant_runner()).run()
    assert state.ended and state.ended.completed, state.ended or state.pause
    assert FASTER in (study.workspace.path / "experiment.py").read_text()
    asked = [e.result for e in study.workspace.journal().events if isinstance(e, Finished)]
    (edit,) = [a for a in asked if isinstance(a, Asked) and a.role is Role.EDITOR]
    assert edit.model == aider.name and "<<<<<<< SEARCH" in study.workspace.journal().get(edit.reply)


def test_aider_edits_what_the_planner_says_and_a_replay_needs_no_aider(
    study: Study, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    command = tmp_path / "aider"
    command.write_text("#!/bin/sh\ngrep -q 'set LR to 0.1' \"$HOME/message\" && sed -i 's/^LR = 0.02/LR = 0.1/' *.py\n")
    command.chmod(0o755)
    play(study, AiderModel("p/m", command, dict(os.environ), 0.0))
    again = make_study(limits=Limits(max_runs=1), editor_model="replay/x", batch="replayed")
    model = replay_of(study.workspace)
    state = again.loop(Models(model, model), runner=instant_runner()).run()
    assert state.ended and state.ended.completed, state.pause
    assert trees(again.workspace) == trees(study.workspace)


@pytest.mark.aider
@pytest.mark.skipif(not AIDER, reason="SCIENTIST_AIDER names no aider; scientist setup aider builds one")
def test_the_real_aider_edits_what_the_planner_says(study: Study) -> None:
    with StrictServer("deepseek", [f"As you say.\n\n{block('experiment.py', LR, FASTER)}"]) as server:
        inherited = {**os.environ, **server.environment()}
        play(study, AiderModel(server.model, Path(AIDER), inherited, 0.0, deadline_s=100.0))
        (request,) = server.requests
    assert "set LR to 0.1" in request.body["messages"][-1]["content"]
