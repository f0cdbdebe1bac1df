"""Trial runs: the steps of a real run in a scratch folder, with nothing left running."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.failure.diagnose import FailureKind
from agent.core.journal.kinds import Step
from agent.edges.run.prepare_step import Equipment
from agent.edges.run.trial import Trial, run_trial
from agent.edges.system.processes import all_processes
from agent.edges.template.load import Template, load_template
from tests.paths import QUADRATIC


@pytest.fixture
def template() -> Template:
    return load_template(QUADRATIC)


def run(scratch: Path, template: Template, code: dict[str, str] | None = None, seed: int = 3, **more: object) -> Trial:
    files = template.files | (code or {})
    return run_trial(scratch, template, files, Equipment(Path(sys.executable), os.environ), seed=seed, **more)  # type: ignore[arg-type]


def test_a_run_and_its_evaluation(tmp_path: Path, template: Template) -> None:
    trial = run(tmp_path / "a b", template)
    assert trial.failure is None and trial.failed is None
    assert set(trial.values) == {"score", "final_loss", "steps"}
    assert trial.final_info["steps"] == 40 and trial.evaluation["score"] == trial.values["score"]
    assert (trial.outputs / "metrics.jsonl").is_file() and set(trial.seconds) == {Step.RUN, Step.EVALUATE}


def test_the_seed_decides(tmp_path: Path, template: Template) -> None:
    a, again, b = (run(tmp_path / name, template, seed=seed).values for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert a == again != b


def test_a_smoke_test_alone(tmp_path: Path, template: Template) -> None:
    trial = run(tmp_path, template, steps=(Step.SMOKE,))
    assert trial.values == {"final_loss": trial.values["final_loss"], "steps": 3} and not trial.evaluation


def test_a_failed_run_is_not_evaluated(tmp_path: Path, template: Template) -> None:
    trial = run(tmp_path, template, {"experiment.py": "raise ValueError('so it is')\n"})
    assert trial.failed is Step.RUN and trial.failure is not None and not trial.values
    assert trial.failure.kind is FailureKind.EXCEPTION and "so it is" in trial.failure.summary
    assert Step.EVALUATE not in trial.seconds


KILLED_AT_FIRST = """    if Path.cwd().parent.name == "run_3.1":
        os.kill(os.getpid(), 9)
    out.mkdir("""


def test_a_run_that_somebody_else_killed_is_tried_again(tmp_path: Path, template: Template) -> None:
    code = template.files["experiment.py"].replace("    out.mkdir(", KILLED_AT_FIRST, 1)
    assert code != template.files["experiment.py"]
    trial = run(tmp_path, template, {"experiment.py": code})
    assert trial.failure is None and trial.outputs.is_relative_to(tmp_path / ".agent/attempts/run_3.2")
    assert trial.evaluation["score"] == trial.values["score"]


def test_a_run_without_results(tmp_path: Path, template: Template) -> None:
    trial = run(tmp_path, template, {"experiment.py": "pass\n"})
    assert trial.failure is not None and trial.failure.kind is FailureKind.NO_RESULTS


def test_a_metric_that_is_no_number(tmp_path: Path, template: Template) -> None:
    code = template.files["experiment.py"].replace("losses[-1]", "None")
    trial = run(tmp_path, template, {"experiment.py": code})
    assert trial.failure is not None and "final_loss" in trial.failure.summary and "is null" in trial.failure.summary


def test_a_failed_evaluation_is_named(tmp_path: Path, template: Template) -> None:
    copy = shutil.copytree(QUADRATIC, tmp_path / "q")
    (copy / "sealed" / "evaluate.py").write_text("raise SystemExit(3)\n")
    trial = run(tmp_path / "s", load_template(copy))
    assert trial.failed is Step.EVALUATE and trial.values["steps"] == 40


def test_a_deadline_ends_it(tmp_path: Path, template: Template) -> None:
    limits = template.spec.limits.model_copy(update={"run_s": 0.3})
    short = replace(template, spec=template.spec.model_copy(update={"limits": limits}))
    trial = run(tmp_path, short, {"experiment.py": "import time\ntime.sleep(60)\n"})
    assert trial.failure is not None and trial.failure.kind is FailureKind.TIMED_OUT


def test_an_interrupt_leaves_no_process(tmp_path: Path, template: Template) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    def at_work() -> list[int]:
        found = []
        for process in all_processes():
            try:
                if Path(f"/proc/{process.pid}/cwd").readlink().is_relative_to(tmp_path) and not process.is_dead:
                    found.append(process.pid)
            except OSError:
                continue
        return found

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, template, {"experiment.py": "import time\ntime.sleep(60)\n"}, sleep=interrupt)
    assert at_work() == []
