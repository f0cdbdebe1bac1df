"""A person is asked first: what waits runs only when approved, and a word sets it aside at no cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Resumed
from agent.core.journal.kinds import PauseKind, Purpose
from agent.core.journal.state import State
from agent.edges.model.protocol import ModelReply, Request
from agent.edges.workspace.inbox import put_word, take_in
from agent.edges.workspace.layout import read_state
from agent.loop import Loop
from tests.fakes import InstantRunner, ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.instant import Crash, instant_runner, pauses_in, results_in, waits
from tests.loop.lines import FASTER, LR, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN
from tests.loop.test_resume import place

WORD = "Use 0.05 instead."
SLOWER = block("experiment.py", LR, "LR = 0.05\n")


@pytest.fixture
def careful(make_study: Callable[..., Study]) -> Study:
    return make_study(limits=Limits(max_runs=2), pause_before="run")


def tell(study: Study, text: str = WORD, token: str = "00000001") -> None:
    """As the command does where nobody holds the workspace."""
    put_word(study.workspace.agent, text, now=1_700_000_000.0, token=token)
    known = {word.id for word in read_state(study.workspace).words}
    take_in(study.workspace.agent, known, study.workspace.journal().append)


def test_nothing_runs_before_it_is_approved_and_each_attempt_is_asked_for(careful: Study) -> None:
    model = ScriptedModel([PLAN + FASTER, MOMENTUM, NO_PLOT_EDIT, NOTES])
    runner = instant_runner()
    state = careful.loop(model, runner=runner).run()
    assert waits(state, PauseKind.APPROVAL) and runner.started == []
    assert state.pause and state.pause.reason.startswith("run 1, attempt 1 waits for approval: Run 1: Raise the")
    state = careful.loop(model, runner=runner).run()
    assert [folder.name for folder in runner.started] == ["run_1.1.smoke", "run_1.1", "run_1.1.evaluate"]
    assert state.pause and state.pause.reason.startswith("run 2, attempt 1 waits for approval: Run 2: Add momentum")
    state = careful.loop(model, runner=runner).run()
    assert state.ended and state.ended.completed and state.completed_runs == 2


def test_a_word_at_the_pause_sets_the_edit_aside_and_the_planner_is_asked_anew(careful: Study) -> None:
    model = ScriptedModel([PLAN + FASTER, SLOWER, MOMENTUM, NO_PLOT_EDIT, NOTES])
    runner = instant_runner()
    careful.loop(model, runner=runner).run()
    tell(careful)
    state = careful.loop(model, runner=runner).run()
    assert (
        waits(state, PauseKind.APPROVAL)
        and state.run.number == 1
        and state.run.attempts_spent == 0
        and runner.started == []
    )
    asked = model.requests[1]
    text = asked.messages[-1].content
    assert asked.view.purpose is Purpose.PLAN and WORD in text
    assert 'Your edit "Run 1: Raise the learning rate' in text and "+LR = 0.1" in text and "LR = 0.02  #" in text
    assert "LR = 0.05" in (careful.workspace.path / "experiment.py").read_text()
    for _ in range(2):
        state = careful.loop(model, runner=runner).run()
    assert state.ended and state.ended.completed and [row.attempts for row in state.rows] == [1, 1]
    assert [word.shown_in for word in state.words] == [1]
    assert "was set aside" not in model.requests[2].messages[-1].content


def test_an_edit_set_aside_may_come_back(careful: Study) -> None:
    model = ScriptedModel([PLAN + FASTER, FASTER, MOMENTUM, NO_PLOT_EDIT, NOTES])
    careful.loop(model, runner=instant_runner()).run()
    tell(careful, "On reflection I like it; tell me why.")
    state = careful.loop(model, runner=instant_runner()).run()
    assert waits(state, PauseKind.APPROVAL) and state.attempt.candidate and state.run.attempts_spent == 0


def test_the_planner_waits_so_that_a_person_can_tell_first(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=2), pause_before="plan")
    model = ScriptedModel([PLAN + FASTER, MOMENTUM, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert model.requests == [] and waits(state, PauseKind.APPROVAL)
    tell(study)
    state = study.loop(model, runner=instant_runner()).run()
    assert WORD in model.requests[0].messages[-1].content and len(model.requests) == 1
    assert state.pause and state.pause.reason == "the planner's turn for run 2 waits for approval: " + (
        state.next_item.text.splitlines()[0] if state.next_item else ""
    )
    state = study.loop(model, runner=instant_runner()).run(Resumed(pause_before=""))
    assert state.ended and state.ended.completed


def test_a_workspace_may_be_made_careful_and_careless_later(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1))
    model = ScriptedModel([PLAN + FASTER, NO_PLOT_EDIT, NOTES])
    runner = instant_runner()
    state = study.loop(model, runner=runner).run(Resumed(pause_before="run"))
    assert waits(state, PauseKind.APPROVAL)
    state = study.loop(model, runner=runner).run(Resumed(pause_before=""))
    assert state.ended and state.ended.completed


# Crashes

STORY = [PLAN + FASTER, SLOWER, MOMENTUM, NO_PLOT_EDIT, NOTES]


@dataclass
class Recalled:
    """Says the line that the journal has not acknowledged yet, as a provider would."""

    study: Study
    asked: Counter[int] = field(default_factory=Counter)
    name: str = "scripted/model"
    window_tokens: int | None = None

    window_tokens, takes_files = None, False

    def ask(self, request: Request) -> ModelReply:
        done = len(list(results_in(self.study.workspace.journal().events, "asked")))
        self.asked[done] += 1
        return ModelReply(STORY[done], self.name)


def person(study: Study, state: State) -> None:
    """Sends the first edit back, and approves all others."""
    if waits(state, PauseKind.APPROVAL) and not state.words:
        tell(study)


def drive(study: Study, runner: InstantRunner, watch: Callable[[Event, State], None]) -> tuple[State, Recalled]:
    """A person resumes until the idea ends, whatever crashes."""
    model = Recalled(study)
    for _ in range(300):
        try:
            person(study, read_state(study.workspace))
            loop: Loop = study.loop(model, runner=runner, watch=watch)
            if loop.state.ended:
                return loop.state, model
            loop.run()
        except Crash:
            continue
    pytest.fail("did not end in 300 resumes")


@pytest.mark.slow  # quick: the same without pauses in test_resume.py
def test_a_crash_after_every_event_changes_nothing(make_study: Callable[..., Study]) -> None:
    """Each event is stored and then the orchestrator is gone, once; a resume goes on from there."""
    limits = Limits(max_runs=2)
    calm, crashed = (make_study(limits=limits, pause_before="run", batch=name) for name in ("calm", "crashed"))
    told, _ = drive(calm, instant_runner(), lambda event, state: None)
    seen: set[object] = set()

    def crash(event: Event, state: State) -> None:
        where = (
            place(event, state),
            len(state.words),
            bool(state.attempt.set_aside),
            state.code.clean,
            str(state.pause),
        )
        if event.type == "resumed" or where in seen:
            return
        seen.add(where)
        raise Crash

    runner = instant_runner()
    state, model = drive(crashed, runner, crash)
    assert len(seen) > 40
    assert [(r.completed, r.attempts, r.settings) for r in state.rows] == [
        (r.completed, r.attempts, r.settings) for r in told.rows
    ]
    log = [(c.subject, c.files) for c in crashed.workspace.repo().log()]
    assert log == [(c.subject, c.files) for c in calm.workspace.repo().log()]
    assert [subject for subject, _ in log].count("Run 1: restore the last good code") == 1
    assert set(model.asked.values()) == {1}
    assert len(pauses_in(crashed.workspace.journal().events, PauseKind.APPROVAL)) == 3
    assert [word.text for word in state.words] == [WORD]
    runs = [folder.name for folder in runner.started if folder.name.startswith("run_1") and folder.suffix != ".smoke"]
    assert len([name for name in runs if name.count(".") == 1]) == 1


def test_a_crash_after_the_resume_keeps_the_approval(careful: Study) -> None:
    model = ScriptedModel([PLAN + FASTER])
    runner = instant_runner()
    careful.loop(model, runner=runner).run()

    def crash(event: Event, state: State) -> None:
        if event.type == "resumed":
            raise Crash

    with pytest.raises(Crash):
        careful.loop(model, runner=runner, watch=crash).run()
    assert runner.started == []
    state = careful.loop(ScriptedModel(STORY[2:]), runner=runner).run()
    assert state.completed_runs == 1 and waits(state, PauseKind.APPROVAL)


def test_a_word_told_and_a_crash_before_it_is_taken_in_still_sets_the_edit_aside(careful: Study) -> None:
    model = ScriptedModel([PLAN + FASTER, SLOWER])
    careful.loop(model, runner=instant_runner()).run()
    put_word(careful.workspace.agent, WORD, now=1_700_000_000.0, token="00000001")  # and `tell` was killed
    runner = instant_runner()
    state = careful.loop(model, runner=runner).run()
    assert runner.started == [] and waits(state, PauseKind.APPROVAL) and len(model.requests) == 2
