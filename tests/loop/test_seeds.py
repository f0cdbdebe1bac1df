"""The recoveries that the five seed logs call for: in each the next request is well-formed and says what to mend."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agent.core.journal.action_results import Applied, Opened
from agent.core.journal.budget import Limits
from agent.core.journal.events import Finished, Resumed
from agent.core.journal.kinds import PauseKind, Step
from agent.core.model.messages import Rules, normalise
from tests.fakes import Line, ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.lines import DONE, FASTER, LR, NO_PLOT_EDIT, NOTES, PLAN
from tests.paths import QUADRATIC

ENDING = [DONE, NO_PLOT_EDIT, NOTES]
CALL = "    trainer = Trainer(random.gauss(0.0, 1.0), lr=LR, momentum=MOMENTUM)\n"
INIT = "    def __init__(self, start, lr=0.1, momentum=0.0):\n"
OUT = "    out.mkdir(exist_ok=True)\n"


def play(study: Study, lines: Sequence[Line]) -> ScriptedModel:
    """Run the idea to its end and check that every request was well-formed."""
    model = ScriptedModel(lines)
    state = study.loop(model).run()
    assert state.ended and state.ended.completed, state.ended or state.pause
    assert state.completed_runs >= 1
    for request in model.requests:
        assert list(request.messages) == normalise(request.messages, Rules())
    return model


def opened(study: Study, step: Step) -> list[str]:
    results = [e.result for e in study.workspace.journal().events if isinstance(e, Finished)]
    return [r.folder for r in results if isinstance(r, Opened) and r.step is step]


def said(model: ScriptedModel, number: int) -> str:
    return model.requests[number].messages[-1].content


def test_000_a_renamed_constructor_argument_is_found_before_anything_runs(study: Study) -> None:
    rename = PLAN + block(
        "experiment.py", INIT, "    def __init__(self, start, base_lr=0.1, momentum=0.0):\n        lr = base_lr * 5\n"
    )
    mend = block("experiment.py", CALL, CALL.replace("lr=LR", "base_lr=LR"))
    model = play(study, [rename, mend, *ENDING])
    assert "C001" in said(model, 1) and "lr=LR, momentum=MOMENTUM" in said(model, 1)
    assert opened(study, Step.SMOKE) == ["run_1.2.smoke"]
    assert len(opened(study, Step.RUN)) == 1


def test_000_found_by_smoke_where_no_checker_can_see_it(study: Study) -> None:
    rename = PLAN + block(
        "experiment.py", INIT, "    def __init__(self, start, base_lr=0.1, momentum=0.0):\n        lr = base_lr * 5\n"
    )
    hidden = block(
        "experiment.py", CALL, "    make = {'plain': Trainer}['plain']\n" + CALL.replace("Trainer(", "make(")
    )
    made = CALL.replace("Trainer(", "make(")
    mend = block("experiment.py", made, made.replace("lr=LR", "base_lr=LR"))
    model = play(study, [rename + hidden, mend, *ENDING])
    told = said(model, 1)
    assert "TypeError: Trainer.__init__() got an unexpected keyword argument 'lr'" in told
    assert "in run_training" in told
    assert opened(study, Step.SMOKE) == ["run_1.1.smoke", "run_1.2.smoke"] and opened(study, Step.RUN) == ["run_1.2"]


def test_001_an_undefined_name_gets_a_lint_repair(study: Study) -> None:
    broken = (
        PLAN
        + block("experiment.py", LR, "LR = 0.1\n")
        + block("experiment.py", CALL, CALL + "    trainer.x += c_assign\n")
    )
    mend = block("experiment.py", "    trainer.x += c_assign\n", "    trainer.x += 0.0\n")
    model = play(study, [broken, mend, *ENDING])
    assert "F821 undefined name 'c_assign'" in said(model, 1) and "trainer.x += c_assign" in said(model, 1)
    assert opened(study, Step.SMOKE) == ["run_1.2.smoke"]


def test_002_an_empty_search_appends_on_a_new_line_or_makes_the_file(
    make_study: Callable[..., Study], tmp_path: Path
) -> None:
    template = tmp_path / "template"
    shutil.copytree(QUADRATIC, template)
    old = (template / "plot.py").read_text().rstrip("\n")
    (template / "plot.py").write_text(old)
    (template / "notes.txt").unlink()
    toml = (template / "template.toml").read_text()
    (template / "template.toml").write_text(toml.replace('"notes.txt"]', '"notes.txt", "extra.py"]'))
    study = make_study(template)
    added = block("plot.py", "", "DPI = 150\n") + block("extra.py", "", "SIZE = 3\n")
    play(study, [PLAN + FASTER + added, *ENDING])
    assert (study.workspace.path / "plot.py").read_text() == old + "\nDPI = 150\n"
    assert (study.workspace.path / "extra.py").read_text() == "SIZE = 3\n"


def test_003_a_prose_plan_runs_nothing_and_is_asked_for_its_edit(study: Study) -> None:
    prose = PLAN + "I would set LR to 0.1:\n```python\nLR = 0.1\n```\nCommand: python experiment.py --out_dir=run_1\n"
    model = play(study, [prose, FASTER, *ENDING])
    assert "holds no SEARCH/REPLACE block" in said(model, 1)
    assert opened(study, Step.RUN) == ["run_1.1"]
    assert "Raise the learning rate" in said(model, 2)  # the plan of the refused reply was kept


def test_003_an_unmatched_search_is_repaired_on_the_staged_file(study: Study) -> None:
    wrong = block("experiment.py", "MOMENTUM = 0.1\n", "MOMENTUM = 0.5\n")
    right = block("experiment.py", "MOMENTUM = 0.0  # search: 0.0..0.9\n", "MOMENTUM = 0.5\n")
    model = play(study, [PLAN + FASTER + wrong, right, *ENDING])
    told = said(model, 1)
    assert "MOMENTUM = 0.0  # search: 0.0..0.9" in told and "LR = 0.1 " in told
    assert [m.role for m in model.requests[1].messages] == ["system", "user", "assistant", "user"]
    (edit,) = [
        e.result for e in study.workspace.journal().events if isinstance(e, Finished) and isinstance(e.result, Applied)
    ][:1]
    code = study.workspace.repo().read(edit.commit)["experiment.py"]
    assert "LR = 0.1 " in code and "MOMENTUM = 0.5\n" in code


def test_003_results_come_back_and_the_plan_is_revised(study: Study) -> None:
    revised = "PLAN:\n1. Try a rate of 0.2\n\n" + block(
        "experiment.py", "LR = 0.1  # search: log 1e-3..0.4\n", "LR = 0.2  # search: log 1e-3..0.4\n"
    )
    model = play(study, [PLAN + FASTER, revised, *ENDING])
    assert "\n1: [over]" in said(model, 1) and "Raise the learning rate" in said(model, 1)
    assert "\n2. Add momentum" in said(model, 1)
    assert "Try a rate of 0.2" in said(model, 2) and "Add momentum" not in said(model, 2)


BAR = """import sys
for n in range(30):
    sys.stderr.write(f'\\rTraining:  {n * 3}%|###   | {n}/30 [00:01<00:02, 9.1it/s]')
