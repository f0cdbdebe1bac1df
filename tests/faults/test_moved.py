"""Workspaces that were moved or copied, on this machine and to another, go on at their new place."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.journal.action_results import Closed
from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Finished, Started
from agent.core.journal.kinds import Step
from agent.core.journal.state import State
from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.system.processes import Identity, is_running
from agent.edges.verify import verify
from agent.edges.workspace.layout import Workspace, frozen_template, read_state
from agent.edges.workspace.lock import hold_lock, read_holder, this_process
from tests.cli.conftest import Scientist, only_workspace
from tests.faults.fault_idea import place, tale_of, tell, whole_runner
from tests.loop.conftest import Study
from tests.loop.instant import Crash
from tests.loop.lines import FASTER, NO_PLOT_EDIT, NOTES, PLAN
from tests.overlays import held_quadratic, let_go, prepared_quadratic
from tests.paths import QUADRATIC

MakeStudy = Callable[..., Study]


def at(study: Study, root: Path) -> Study:
    """The same study, whose folder of batches is now `root`."""
    batch = study.workspace.path.parent
    workspace = Workspace(root / batch.name / study.workspace.path.name)
    return Study(workspace, frozen_template(workspace, read_state(workspace).launched))


def points_to(root: Path, place: Path) -> list[Path]:
    """Links below a folder that lead into another one, and step records that name it."""
    named = [p for p in root.rglob("spec.json") if f"{place}/" in p.read_text()]
    return named + [p for p in root.rglob("*") if p.is_symlink() and p.readlink().is_relative_to(place)]


@pytest.mark.slow
def test_an_idea_that_is_moved_at_every_effect_comes_to_the_same_end(make_study: MakeStudy, tmp_path: Path) -> None:
    """With real runs, whose numbers and logs are not those of the story's instant steps."""
    undisturbed, study = make_study(batch="undisturbed"), make_study()
    tell(undisturbed, LocalRunner())
    root, places = tmp_path / "place-0", [study.workspace.path.parent.parent]
    shutil.copytree(study.workspace.path.parent.parent, root, symlinks=True)
    study = at(study, root)
    seen: set[object] = set()
    steps: set[str] = set()

    def crash(event: Event, state: State) -> None:
        if isinstance(event, Started) and event.kind != "AwaitStep" and place(event, state) not in seen:
            seen.add(place(event, state))
            raise Crash

    for number in range(1, 100):
        try:
            if tell(study, LocalRunner(), crash).ended:
                break
        except Crash:
            fresh = {p.name for p in study.workspace.attempts.iterdir()} - steps
            begun = [study.workspace.step_folder(name) for name in fresh]
            assert not [p for folder in begun for earlier in places for p in points_to(folder, earlier)]
            steps |= fresh
            places.append(root)
            root = root.rename(tmp_path / f"place-{number}")
            study = at(study, root)
    assert len(seen) > 12 and tale_of(study.workspace) == tale_of(undisturbed.workspace)
    assert [p.name for p in tmp_path.glob("place-*")] == [root.name], "nothing was made where it was before"
    assert str(tmp_path) not in (study.workspace.agent / "journal.jsonl").read_text()
    assert verify(study.workspace).disagreements == ()


