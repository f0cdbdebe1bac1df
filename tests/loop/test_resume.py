"""A crash at any instant costs at most the step in flight: nothing acknowledged is asked, committed or run again."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.core.journal.action_results import Applied, Closed
from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Finished, Started
from agent.core.journal.kinds import Step
from agent.core.journal.state import State
from agent.edges.git.repo import Repo
from agent.edges.model.protocol import ModelReply, Request
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import Workspace
from agent.errors import IntegrityError
from tests.fakes import block
from tests.loop.conftest import Study
from tests.loop.instant import Crash, crash_before_records, instant_runner
from tests.loop.lines import DONE, FASTER, LR, NO_PLOT_EDIT, NOTES, PLAN

BROKEN = PLAN + block("experiment.py", LR, "LR = undefined_rate\n")
MENDED = block("experiment.py", "LR = undefined_rate\n", "LR = 0.1\n")
STORY = ["no edit at all", BROKEN, MENDED, "REPLICATE\n", DONE, NO_PLOT_EDIT, NOTES]


def place(event: Event, state: State) -> object:
    """Where an idea stands, apart from the folder: a step that never began is begun anew in another one."""
    passed = state.attempt.candidate.passed if state.attempt.candidate else None
    return (
        getattr(event, "kind", event.type),
        state.stage,
        state.run.number,
        state.run.attempts_spent,
        state.attempt.conversation,
        passed,
    )


@dataclass
class Recalled:
    """Says the line that the journal has not acknowledged yet, as a provider would; counts what it was asked."""

    journal: Journal
    asked: Counter[int] = field(default_factory=Counter)
    name: str = "scripted/model"

    window_tokens, takes_files = None, False

    def ask(self, request: Request) -> ModelReply:
        done = sum(isinstance(e, Finished) and e.result.type == "asked" for e in self.journal.events)
        self.asked[done] += 1
        return ModelReply(STORY[done], self.name)


def story_of(workspace: Workspace) -> dict[str, object]:
    """What an idea came to, without ids and times."""
    repo = workspace.repo()
    runs = sorted(p for p in workspace.path.glob("run_*"))
    return {
        "commits": [
            (c.subject, sorted(c.files), c.trailers.get("Run"), c.trailers.get("Restores", "")[:0]) for c in repo.log()
        ],
        "files": {k: v for k, v in repo.read(repo.head()).items() if k != "notes.txt"},
        "notes": repo.read(repo.head())["notes.txt"],
        "runs": {p.name: json.loads((p / "evaluation.json").read_text()) for p in runs},
        "figures": sorted(p.name for p in (workspace.path / "plots").iterdir()),
    }


def supervised(workspace: Workspace) -> Counter[str]:
    """How often a supervisor ran each step, by the step's name without its serial number."""
    claims = workspace.attempts.glob("*/claim")
    ran = [c.parent.name for c in claims if json.loads(c.read_text())["by"] == "supervisor"]
    return Counter(name.partition(".")[0] + "." + name.rpartition(".")[2].lstrip("0123456789") for name in ran)


_ENDS: list[tuple[dict[str, object], Counter[str]]] = []


@pytest.fixture
def undisturbed(make_study: Callable[..., Study]) -> tuple[dict[str, object], Counter[str]]:
    """The end of the idea if nothing goes wrong, computed once."""
    if not _ENDS:
        study = make_study(limits=Limits(max_runs=3), batch="undisturbed")
        loop = study.loop(model := Recalled(study.workspace.journal()))
        model.journal = loop.journal
        loop.run()
        _ENDS.append((story_of(study.workspace), supervised(study.workspace)))
    return _ENDS[0]


def resume_until_ended(study: Study, start: Callable[[Recalled], State]) -> Recalled:
    model = Recalled(study.workspace.journal())
    for _ in range(200):
        model.journal = study.workspace.journal()
        try:
            state = start(model)
        except Crash:
            continue
        if state.ended:
            assert state.ended.completed
            return model
    pytest.fail("did not end in 200 resumes")


def test_a_crash_after_every_event_changes_nothing(
    make_study: Callable[..., Study], undisturbed: tuple[dict[str, object], Counter[str]], tmp_path: Path
) -> None:
    study = make_study(limits=Limits(max_runs=3), batch="crashed")

    def crash_once_an_event(model: Recalled) -> State:
        loop = study.loop(model, watch=crash)
        model.journal = loop.journal
        return loop.run()

    begun: set[object] = set()

    def crash(event: Event, state: State) -> None:
        if event.type == "resumed" or (isinstance(event, Started) and place(event, state) in begun):
            return
        begun.add(place(event, state))
        raise Crash

    model = resume_until_ended_by_last_event(study, crash_once_an_event)
    assert story_of(study.workspace) == undisturbed[0]
    assert supervised(study.workspace) == undisturbed[1]
    assert set(model.asked.values()) == {1}


