"""An idea on a folder in AI-Scientist's layout, from launch to notes: real git, real processes, a scripted model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.journal.budget import Limits
from agent.core.journal.kinds import PauseKind
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study

EXPERIMENT = """import argparse, json, os
LR = 0.1
parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", type=str, default="run_0")
out_dir = parser.parse_args().out_dir
os.makedirs(out_dir, exist_ok=True)
curve = [1.0 / (1 + LR * n) for n in range(3)] + [0.25] * 500_000
info = {"toy": {"means": {"val_loss": curve[2], "steps": 3}, "stderrs": {"val_loss": 0.0}, "curve": curve}}
with open(os.path.join(out_dir, "final_info.json"), "w") as file:
    json.dump(info, file)
"""
PLOT = """import json, os
folders = sorted(f for f in os.listdir(".") if f.startswith("run") and os.path.isdir(f))
means = {f: json.load(open(f"{f}/final_info.json"))["toy"]["means"] for f in folders}
with open("losses.svg", "w") as file:
    drawn = json.dumps({"folders": folders, "baseline": means["run_0"]["val_loss"]})
    file.write(f"<svg><desc>{drawn}</desc></svg>")
"""
CURVE = json.dumps([0.25] * 500_000)
GIVEN = f'{{"toy": {{"means": {{"val_loss": 0.9, "steps": 3}}, "stderrs": {{"val_loss": 0.1}}, "curve": {CURVE}}}}}'

FASTER = "PLAN:\n1. Raise the rate\n2. Raise it more\n\n" + block("experiment.py", "LR = 0.1\n", "LR = 0.5\n")
MORE = block("experiment.py", "LR = 0.5\n", "LR = 2.0\n")
DONE, NO_PLOT_EDIT = "ALL_COMPLETED\n", "plot.py is fine as it is.\n"
NOTES = block("notes.txt", "", "A higher rate lowers the loss.\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "toy lite"
    folder.mkdir()
    (folder / "experiment.py").write_text(EXPERIMENT)
    (folder / "plot.py").write_text(PLOT)
    prompt = {"system": "You are an ambitious student.", "task_description": "Train a toy."}
    (folder / "prompt.json").write_text(json.dumps(prompt))
    ideas = [{"Name": "a_seed_idea", "Title": "Seed", "Experiment": "E", "Interestingness": 9, "novel": True}]
    (folder / "seed_ideas.json").write_text(json.dumps(ideas))
    assert len(EXPERIMENT.splitlines()) == 10 and len(GIVEN) > 2_500_000
    return folder


# Without a run_0, the next test but one runs the folder's own code first.
@pytest.mark.parametrize("given", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["run_0 given", "no run_0"])
def test_an_idea_on_an_ai_scientist_folder(make_study: Callable[..., Study], folder: Path, given: bool) -> None:
    if given:
        (folder / "run_0").mkdir()
        (folder / "run_0" / "final_info.json").write_text(GIVEN)
    study = make_study(folder)
    model = ScriptedModel([FASTER, MORE, DONE, NO_PLOT_EDIT, NOTES])
    state = study.loop(model).run()

    assert state.ended and state.ended.completed and state.warnings == (), state
    assert [row.values for row in state.rows] == [{"val_loss": 0.5, "steps": 3.0}, {"val_loss": 0.2, "steps": 3.0}]
    baseline = 0.9 if given else 1 / 1.2
    assert state.baseline.values == ({} if given else {"val_loss": baseline, "steps": 3.0})
    path = study.workspace.path
    assert (path / "run_0").exists() is not given
    assert (path / "run_1" / "final_info.json").stat().st_size > 2_500_000

    tag = json.loads(study.workspace.repo().tag_message("run/1").partition("\n\n")[2])
    assert tag["metrics"] == {"val_loss": 0.5, "steps": 3.0}
    assert tag["verified"] is False and tag["verdict"] == "no verdict"
    notes = (path / "notes.txt").read_text()
    assert "- val_loss = 0.5 (baseline" in notes

    prompts = ["\n".join(m.content for m in request.messages) for request in model.requests]
    assert all(len(prompt) < 12_000 for prompt in prompts)
    assert "You are an ambitious student." in prompts[0] and "Train a toy." in prompts[0]
    assert f"val_loss={baseline:.4g}" in prompts[0] and "val_loss=0.5" in prompts[1]
    said = re.findall(r"Verdict: ([^.]*)", "\n".join([notes, *prompts]))
    assert len(said) >= 4 and set(said) == {"no verdict"}
    assert all("0.25, 0.25" not in prompt and "a_seed_idea" not in prompt for prompt in prompts)
    stored = [p for p in (path / ".agent").rglob("*") if p.is_file() and "attempts" not in p.parts]
    assert sum(p.stat().st_size for p in stored) < 500_000, "curves stay out of journal and blobs"

    drawn = (path / "plots" / "losses.svg").read_text()
    figure = json.loads(drawn.removeprefix("<svg><desc>").removesuffix("</desc></svg>"))
    assert figure == {"folders": ["run_0", "run_1", "run_2"], "baseline": pytest.approx(baseline)}


@pytest.mark.slow  # quick: the next test, and tests/core/evidence/test_means.py has the words
def test_means_without_a_number_are_a_failure_that_the_model_is_told(
    make_study: Callable[..., Study], folder: Path
) -> None:
    (folder / "run_0").mkdir()
    (folder / "run_0" / "final_info.json").write_text(GIVEN)
    study = make_study(folder, limits=Limits(max_runs=1))
    whole = EXPERIMENT.replace('"means": {"val_loss": curve[2], "steps": 3}', '"means": {}')
    lines = list(zip(EXPERIMENT.splitlines(keepends=True), whole.splitlines(keepends=True), strict=True))
    (changed,) = [pair for pair in lines if pair[0] != pair[1]]
    broken = FASTER + block("experiment.py", *changed)
    mended = block("experiment.py", changed[1], changed[0])
    model = ScriptedModel([broken, mended, NO_PLOT_EDIT, NOTES])
    state = study.loop(model).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 2
    said = model.requests[1].messages[-1].content
    assert "final_info.json has no number under `means`" in said and len(said) < 12_000


# With a run_0, the test of a whole idea has the reading of it.
@pytest.mark.parametrize("given", [pytest.param(True, marks=pytest.mark.slow), False], ids=["run_0 given", "no run_0"])
def test_a_metric_that_was_a_number_at_run_0_and_is_nan_now_fails_the_run(
    make_study: Callable[..., Study], folder: Path, given: bool
) -> None:
    if given:
        (folder / "run_0").mkdir()
        (folder / "run_0" / "final_info.json").write_text(GIVEN)
    (folder / "experiment.py").write_text(EXPERIMENT.replace("500_000", "5"))
    study = make_study(folder, limits=Limits(max_runs=1))
    (line,) = [line for line in EXPERIMENT.splitlines(keepends=True) if '"val_loss": curve[2]' in line]
    diverged = line.replace("curve[2]", "float('nan')")
    model = ScriptedModel(
        [FASTER + block("experiment.py", line, diverged), block("experiment.py", diverged, line), NO_PLOT_EDIT, NOTES]
    )
    state = study.loop(model).run()
    assert state.rows[0].attempts == 2 and state.rows[0].values["val_loss"] == 0.5
    assert "val_loss (final_info.json: ['toy', 'means', 'val_loss']) is NaN" in model.requests[1].messages[-1].content


def test_a_template_whose_own_code_fails_gives_up_with_the_reason(
    make_study: Callable[..., Study], folder: Path
) -> None:
    (folder / "experiment.py").write_text("raise SystemExit('no data here')\n")
    state = make_study(folder).loop([]).run()
    assert state.pause is None or state.pause.kind is PauseKind.INFRASTRUCTURE
    assert state.ended and not state.ended.completed and "the template's own experiment fails" in state.ended.summary