def test_a_data_folder_that_is_gone_is_waited_for_and_spends_no_attempt(
    make_study: MakeStudy, tmp_path: Path, expected: dict[str, object]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    study = make_study(data=str(data))
    data.rename(tmp_path / "elsewhere")
    runner = whole_runner()
    state = tell(study, runner)
    assert state.pause and f"{data}: the folder of --data is gone" in state.pause.reason
    data.symlink_to(tmp_path / "elsewhere")
    assert tell(study, runner).ended and tale_of(study.workspace) == expected


# With a run under way


@pytest.fixture
def running(make_study: MakeStudy, tmp_path: Path) -> Study:
    """An idea whose orchestrator is gone and whose first run takes ten seconds."""
    study = make_study(held_quadratic(tmp_path / "held"), profile="slow", limits=Limits(max_runs=1), batch="original")

    def crash(event: Event, state: State) -> None:
        if state.opened and state.opened.step is Step.RUN:
            raise Crash

    with pytest.raises(Crash):
        study.loop([PLAN + FASTER], watch=crash).run()
    return study


def finish(study: Study) -> tuple[State, list[Closed]]:
    """Run the rest of the idea, and return the results of its runs."""
    state = study.loop([NO_PLOT_EDIT, NOTES]).run()
    results = [e.result for e in study.workspace.journal().events if isinstance(e, Finished)]
    return state, [r for r in results if isinstance(r, Closed) and r.step is Step.RUN]


def supervisor_of(study: Study) -> Identity:
    claim = step.read_claim(study.workspace.step_folder("run_1.1"))
    assert claim
    return Identity(claim.pid, claim.start_ticks)


def test_a_copy_leaves_the_run_of_its_original_alone(running: Study, tmp_path: Path) -> None:
    supervisor = supervisor_of(running)
    shutil.copytree(running.workspace.path.parent.parent, tmp_path / "copies", symlinks=True)
    copy = at(running, tmp_path / "copies")
    runner = LocalRunner()
    lost = runner.poll(copy.workspace.step_folder("run_1.1"))
    assert "the folder is a copy" in getattr(lost, "reason", ""), lost
    runner.kill(copy.workspace.step_folder("run_1.1"))
    assert is_running(supervisor)

    state, runs = finish(copy)
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1
    assert [(r.folder, r.exit is None) for r in runs] == [("run_1.1", True), ("run_1.2", False)]
    assert runs[0].failure and "is a copy" in runs[0].failure.summary
    for begun in ("run_1.2", "run_1.2.evaluate", "plot.1"):
        assert points_to(copy.workspace.step_folder(begun), running.workspace.path.parent.parent) == []
    let_go(running.workspace.path, 0.5)
    state, runs = finish(running)
    assert state.ended and state.ended.completed
    assert [(r.folder, r.exit is None) for r in runs] == [("run_1.1", False)], "adopted where it was begun"
    for study in (copy, running):
        assert verify(study.workspace).disagreements == ()


def test_a_run_whose_folder_was_moved_is_ended_and_run_again(running: Study, tmp_path: Path) -> None:
    """Its supervisor writes to a path that is no longer there."""
    supervisor = supervisor_of(running)
    running.workspace.path.parent.parent.rename(tmp_path / "moved")
    moved = at(running, tmp_path / "moved")
    state, runs = finish(moved)
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1
    assert [(r.folder, r.exit is None) for r in runs] == [("run_1.1", True), ("run_1.2", False)]
    assert runs[0].failure and "was moved away from" in runs[0].failure.summary
    assert not is_running(supervisor) and not running.workspace.path.exists()


@pytest.mark.slow
def test_on_another_machine_a_silent_run_is_lost_and_run_again(running: Study) -> None:
    folder = running.workspace.step_folder("run_1.1")
    LocalRunner().kill(folder)
    (folder / step.EXIT).unlink()
    record = json.loads((folder / step.CLAIM).read_text())
    record |= {"host": "node17", "boot_id": "another", "place": "1:2"}
    (folder / step.CLAIM).write_text(json.dumps(record))
    for name in (step.CLAIM, step.HEARTBEAT):
        os.utime(folder / name, (time.time() - 3600, time.time() - 3600))
    state, runs = finish(running)
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1
    assert [r.folder for r in runs] == ["run_1.1", "run_1.2"]
    assert runs[0].failure and "on node17" in runs[0].failure.summary


def test_a_copy_of_a_workspace_at_work_is_held_by_nobody(study: Study, tmp_path: Path) -> None:
    with hold_lock(study.workspace.agent):
        copy = Path(shutil.copytree(study.workspace.path, tmp_path / "copy"))
        assert read_holder(copy / ".agent") is None and read_holder(study.workspace.agent) == this_process()
        with hold_lock(copy / ".agent"):
            assert read_holder(copy / ".agent") == this_process()
        study.workspace.path.rename(tmp_path / "moved")
        assert read_holder(tmp_path / "moved" / ".agent") == this_process()
        (tmp_path / "moved").rename(study.workspace.path)


# As a user meets it


@pytest.fixture
def paused(scientist: Scientist, folder: Path) -> Path:
    """A workspace with prepared data, before its first run."""
    template = prepared_quadratic(folder / "quadratic")
    launch = ("launch", "ideas.json", "--idea", 1, "--max-runs", 1, "--pause-before", "run", "--template", template)
    done = scientist(*launch, SCIENTIST_CACHE=str(folder / "cache"))
    assert done.returncode == 3, done.stderr
    return only_workspace(folder)


def test_a_copy_without_its_template_is_refused_and_told_what_to_copy(
    scientist: Scientist, folder: Path, paused: Path
) -> None:
    (folder / "elsewhere").mkdir()
    shutil.copytree(paused.parent, folder / "elsewhere" / "batch", symlinks=True)
    copy = folder / "elsewhere" / "batch" / paused.name
    refused = scientist("resume", copy, SCIENTIST_CACHE=str(folder / "cache"))
    assert refused.returncode == 6 and len(refused.stderr.strip().splitlines()) == 1, refused.stderr
    assert "put .templates back" in refused.stderr and "scientist export" in refused.stderr
    shutil.copytree(folder / "workspaces" / ".templates", folder / "elsewhere" / ".templates")
    assert scientist("resume", copy, SCIENTIST_CACHE=str(folder / "cache")).returncode == 0


@pytest.mark.slow  # quick: data evicted under a run, in tests/loop/test_prepared.py
def test_on_another_machine_prepared_data_is_made_again(scientist: Scientist, folder: Path, paused: Path) -> None:
    (folder / "workspaces").rename(folder / "there")
    (folder / "cache").rename(folder / "gone")
    moved = next((folder / "there").glob("*/momentum"))
    done = scientist("resume", moved, SCIENTIST_CACHE=str(folder / "other cache"))
    assert done.returncode == 0 and "data ready in" in done.stderr, done.stderr
    assert list((folder / "other cache" / "data" / "quadratic" / "training").iterdir())
    assert not (folder / "cache").exists() and not (folder / "workspaces").exists()


def test_an_interpreter_that_is_gone_is_named_with_what_builds_it(
    scientist: Scientist, folder: Path, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.symlink_to(shutil.which("python3") or "/usr/bin/python3")
    launch = ("launch", "ideas.json", "--idea", 1, "--max-runs", 1, "--pause-before", "run", "--template", QUADRATIC)
    assert scientist(*launch, "--python", python).returncode == 3
    python.unlink()
    refused = scientist("resume", only_workspace(folder))
    assert refused.returncode == 2 and f"{python}: the experiment's interpreter is gone; " in refused.stderr
    assert "scientist setup" in refused.stderr