def resume_until_ended_by_last_event(study: Study, start: Callable[[Recalled], State]) -> Recalled:
    """As resume_until_ended, where the last event itself may crash its watcher."""

    def start_or_look(model: Recalled) -> State:
        try:
            return start(model)
        except Crash:
            state = study.loop(model).state
            if state.ended:
                return state
            raise

    return resume_until_ended(study, start_or_look)


@pytest.mark.slow  # quick: tests/crash/test_points.py
def test_a_crash_after_every_effect_before_its_record_changes_nothing(
    make_study: Callable[..., Study],
    undisturbed: tuple[dict[str, object], Counter[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = make_study(limits=Limits(max_runs=3), batch="crashed")

    def start(model: Recalled) -> State:
        loop = study.loop(model)
        model.journal = loop.journal
        return loop.run()

    crashed = crash_before_records(monkeypatch)
    model = resume_until_ended(study, start)
    assert len(crashed) > 20
    assert story_of(study.workspace) == undisturbed[0]
    assert supervised(study.workspace) == undisturbed[1]
    assert set(model.asked.values()) == {2}  # each was in flight once


def test_a_crash_before_every_effect_starts_no_run_twice(
    make_study: Callable[..., Study], undisturbed: tuple[dict[str, object], Counter[str]]
) -> None:
    study = make_study(limits=Limits(max_runs=3), batch="crashed")

    def start(model: Recalled) -> State:
        loop = study.loop(model, watch=crash)
        model.journal = loop.journal
        return loop.run()

    announced: set[object] = set()

    def crash(event: Event, state: State) -> None:
        if isinstance(event, Started) and place(event, state) not in announced:
            announced.add(place(event, state))
            raise Crash

    model = resume_until_ended(study, start)
    assert story_of(study.workspace) == undisturbed[0]
    assert supervised(study.workspace) == undisturbed[1]
    assert set(model.asked.values()) == {1}


def test_a_run_whose_supervisor_died_is_run_again_in_a_new_folder(study: Study) -> None:
    study.workspace.attempts.mkdir(exist_ok=True)

    def crash(event: Event, state: State) -> None:
        if state.opened and state.opened.step is Step.RUN:
            raise Crash

    with pytest.raises(Crash):
        study.loop([PLAN + FASTER], watch=crash).run()
    folder = study.workspace.step_folder("run_1.1")
    deadline = time.monotonic() + 10
    while not (folder / "exit.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    (folder / "exit.json").unlink()
    state = study.loop([DONE, NO_PLOT_EDIT, NOTES]).run()
    assert state.ended and state.ended.completed
    closed = [
        e.result for e in study.workspace.journal().events if isinstance(e, Finished) and isinstance(e.result, Closed)
    ]
    runs = [c for c in closed if c.step is Step.RUN]
    assert [c.folder for c in runs] == ["run_1.1", "run_1.2"] and runs[0].exit is None
    assert state.rows[0].attempts == 1  # a lost supervisor spends no attempt


def test_a_branch_moved_by_hand_is_refused(study: Study) -> None:
    from agent.edges.workspace.hand_edits import check_untouched

    study.loop([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    workspace = study.workspace
    state = study.loop([]).state
    check_untouched(workspace, workspace.repo(), state)
    (workspace.path / "experiment.py").write_text("mine\n")
    with pytest.raises(IntegrityError, match="changed by hand"):
        check_untouched(workspace, workspace.repo(), state)
    workspace.repo().commit({"experiment.py": "mine\n"}, "By hand")
    with pytest.raises(IntegrityError, match="branch main is at"):
        check_untouched(workspace, workspace.repo(), state)


def test_a_published_run_that_is_gone_is_missed(study: Study) -> None:
    from agent.edges.workspace.hand_edits import check_untouched

    study.loop([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    study.workspace.run_folder(1).rename(study.workspace.path / "mine")
    with pytest.raises(IntegrityError, match="run_1: is missing"):
        check_untouched(study.workspace, study.workspace.repo(), study.loop([]).state)


def test_a_commit_that_a_killed_orchestrators_git_made_meanwhile_is_taken(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Repo.commit
    raced: list[str] = []

    def come_first(self: Repo, changes: Mapping[str, str], message: str, trailers: Mapping[str, str]) -> str:
        if not raced:
            raced.append(commit(Repo(self.folder), changes, message, trailers))
            monkeypatch.setattr(Repo, "head", lambda repo: first)
            try:
                return commit(self, changes, message, trailers)
            finally:
                monkeypatch.setattr(Repo, "head", head)
        return commit(self, changes, message, trailers)

    head, first = Repo.head, study.workspace.repo().head()
    monkeypatch.setattr(Repo, "commit", come_first)
    end = study.loop([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    assert end.ended and end.ended.completed
    assert [c.sha for c in study.workspace.repo().log()].count(raced[0]) == 1
    applied = [e.result for e in study.workspace.journal().events if isinstance(e, Finished)]
    assert raced[0] in [r.commit for r in applied if isinstance(r, Applied)]
