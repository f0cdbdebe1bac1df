"""The real experiment and its evaluation behind real walls: both work, and served code reaches nothing of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.core.evidence.variants import set_constants
from agent.core.journal.kinds import Step
from agent.edges.run.prepare_step import Equipment
from agent.edges.run.trial import Trial, run_trial
from agent.edges.template.data import Prepared
from agent.edges.template.load import Template
from tests.sandboxes import needs_bwrap, needs_landlock
from tests.templates.test_sae import PYTHON, change_template, interpreter, prepare, without_orthogonalising

pytestmark = pytest.mark.sae

HELD = [
    pytest.param("bwrap", marks=needs_bwrap),
    pytest.param("landlock", marks=needs_landlock),
]
BEGIN = "def load_sae(run_dir: str) -> SAE:\n"
# Added to the experiment, and called by load_sae in the process that encodes.
NOSY = '''def look_around() -> list[str]:
    """What can be had beyond the folder that this process was given."""
    import signal, socket
    parent, found = os.getppid(), []

    def attempt(name, act):
        try:
            act()
        except OSError:
            return
        found.append(name)

    for name in ("environ", "mem", "maps"):
        attempt(f"the evaluator's {name}", lambda: open(f"/proc/{parent}/{name}", "rb").read(1))
    attempt("a signal to the evaluator", lambda: os.kill(parent, 0))
    attempt("the evaluation's data", lambda: os.listdir(EVALUATION))
    attempt("the evaluator's code", lambda: open(EVALUATOR).read())
    attempt("the evaluation's folder", lambda: open(EVALUATED + "/planted", "w"))
    attempt("the network", lambda: socket.create_connection(("127.0.0.1", 9), timeout=1))
    return found


'''
STRICT = "    if escaped := look_around():\n        raise RuntimeError(f'escaped: {escaped}')\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The synth profile with data and an evaluation that take a second."""
    interpreter(PYTHON)
    hidden = {"rows": 9000, "eval_samples": 4096, "synthetic": without_orthogonalising()}
    return change_template(tmp_path_factory.mktemp("template") / "sae", "synth", {}, hidden)


@pytest.fixture(scope="module")
def data(small: Template, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(small, interpreter(PYTHON), tmp_path_factory.mktemp("store"))


def score(place: Path, template: Template, data: Prepared, kind: str, *, nosy: bool) -> Trial:
    """A smoke run and its evaluation."""
    code = set_constants(template.files, template.spec.run_files, {})
    if nosy:
        names = {
            "EVALUATION": data.evaluation,
            "EVALUATOR": f"{template.sealed}/evaluate.py",
            "EVALUATED": place / ".agent/attempts/run_1.1.evaluate/work",
        }
        constants = "".join(f"{name} = {str(value)!r}\n" for name, value in names.items())
        nosy_code = code["experiment.py"].replace(BEGIN, f"import os\n\n{constants}\n\n{NOSY}{BEGIN}{STRICT}")
        code = code | {"experiment.py": nosy_code}
    return run_trial(
        place,
        template,
        code,
        Equipment(interpreter(PYTHON), os.environ, kind, prepared=data),
        seed=1,
        steps=(Step.SMOKE, Step.EVALUATE),
    )


@pytest.mark.parametrize("kind", HELD)
def test_served_code_finds_nothing_but_its_own_folder(
    kind: str, small: Template, data: Prepared, tmp_path: Path
) -> None:
    trial = score(tmp_path, small, data, kind, nosy=True)
    assert trial.failure is None, trial.failure
    assert trial.evaluation["encode"] == "served" and "self_reported" not in trial.evaluation
    assert not (tmp_path / ".agent/attempts/run_1.1.evaluate/work/planted").exists()


def test_without_a_sandbox_it_finds_them_all(small: Template, data: Prepared, tmp_path: Path) -> None:
    trial = score(tmp_path, small, data, "off", nosy=True)
    assert trial.failure and 'escaped: ["the evaluator\'s environ"' in trial.failure.summary, trial.failure
    assert (tmp_path / ".agent/attempts/run_1.1.evaluate/work/planted").exists()


@pytest.mark.parametrize("kind", HELD)
def test_the_walls_change_no_score(kind: str, small: Template, data: Prepared, tmp_path: Path) -> None:
    free = score(tmp_path / "free", small, data, "off", nosy=False)
    held = score(tmp_path / "held", small, data, kind, nosy=False)
    assert held.failure is None and free.failure is None
    timings = {"train_seconds"}
    assert {n: v for n, v in held.values.items() if n not in timings} == {
        n: v for n, v in free.values.items() if n not in timings
    }
