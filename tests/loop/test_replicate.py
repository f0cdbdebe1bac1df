"""A run's code again with fresh seeds: in any state of the idea, after any crash, and seen by whatever reads it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Resumed
from agent.core.journal.kinds import Measured
from agent.core.journal.replications import Replicate
from agent.core.journal.state import State
from agent.core.prompt.facts import say_replications
from agent.core.prompt.view import reference_of
from agent.edges.run.step_folder import StepSpec
from agent.edges.verify import verify
from agent.report.history import outcomes
from tests.fakes import InstantRunner, ScriptedModel
from tests.loop.conftest import Study
from tests.loop.instant import Crash, leave_results
from tests.loop.lines import DONE, FASTER, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN

ASKED = Replicate(1, (10_001, 10_002), "0123456789abcdef0123")


def leave(folder: Path, spec: StepSpec) -> None:
    """As experiment and evaluator, whose score hangs on the seed."""
    found = re.fullmatch(r"run_(\d+)\.seed_(\d+)\.\d+(\.evaluate)?", folder.name)
    if found is None:
        return leave_results(folder, spec)
    assert spec.env["SCIENTIST_SEED"] == found[2]
    score = {"score": 0.9 + (int(found[2]) - 10_000) / 100}
    if found[3]:
        (folder / "work/evaluation.json").write_text(json.dumps(score))
        return None
    out = folder / "work" / f"run_{found[1]}"
    out.mkdir()
    (out / "final_info.json").write_text(json.dumps({"final_loss": 0.1 * int(found[2]), "steps": 40}))
    return None


@pytest.fixture
def ended(study: Study) -> Study:
    study.loop([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES], runner=InstantRunner(leave)).run()
    return study


def test_a_crash_after_every_event_of_a_replication_changes_nothing(ended: Study) -> None:
    runner, seen = InstantRunner(leave), set[str]()

    def crash(event: Event, state: State) -> None:
        named = repr(event)
        if named not in seen:
            seen.add(named)
            raise Crash

    asked, crashes = ASKED, 0
    while True:
        try:
            state = ended.loop([], runner=runner, watch=crash).replicate(asked)
            break
        except Crash:
            asked, crashes = None, crashes + 1
    assert crashes == 12  # asked, two of four steps and a publication for each of two seeds, recorded
    path = ended.workspace.path
    assert len(runner.started) == 4 and state.ended and [row.run for row in state.rows] == [1]
    assert sorted(p.name for p in (path / "replications").iterdir()) == ["run_1.seed_10001", "run_1.seed_10002"]
    notes = (path / "notes.txt").read_text()
    assert notes.count("## Run 1 again") == 1 and "score = 0.915 ± 0.007071 (mean and standard deviation" in notes
    assert "- seed 10002: score = 0.92 (" in notes and "Verdict of the mean: " in notes
    assert not verify(ended.workspace).disagreements
    known = outcomes(ended.workspace.journal().events)
    assert [c.outcome for c in known.values()][-1] == "replicated"

    (path / "replications/run_1.seed_10001/evaluation.json").chmod(0o644)
    (path / "replications/run_1.seed_10001/evaluation.json").write_text('{"score": 0.99}')
    (path / "replications/run_1.seed_77").mkdir()
    first, second = verify(ended.workspace).disagreements
    assert "score is 0.99, the journal recorded 0.91" in str(first) and "published by no event" in str(second)

    model = ScriptedModel([MOMENTUM, DONE, NO_PLOT_EDIT, NOTES])
    more = Resumed(limits=Limits(max_runs=2), more_runs=True)
    state = ended.loop(model, runner=runner).run(more)
    assert state.ended and "again with 2 other seeds: 0.915" in model.requests[0].messages[-1].content


def test_a_commit_whose_event_a_crash_lost_is_recorded_first(ended: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, append = InstantRunner(leave), type(ended.workspace.journal()).append

    def lose(journal: object, event: Event) -> object:
        if event.type == "replicated":
            raise Crash
        return append(journal, event)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(type(ended.workspace.journal()), "append", lose)
        with pytest.raises(Crash):
            ended.loop([], runner=runner).replicate(ASKED)
    assert not verify(ended.workspace).disagreements
    model = ScriptedModel([MOMENTUM, NO_PLOT_EDIT, NOTES])
    ended.loop(model, runner=runner).run(Resumed(limits=Limits(max_runs=2), more_runs=True))
    assert not verify(ended.workspace).disagreements
    assert (ended.workspace.path / "notes.txt").read_text().count("## Run 1 again") == 1


def test_replications_of_run_0_are_a_band_where_there_are_no_baselines(ended: Study) -> None:
    state = ended.loop([], runner=InstantRunner(leave)).replicate(Replicate(0, (10_001, 10_003), "key0"))
    spec, stored = ended.template.spec, ended.template.baselines
    assert reference_of(state, stored) == tuple(stored)  # those of the template count
    assert "Verdict of the mean: " in "\n".join(say_replications(state, spec, stored, 0))
    own = replace(state, baseline=Measured({"score": 0.9}))
    assert [(b.name, b.seed) for b in reference_of(own, ())] == [("run 0", 0), ("run 0", 10_001), ("run 0", 10_003)]
    assert "Verdict" not in "\n".join(say_replications(own, spec, (), 0))
    assert "Verdict of the mean" not in "\n".join(say_replications(state, spec, (), 1))
