"""The whole loop on the two-second template: real git, real processes, a scripted model."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.journal.budget import Limits
from agent.core.journal.events import Ended, Finished, Paused, Started
from agent.core.journal.kinds import PauseKind
from agent.core.model.messages import Rules, normalise
from agent.edges.run.step_folder import StepSpec
from agent.errors import IntegrityError, ProviderRefused
from tests.fakes import InstantRunner, ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.instant import instant_runner
from tests.loop.lines import DONE, FASTER, LR, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN


def test_an_idea_goes_from_plan_to_notes(study: Study) -> None:
    model = ScriptedModel([PLAN + FASTER, MOMENTUM, DONE, NO_PLOT_EDIT, NOTES])
    state = study.loop(model).run()

    assert state.ended and state.ended.completed, state.ended
    assert [row.completed for row in state.rows] == [True, True]
    assert state.rows[0].values["score"] > 0.95
    path = study.workspace.path
    assert json.loads((path / "run_1/final_info.json").read_text())["steps"] == 40
    assert json.loads((path / "run_2/evaluation.json").read_text())["score"] == state.rows[1].values["score"]
    assert (path / "run_1/metrics.jsonl").exists() and (path / "run_1/log.txt").exists()
    assert (path / "plots/losses.png").read_bytes().startswith(b"\x89PNG")
    notes = (path / "notes.txt").read_text()
    assert "## Run 1" in notes and "Verdict: " in notes and "The learning rate was too low." in notes
    assert study.workspace.repo().dirty_files() == []


def test_git_tells_every_edit_with_trailers_and_every_run_with_its_metrics(study: Study) -> None:
    study.loop([PLAN + FASTER, MOMENTUM, DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    repo = study.workspace.repo()
    edits = [c for c in repo.log() if "experiment.py" in c.files][1:]
    assert [c.subject for c in edits] == [
        "Run 1: Raise the learning rate",
        "Run 2: Add momentum",
    ]
    assert {**edits[1].trailers, "Step-Id": ""} == {
        "Run": "2",
        "Attempt": "1",
        "Plan-Item": "2",
        "Model": "scripted/model",
        "Step-Id": "",
    }
    stored = json.loads(repo.tag_message("run/2").partition("\n\n")[2])
    assert stored["metrics"]["score"] > 0.9 and stored["settings"] == {"LR": 0.1, "MOMENTUM": 0.3}
    assert repo.resolve("run/2") == edits[1].sha


def test_every_request_is_well_formed_and_begins_alike(study: Study) -> None:
    model = ScriptedModel([PLAN + FASTER, MOMENTUM, DONE, NO_PLOT_EDIT, NOTES])
    study.loop(model, runner=instant_runner()).run()
    for request in model.requests:
        messages = list(request.messages)
        assert messages == normalise(messages, Rules())
        assert [m.role for m in messages][-1] == "user"
    first, second = model.requests[0].messages, model.requests[1].messages
    assert first[0] == second[0]
    shared = next(n for n, (a, b) in enumerate(zip(first[1].content, second[1].content, strict=False)) if a != b)
    assert "# Baseline" in second[1].content[:shared]


def test_the_next_request_holds_the_results_with_their_reading(study: Study) -> None:
    model = ScriptedModel([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    study.loop(model).run()
    said = model.requests[1].messages[-1].content
    assert "Run 1 completed: " in said and "Verdict: no difference. score 0.99" in said
    assert "1 is the minimum found exactly" in said
    assert "plain, 5 seeds: score=0.6782" in said


def test_runs_are_used_up_then_plots_and_notes_follow(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1))
    state = study.loop([PLAN + FASTER, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    assert state.ended and state.ended.completed and len(state.rows) == 1


def test_a_plot_that_draws_nothing_is_told_once_and_then_a_warning(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1))
    draw = 'Path("losses.png").write_bytes('
    model = ScriptedModel([PLAN + FASTER, block("plot.py", draw + "\n", "print(\n"), NO_PLOT_EDIT, NOTES])
    state = study.loop(model).run()
    said = "`python plot.py` ended without drawing a figure: it left no file of .png, .pdf, .svg"
    assert said in model.requests[2].messages[-1].content
    assert state.ended and state.ended.completed and state.warnings == (f"no figures: {said}",)
    assert "The figures are in plots/" not in model.requests[3].messages[-1].content


def test_replicate_runs_the_same_code_with_another_seed(study: Study) -> None:
    state = study.loop([PLAN + FASTER, "REPLICATE\n", DONE, NO_PLOT_EDIT, NOTES]).run()
    assert state.rows[0].commit and len(state.rows) == 2
    assert state.rows[0].values["score"] != state.rows[1].values["score"]
    assert state.rows[0].settings == state.rows[1].settings


def test_a_provider_that_refuses_pauses_and_a_resume_asks_again(study: Study) -> None:
    first = study.loop([ProviderRefused("scripted/model", "insufficient balance")], runner=instant_runner()).run()
    assert first.pause and first.pause.kind is PauseKind.PROVIDER and "insufficient balance" in first.pause.reason
    assert first.run.attempts_spent == 0 and not study.workspace.run_folder(1).exists()

    state = study.loop([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    assert state.ended and state.ended.completed


def test_stop_pauses_before_the_next_step(study: Study) -> None:
    def stop(_: object) -> str:
        study.workspace.stop_file.touch()
        return PLAN + FASTER

    state = study.loop([stop], runner=instant_runner()).run()
    assert state.pause == Paused(PauseKind.STOP, "stopped by request")
    assert study.loop([], runner=instant_runner()).run().pause == state.pause  # asked to stop before it began
    study.workspace.stop_file.unlink()
    state = study.loop([DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.completed_runs == 1


def test_every_effect_is_announced_before_it_happens(study: Study) -> None:
    study.loop([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    events = study.workspace.journal().events
    assert isinstance(events[-1], Ended)
    keys = [e.key for e in events if isinstance(e, Started)]
    assert keys == [e.key for e in events if isinstance(e, Finished)] and len(set(keys)) == len(keys)


def test_a_template_without_baseline_runs_its_own_code_first(make_study: Callable[..., Study]) -> None:
    study = make_study(has_baseline=False)
    model = ScriptedModel([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    state = study.loop(model).run()
    assert state.baseline.values["score"] < state.rows[0].values["score"]
    assert (study.workspace.path / "run_0/final_info.json").exists()
    assert study.workspace.repo().resolve("run/0") == state.launched.commit


def test_a_reply_may_hold_half_a_character_and_control_characters(make_study: Callable[..., Study]) -> None:
    odd = "half \ud83d nul \0 bell \x07 byte \udcff end"
    study = make_study(limits=Limits(max_runs=1))
    plan = f"PLAN:\n1. Raise the rate, {odd}\n\n"
    state = study.loop(
        [plan + FASTER + block("notes.txt", "", f"{odd}\n"), NO_PLOT_EDIT, NOTES], runner=instant_runner()
    ).run()
    assert state.ended and state.ended.completed and not state.warnings
    assert "half \ufffd nul \0 bell \x07 byte \ufffd end" in (study.workspace.path / "notes.txt").read_text()
    (edit, *_) = [c for c in study.workspace.repo().log() if "experiment.py" in c.files][1:]
    assert edit.subject.startswith("Run 1: Raise the rate, half \ufffd nul bell byte \ufffd")


def test_a_full_disk_pauses_and_a_resume_goes_on(study: Study) -> None:
    class FullDisk(InstantRunner):
        def start(self, folder: Path, spec: StepSpec) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    state = study.loop([PLAN + FASTER], runner=FullDisk(lambda folder, spec: None)).run()
    assert state.pause and state.pause.kind is PauseKind.INFRASTRUCTURE
    assert "No space left on device" in state.pause.reason
    assert state.run.attempts_spent == 0

    state = study.loop([DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1


def test_a_template_that_draws_nothing_goes_on_to_its_notes(make_study: Callable[..., Study]) -> None:
    state = make_study(plots=False).loop([PLAN + FASTER, DONE, NOTES], runner=instant_runner()).run()
    assert state.ended and state.ended.completed and not state.warnings


def test_a_run_folder_from_elsewhere_is_refused_and_not_published(study: Study) -> None:
    stale = study.workspace.run_folder(1)
    stale.mkdir()
    (stale / "state.json").write_text('{"x": 100.0}')
    with pytest.raises(IntegrityError, match="is there already and was not published"):
        study.loop([PLAN + FASTER], runner=instant_runner()).run()
    stale.rename(stale.with_name("mine"))
    state = study.loop([DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.rows[0].values["score"] > 0.9


def test_a_mark_on_something_that_is_no_scalar_is_passed_over(study: Study) -> None:
    marked = block("experiment.py", LR, "LR = 0.1\nBETAS = (0.9, 0.99)  # search: one of (0.9, 0.99), (0.8, 0.9)\n")
    study.loop([PLAN + marked, DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    state = study.loop([]).state  # read again from the journal
    assert state.ended and state.ended.completed and state.rows[0].settings == {"MOMENTUM": 0.0}


def test_half_a_character_in_an_event_leaves_a_journal_that_can_be_read(study: Study) -> None:
    latin = block("experiment.py", LR, "LR = undefined  # caf\udce9\n")
    study.loop([PLAN + latin, ProviderRefused("scripted/model", "no key \ud83d")]).run()
    state = study.loop([]).state
    assert state.run.failure and "F821" in state.run.failure.summary and state.pause
