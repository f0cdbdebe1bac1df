"""Prepared data, hidden parts of a profile and trust, on a whole loop with real processes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.failure.diagnose import FailureKind
from agent.core.journal.action_results import Closed, Opened
from agent.core.journal.events import Event, Finished
from agent.core.journal.kinds import PauseKind, Step
from agent.core.journal.state import State
from agent.edges.template.data import Prepared, PreparedData, prepare_data
from agent.errors import IntegrityError
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.lines import DONE, FASTER, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN
from tests.overlays import prepared_quadratic

WRITE = '    (out / "state.json").write_text('
MakeStudy = Callable[..., Study]


def adding(code: str) -> str:
    """An edit that has the experiment do something more before it writes its results."""
    return block(
        "experiment.py", WRITE + 'json.dumps({"x": trainer.x}))\n', f'{code}{WRITE}json.dumps({{"x": trainer.x}}))\n'
    )


def data_of(study: Study, store: Path) -> PreparedData:
    def make() -> Prepared:
        return prepare_data(study.template, Path(sys.executable), store, os.environ, lambda line: None)

    return PreparedData(make, study.workspace.journal().events[0].training)  # type: ignore[union-attr]


def closed_steps(study: Study, step: Step) -> list[Closed]:
    results = [e.result for e in study.workspace.journal().events if isinstance(e, Finished)]
    return [r for r in results if isinstance(r, Closed) and r.step is step]


@pytest.fixture
def prepared(make_study: MakeStudy, tmp_path: Path) -> Study:
    return make_study(prepared_quadratic(tmp_path / "a template" / "quadratic"), verified=True)


def test_runs_train_on_prepared_data_and_see_nothing_hidden(prepared: Study, tmp_path: Path) -> None:
    data = data_of(prepared, tmp_path / "store")
    state = prepared.loop([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES], prepared=data).run()
    assert state.ended and state.ended.completed and state.rows[0].values["score"] > 0.95
    path = prepared.workspace.path
    seen = json.loads((path / "run_1/seen.json").read_text())
    assert "hidden" not in seen["profile"] and seen["profile"]["steps"] == 40
    assert "SCIENTIST_TRAINING_DATA" in seen["variables"] and "SCIENTIST_EVALUATION_DATA" not in seen["variables"]
    evaluation = json.loads((path / "run_1/evaluation.json").read_text())
    assert evaluation["baselines"] == 5
    assert (
        state.rows[0].measured.self_reported == ""
        and "Results are verified, without a sandbox." in (path / "notes.txt").read_text()
    )
    for step in ("run_1.1", "run_1.1.smoke", "plot.1"):
        works = prepared.workspace.attempts.glob(f"{step}/work/profile.json")
        assert [json.loads(p.read_text()).keys() & {"hidden"} for p in works] in ([set()], [])


@pytest.mark.slow  # quick: the next test
def test_data_that_was_evicted_between_two_runs_is_made_again(prepared: Study, tmp_path: Path) -> None:
    store = tmp_path / "store"
    data = data_of(prepared, store)

    def evict(event: Event, state: State) -> None:
        if state.run.number == 2 and not state.opened and store.exists():
            shutil.rmtree(store)

    state = prepared.loop([PLAN + FASTER, MOMENTUM, DONE, NO_PLOT_EDIT, NOTES], prepared=data, watch=evict).run()
    assert [row.attempts for row in state.rows] == [1, 1] and state.rows[1].completed


def test_data_that_is_evicted_under_a_run_spends_no_attempt(prepared: Study, tmp_path: Path) -> None:
    store = tmp_path / "store"
    evictions = 0

    def evict(event: Event, state: State) -> None:
        nonlocal evictions
        if isinstance(event, Finished) and isinstance(event.result, Opened) and not evictions:
            evictions += 1
            shutil.rmtree(store)

    read = "(Path(os.environ['SCIENTIST_TRAINING_DATA']) / 'samples.json').read_text()"
    code = f"    time.sleep(1)\n    {read}\n"
    loop = prepared.loop(
        [PLAN + FASTER + adding(code), DONE, NO_PLOT_EDIT, NOTES], prepared=data_of(prepared, store), watch=evict
    )
    state = loop.run()
    assert evictions == 1 and state.rows[0].completed and state.rows[0].attempts == 1
    (lost, *rest) = closed_steps(prepared, Step.SMOKE)
    assert lost.infrastructure and lost.failure and "removed from the store" in lost.failure.summary
    assert len(rest) == 1


def test_data_that_cannot_be_made_again_pauses_the_idea_with_the_reason(prepared: Study, tmp_path: Path) -> None:
    store = tmp_path / "store"
    data = data_of(prepared, store)
    data.folders()
    shutil.rmtree(store)
    store.parent.joinpath("store").touch()  # a file in its place
    model = ScriptedModel([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    state = prepared.loop(model, prepared=data).run()
    assert state.pause and state.pause.kind is PauseKind.INFRASTRUCTURE
    assert "store: cannot be made" in state.pause.reason
    store.unlink()
    state = prepared.loop(model, prepared=data_of(prepared, store)).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1


def test_other_data_than_at_launch_is_refused_before_anything_runs(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = prepared_quadratic(tmp_path / "a template" / "quadratic")
    study = make_study(folder, verified=True, training="0123456789abcdef")
    with pytest.raises(IntegrityError, match="is other data than this idea was launched with"):
        study.loop([PLAN + FASTER], prepared=data_of(study, tmp_path / "store")).run()
    assert not list(study.workspace.attempts.glob("*/stdout.txt"))


# Trust


def test_an_evaluation_can_call_itself_self_reported(prepared: Study, tmp_path: Path) -> None:
    claim = adding('    (out / "claim.txt").write_text("the decoder is\\n  not linear")\n')
    undo = block("experiment.py", '    (out / "claim.txt").write_text("the decoder is\\n  not linear")\n', "")
    model = ScriptedModel([PLAN + FASTER + claim, undo, DONE, NO_PLOT_EDIT, NOTES])
    state = prepared.loop(model, prepared=data_of(prepared, tmp_path / "store")).run()
    assert [row.measured.self_reported for row in state.rows] == ["the decoder is not linear", ""]
    repo = prepared.workspace.repo()
    tags = [json.loads(repo.tag_message(f"run/{run}").partition("\n\n")[2]) for run in (1, 2)]
    assert [(t["verified"], t["self_reported"]) for t in tags] == [(False, "the decoder is not linear"), (True, None)]
    notes = (prepared.workspace.path / "notes.txt").read_text()
    assert (
        "Results are self-reported: the decoder is not linear, without a sandbox." in notes
        and "Results are verified, without a sandbox." in notes
    )
    told = model.requests[1].messages[-1].content
    assert "the decoder is not linear" in told
    assert "Results are verified" not in told.partition("Run 1 completed")[2]


@pytest.mark.parametrize(
    "harm",
    [
        "    (sealed / 'evaluate.py').write_text('print(1)')\n",
        # Other changes of the same folder: tests/edges/template/test_frozen.py
        pytest.param("    (sealed / 'json.py').write_text('loads = 1')\n", marks=pytest.mark.slow),
        pytest.param("    (sealed.parent / 'baselines/small/plain-seed0.json').unlink()\n", marks=pytest.mark.slow),
    ],
)
def test_an_evaluator_that_a_run_overwrote_is_refused(prepared: Study, tmp_path: Path, harm: str) -> None:
    opening = (
        "    if os.environ.get('SCIENTIST_SMOKE'):\n"
        "        (out / 'final_info.json').write_text(json.dumps({'final_loss': 1, 'steps': 40}))\n"
        "        return\n"
        "    sealed = Path(os.environ['PYTHONPATH'])\n"
        "    for place in (sealed.parent, *sealed.parent.rglob('*')):\n"
        "        place.chmod(0o755)\n"
    )
    model = ScriptedModel([PLAN + FASTER + adding(opening + harm)])
    with pytest.raises(IntegrityError, match="was changed since launch"):
        prepared.loop(model, prepared=data_of(prepared, tmp_path / "store")).run()
    assert not closed_steps(prepared, Step.EVALUATE) and not prepared.workspace.run_folder(1).exists()


@pytest.mark.slow  # quick: test_compiled_code_beside_sealed_sources_is_gone_before_the_next_step in tests/attacks
def test_compiled_code_planted_beside_the_evaluator_is_not_run(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = prepared_quadratic(tmp_path / "a template" / "quadratic")
    (folder / "sealed" / "scoring.py").write_text("WEIGHT = 1.0\n")
    evaluate = folder / "sealed" / "evaluate.py"
    evaluate.write_text("import scoring\n" + evaluate.read_text().replace("math.exp(", "scoring.WEIGHT * math.exp("))
    study = make_study(folder, verified=True)
    plant = (
        "    import importlib.util, py_compile\n"
        "    sealed = Path(os.environ['PYTHONPATH'])\n"
        "    sealed.chmod(0o755)\n"
        "    honest = (sealed / 'scoring.py').stat()\n"
        "    forged = Path('scoring.py')\n"
        "    forged.write_text('WEIGHT = 9.0\\n')\n"
        "    os.utime(forged, ns=(honest.st_atime_ns, honest.st_mtime_ns))\n"
        "    py_compile.compile(forged, cfile=importlib.util.cache_from_source(sealed / 'scoring.py'))\n"
    )
    model = ScriptedModel([PLAN + FASTER + adding(plant), DONE, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, prepared=data_of(study, tmp_path / "store")).run()
    assert state.rows[0].completed and 0.5 < state.rows[0].values["score"] <= 1.0


def test_a_full_disk_in_a_run_pauses_and_spends_no_attempt(prepared: Study, tmp_path: Path) -> None:
    full = adding("    raise OSError(28, 'No space left on device')\n")
    state = prepared.loop([PLAN + FASTER + full], prepared=data_of(prepared, tmp_path / "store")).run()
    assert state.pause and state.pause.kind is PauseKind.INFRASTRUCTURE
    assert "no space left on the disk" in state.pause.reason and not state.run.failures
    (smoke,) = closed_steps(prepared, Step.SMOKE)
    assert smoke.failure and smoke.failure.kind is FailureKind.INFRASTRUCTURE