"""


def crash(body: str) -> str:
    """An edit that makes the full run, not the smoke run, execute the body once outputs can be written."""
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return PLAN + block("experiment.py", OUT, OUT + "    if not os.environ.get('SCIENTIST_SMOKE'):\n" + lines)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        # The other ends: tests/core/failure/test_diagnose.py, and for a hang tests/attacks/test_limits.py
        (BAR + "os._exit(1)", ["printed no error", "exit code 1", "Training:"]),
        pytest.param(
            "import signal\nos.kill(os.getpid(), signal.SIGSEGV)",
            ["SIGSEGV", "killed by signal 11"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "print('waiting for a lock', flush=True)\ntime.sleep(600)",
            ["timed out", "waiting for a lock"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "print('all good')\nraise SystemExit(0)",
            ["wrote no run_1/final_info.json", "all good"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["progress bars only", "killed by a signal", "hang", "exit 0 without results"],
)
def test_004_a_run_that_fails_silently_is_told_in_words(
    make_study: Callable[..., Study], body: str, told: list[str]
) -> None:
    study = make_study(limits=Limits(max_runs=2))
    shorter = study.template.spec.limits.model_copy(update={"run_s": 5.0})
    object.__setattr__(study.template, "spec", study.template.spec.model_copy(update={"limits": shorter}))
    mend = (
        "PLAN:\n1. Only the rate\n\n"
        + block("experiment.py", LR, "LR = 0.1\n")
        + block("experiment.py", "    if not os.environ.get('SCIENTIST_SMOKE'):\n", "    if False:\n")
    )
    model = play(study, [crash(body), mend, *ENDING])
    for words in told:
        assert words in said(model, 1)
    assert opened(study, Step.RUN) == ["run_1.1", "run_1.2"]


def test_004_nan_in_a_declared_metric_is_named(study: Study) -> None:
    line = (
        '    (out / "final_info.json").write_text(json.dumps({"final_loss": losses[-1], "steps": profile["steps"]}))\n'
    )
    nan = PLAN + block("experiment.py", line, line.replace("losses[-1]", 'float("nan")'))
    mend = block("experiment.py", line.replace("losses[-1]", 'float("nan")'), line) + FASTER
    model = play(study, [nan, mend, *ENDING])
    assert "final_loss (final_info.json: ['final_loss']) is NaN" in said(model, 1)


def test_an_idea_without_a_working_edit_pauses_and_if_resumed_ends_as_failed_within_its_budgets(
    make_study: Callable[..., Study],
) -> None:
    study = make_study(limits=Limits(max_runs=10))
    model = ScriptedModel([f"PLAN:\n1. Think\n\nThought {n}.\n" for n in range(100)])
    state = study.loop(model).run()
    for runs in (1, 2):
        assert state.pause and state.pause.kind is PauseKind.MODEL and len(model.requests) == 4 * 4 * runs
        assert state.pause.reason.startswith("no reply held an edit that could be applied: 16 in a row were refused")
        state = study.loop(model).run(Resumed())
    assert state.ended and not state.ended.completed
    assert len(model.requests) == 3 * 4 * 4  # runs given up, attempts of each, replies of each attempt
    for request in model.requests:
        told = request.messages[-1].content
        assert not re.search(r"\b[0-9a-f]{64}\b", told), "a name of a blob in place of its text"
    assert "The reply holds no SEARCH/REPLACE block" in model.requests[1].messages[-1].content
    assert "The reply holds no whole file or function in a fence" in model.requests[4].messages[-1].content
    assert "3 run numbers in a row were given up" in state.ended.summary
    assert "run 3 (given up): the reply holds no whole file or function in a fence" in state.ended.summary
    assert opened(study, Step.RUN) == [] and opened(study, Step.SMOKE) == []
    assert "## Run 3: given up" in (study.workspace.path / "notes.txt").read_text()


def test_the_same_failure_changes_strategy(study: Study) -> None:
    def boom(n: int) -> str:
        return block("experiment.py", OUT, OUT + f"    raise ValueError('step {n} of the setup failed')\n")

    def boom_again(n: int) -> str:
        old, new = (f"    raise ValueError('step {k} of the setup failed')\n" for k in (n - 1, n))
        return block("experiment.py", old, new)

    model = play(study, [PLAN + boom(1), boom_again(2), boom_again(3), FASTER, *ENDING])
    assert "Send the edit that mends this" in said(model, 1)
    assert "rewrite the whole function main" in said(model, 2)
    assert "the files above are the last good code" in said(model, 3)
    assert "raise ValueError" not in said(model, 3).partition("# Present files")[2].partition("# Now")[0]
    restores = [c for c in study.workspace.repo().log() if "Restores" in c.trailers]
    assert len(restores) == 1


def test_half_an_edit_is_never_run_with_a_word_for_the_notes_in_place_of_its_other_half(study: Study) -> None:
    wrong = block("experiment.py", "MOMENTUM = 0.1\n", "MOMENTUM = 0.5\n")
    right = block("experiment.py", "MOMENTUM = 0.0  # search: 0.0..0.9\n", "MOMENTUM = 0.5\n")
    model = play(study, [PLAN + FASTER + wrong, block("notes.txt", "", "Only a word.\n"), right, *ENDING])
    assert "changes nothing in experiment.py" in said(model, 2)
    code = study.workspace.repo().read("run/1")["experiment.py"]
    assert "LR = 0.1 " in code and "MOMENTUM = 0.5\n" in code


def test_a_crash_is_still_told_after_replies_that_could_not_be_used(study: Study) -> None:
    crashing = block("experiment.py", OUT, OUT + "    raise IndexError('seven')\n")
    mend = block("experiment.py", "    raise IndexError('seven')\n", "") + FASTER
    model = play(study, [PLAN + crashing, *[f"thinking {n}" for n in range(4)], mend, *ENDING])
    assert "still to be mended" in said(model, 5) and "IndexError: seven" in said(model, 5)
