"""templates/sae and ideas/: structure without torch, and the real experiment in the template's own environments."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.core.code.search_marks import search_ranges
from agent.core.evidence.baseline import doubt_of
from agent.core.evidence.numbers import read_number
from agent.core.evidence.origin import Lineage
from agent.core.evidence.variants import set_constants
from agent.core.inputs.idea import parse_ideas
from agent.core.journal.kinds import Step
from agent.edges.run.baselines import Row, RowState, plan_rows
from agent.edges.run.prepare_step import EVALUATION, Equipment, StepRequest, prepare_step
from agent.edges.template.data import Prepared, prepare_data
from agent.edges.template.load import Template, load_template
from agent.edges.workspace.layout import Workspace

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "templates" / "sae"
PROFILES = ("gemma-2-2b", "synth", "tiny")
WITH_BASELINES = ("synth", "tiny")
ARCHITECTURES = ("topk", "batch_topk", "jumprelu", "standard")
IDEA_FILES = {"sae_synth.json": 3, "sae_variants.json": 5}
TEXTS = ("Name", "Title", "Experiment", "Technical_Details", "Implementation_Plan", "Interestingness_Evaluation")
TEXTS += ("Feasibility_Evaluation", "Novelty_Evaluation", "Expected_Research_Impact", "Abstract")
SCORES = ("Interestingness", "Feasibility", "Novelty", "Research_Impact", "Overall_Score")
PYTHON, LM_PYTHON = "SCIENTIST_SAE_PYTHON", "SCIENTIST_SAE_LM_PYTHON"


@pytest.fixture(scope="module", params=PROFILES)
def template(request: pytest.FixtureRequest) -> Template:
    return load_template(TEMPLATE, request.param)


@pytest.fixture(scope="module", params=WITH_BASELINES)
def with_baselines(request: pytest.FixtureRequest) -> Template:
    return load_template(TEMPLATE, request.param)


@pytest.fixture(scope="module")
def declared(with_baselines: Template) -> tuple[Row, ...]:
    """The runs that template.toml asks for, each with its code."""
    return plan_rows(with_baselines)


# ------------------------------------------------------------------------------------------------------------ structure


def test_template_names_files_that_exist(template: Template) -> None:
    spec = template.spec
    assert set(spec.profiles) == {path.stem for path in (TEMPLATE / "profiles").glob("*.json")} == set(PROFILES)
    assert spec.default_profile in spec.profiles
    commands = [spec.command, spec.plot, *(step.command for step in (spec.prepare, spec.evaluate) if step)]
    scripts = [command.split()[1].replace("{sealed}", "sealed") for command in commands]
    installed = [argument for line in spec.environment.install for argument in line if argument.endswith(".txt")]
    assert len(scripts) == 4 and len(installed) == 1
    for name in {*spec.run_files, *spec.editable, *scripts, *installed, "prompt.md"}:
        assert (TEMPLATE / name).is_file(), name


def test_every_profile_has_one_primary_metric_and_the_axis(template: Template) -> None:
    assert template.spec.frontier == "l0"
    names = [metric.name for metric in template.spec.metrics]
    assert "l0" in names and len(names) == len(set(names))
    assert len([metric for metric in template.spec.metrics if metric.primary]) == 1
    assert [control.name for control in template.spec.controls] == ["tokens", "d_sae", "data_id"]


def test_evaluations_are_verified(template: Template) -> None:
    assert template.spec.evaluate is not None and not template.spec.evaluate.runs_experiment_code


def test_what_runs_must_not_see_is_hidden(template: Template) -> None:
    whole, public = json.loads(template.profile_text), json.loads(template.public_profile)
    assert whole["hidden"]["source"] in ("synthetic", "language_model")
    assert public == {key: value for key, value in whole.items() if key != "hidden"}
    assert {"steps", "batch_size", "d_in", "d_sae", "lr", "k", "l0_coef", "l1_coef", "threads"} <= public.keys()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-lm.txt"])
def test_every_requirement_is_pinned(name: str) -> None:
    lines = (TEMPLATE / name).read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 20
    for pin in pins:
        assert pin.count("==") == 1, pin


def test_both_environments_have_the_same_torch_and_scores() -> None:
    found = []
    for name in ("requirements.txt", "requirements-lm.txt"):
        pins = (line.split("==") for line in (TEMPLATE / name).read_text().splitlines() if "==" in line)
        versions = {package.lower(): version for package, version in pins}
        found.append([versions[package] for package in ("torch", "sae-lens", "numpy", "scipy", "safetensors")])
    assert found[0] == found[1]
    for profile in PROFILES:
        install = load_template(TEMPLATE, profile).spec.environment.install
        assert install[0] == (f"torch=={found[0][0]}",)


def test_search_marks_parse_and_leave_the_controls_alone() -> None:
    source = (TEMPLATE / "experiment.py").read_text()
    ranges = {found.name: found for found in search_ranges(source)}
    assert len(ranges) == source.count("# search:") and 5 <= len(ranges) <= 7
    assert {"LR_FACTOR", "WARMUP", "AUX_COEF", "DEC_NORM"} <= ranges.keys()
    assert not {"ARCHITECTURE", "SPARSITY", "ADAM_BETAS", "SMOKE_STEPS"} & ranges.keys()
    for found in ranges.values():
        assert found.value in found.choices if found.choices else found.low <= found.value <= found.high


@pytest.mark.parametrize(("name", "count"), IDEA_FILES.items())
def test_ideas_have_every_field(name: str, count: int) -> None:
    text = (ROOT / "ideas" / name).read_text()
    assert len(parse_ideas(text, name)) == count
    for idea in json.loads(text):
        assert set(idea) == {*TEXTS, *SCORES}
        assert idea["Name"].isidentifier() and idea["Name"] == idea["Name"].lower()
        assert all(idea[field].strip() for field in TEXTS)
        assert all(0 < idea[field] <= 10 for field in SCORES)


def test_prompt_is_short_enough_to_go_with_every_request() -> None:
    words = (TEMPLATE / "prompt.md").read_text()
    assert len(words) < 5600  # about four characters a token, so some 1,400 tokens


def test_no_sealed_file_is_imported_by_an_absolute_path() -> None:
    for path in (*TEMPLATE.rglob("*.py"), *TEMPLATE.rglob("*.toml"), *TEMPLATE.rglob("*.md")):
        assert not re.search(r"(?<![\w>.}])/(work|root|home|tmp)/", path.read_text()), path  # "/tmp/sealed"


# ------------------------------------------------------------------------------------------------------------ baselines


def stored_rows(template: Template) -> dict[str, dict[str, Any]]:
    """The profile's baselines by file name."""
    folder = TEMPLATE / "baselines" / template.profile
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def test_declared_baselines_are_four_lines_of_five_points(with_baselines: Template, declared: tuple[Row, ...]) -> None:
    variants = with_baselines.spec.profiles[with_baselines.profile].baselines
    assert [variant.name for variant in variants] == list(ARCHITECTURES)
    for variant in variants:
        assert variant.constants == {"ARCHITECTURE": variant.name} and variant.vary == "SPARSITY"
        seeds = Counter(row.task.setting for row in declared if row.task.name == variant.name)
        assert list(seeds.values()) == [3, 3, 5, 3, 3]
    assert len(declared) == 68


def test_baselines_are_those_declared_and_all_of_them(with_baselines: Template, declared: tuple[Row, ...]) -> None:
    assert stored_rows(with_baselines).keys() == {row.task.stem for row in declared}


def test_baselines_were_made_by_the_code_that_is_here(with_baselines: Template, declared: tuple[Row, ...]) -> None:
    stored = stored_rows(with_baselines)
    made = [row for row in declared if row.task.stem in stored]
    assert made
    for row in made:
        found = stored[row.task.stem]
        assert (found["name"], found["setting"], found["seed"]) == (row.task.name, row.task.setting, row.task.seed)
        assert (found["profile"], found["constants"]) == (with_baselines.profile, row.task.constants)
        assert found["final_info"]["seed"] == row.task.seed
        assert found["code"] == row.code, f"{row.path.name} is of other code: scientist baseline sae --redo"
        assert row.state() is RowState.THERE, f"{row.path.name} came of {row.differs()}: scientist baseline sae --redo"
    assert with_baselines.lineage == Lineage(rows=68, recorded=68) and not doubt_of(with_baselines.baselines)


def test_baselines_are_comparable(with_baselines: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = json.loads(with_baselines.profile_text)
    stored = stored_rows(with_baselines)
    assert stored
    data_id = data_id_now(with_baselines.profile, monkeypatch)
    needed = [metric for metric in with_baselines.spec.metrics if not metric.optional]
    for stem, row in stored.items():
        for metric in (*needed, *with_baselines.spec.controls):
            assert read_number(row[metric.source], metric.path) is not None, (stem, metric.name)
        assert row["final_info"]["tokens"] == profile["steps"] * profile["batch_size"], stem
        assert row["evaluation"]["d_sae"] == profile["d_sae"], stem
        assert "self_reported" not in row["evaluation"], stem
        assert row["evaluation"]["data_id"] == data_id, stem


def data_id_now(profile: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The data_id that prepare.py gives to the profile's data."""
    monkeypatch.syspath_prepend(str(TEMPLATE / "sealed"))
    from data import plan

    content = plan.read_profile(TEMPLATE / "profiles" / f"{profile}.json")
    if content["hidden"]["source"] == "synthetic":
        return plan.data_id_of(plan.synthetic_fields(content))
    weights = plan.weights_of(content["hidden"]["model"])
    return plan.data_id_of(plan.language_model_fields(content, weights))


def test_baselines_bind_an_idea(with_baselines: Template) -> None:
    """Every line falls or rises along the axis, and its seeds agree far better than its ends."""
    (primary,) = (metric for metric in with_baselines.spec.metrics if metric.primary)
    for name in ARCHITECTURES:
        rows = [b for b in with_baselines.baselines if b.name == name]
        assert len({b.setting for b in rows}) == 5, name
        places = [[b.values["l0"] for b in rows if b.setting == setting] for setting in {b.setting: None for b in rows}]
        means = [sum(at) / len(at) for at in places]
        assert means == sorted(means) and means[-1] > 1.5 * means[0], (name, means)
        for at in places:
            assert max(at) - min(at) < 0.2 * (means[-1] - means[0]), (name, at)
        assert all(0 < b.values[primary.name] < 1 for b in rows)


def test_history_is_no_baseline(template: Template) -> None:
    assert (TEMPLATE / "baselines" / "history" / "gemma-2-2b.json").is_file()
    assert len(template.baselines) == len(stored_rows(template))
    assert template.profile != "gemma-2-2b" or not template.baselines


# ---------------------------------------------------------------------------------------------------------- real thing


def interpreter(variable: str) -> Path:
    """The interpreter that the variable names. The test is skipped if it names none."""
    path = os.environ.get(variable, "")
    if not path:
        pytest.skip(f"{variable} does not name an interpreter with the template's requirements")
    return Path(path)


@pytest.fixture(scope="module")
def python() -> Path:
    return interpreter(PYTHON)


def change_template(folder: Path, name: str, change: Mapping[str, Any], hidden: Mapping[str, Any]) -> Template:
    """A copy of the template whose profile is changed, `hidden` merged one level deep."""
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "profiles" / f"{name}.json"
    profile = json.loads(path.read_text()) | change
    for key, value in hidden.items():
        old = profile["hidden"].get(key)
        profile["hidden"][key] = {**old, **value} if isinstance(old, dict) else value
    path.write_text(json.dumps(profile))
    return load_template(folder, name)


def prepare(template: Template, python: Path, store: Path) -> Prepared:
    return prepare_data(template, python, store, os.environ, print)


class Trial:
    """One experiment in a folder, its steps laid out as the orchestrator does, unsupervised."""

    def __init__(self, place: Path, template: Template, python: Path, data: Prepared | None, **constants: Any) -> None:
        self.template, self.python, self.data = template, python, data
        self.workspace = Workspace(place)
        self.code = set_constants(template.files, template.spec.run_files, constants)
        self.outputs = self._work(Step.SMOKE, 1) / "run_1"

    def _work(self, step: Step, run: int) -> Path:
        return self.workspace.step_folder(f"run_{run}.1.{step.value}") / "work"

    def take(self, step: Step, run: int = 1) -> subprocess.CompletedProcess[str]:
        """Take the step. `run` is the seed too."""
        spec = prepare_step(
            self.workspace,
            self.template,
            StepRequest(
                step, f"run_{run}.1.{step.value}", run, self.code, self.outputs if step is Step.EVALUATE else None
            ),
            Equipment(self.python, os.environ, prepared=self.data),
        )
        return subprocess.run(
            spec.argv,
            cwd=self._work(step, run),
            env=spec.env,
            capture_output=True,
            text=True,
            timeout=spec.deadline_s,
            check=False,
        )

    @property
    def final_info(self) -> dict[str, Any]:
        return json.loads((self.outputs / "final_info.json").read_text())

    @property
    def evaluation(self) -> dict[str, Any]:
        return json.loads((self._work(Step.EVALUATE, 1) / EVALUATION).read_text())

    def logged(self, name: str) -> list[float]:
        lines = (json.loads(line) for line in (self.outputs / "metrics.jsonl").read_text().splitlines())
        return [line["value"] for line in lines if line["name"] == name]


def succeed(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def check_results(trial: Trial) -> None:
    """Every metric and control that is not optional is a finite number, and the evaluation is verified."""
    found = {"final_info": trial.final_info, "evaluation": trial.evaluation}
    spec = trial.template.spec
    for metric in (*(m for m in spec.metrics if not m.optional), *spec.controls):
        assert read_number(found[metric.source], metric.path) is not None, metric.name
    profile = json.loads(trial.template.profile_text)
    assert found["evaluation"]["d_sae"] == profile["d_sae"]
    assert found["final_info"]["tokens"] == 8 * profile["batch_size"]
    assert "self_reported" not in found["evaluation"] and found["evaluation"]["encode"] in ("served", "graph")


def without_orthogonalising() -> dict[str, Any]:
    return {"orthogonalization": {"num_steps": 5, "lr": 0.01, "chunk_size": 1024}}


@pytest.fixture(scope="module")
def small(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The synth profile with data and an evaluation that take a second."""
    hidden = {"rows": 9000, "eval_samples": 4096, "synthetic": without_orthogonalising()}
    return change_template(tmp_path_factory.mktemp("template") / "sae", "synth", {}, hidden)


@pytest.fixture(scope="module")
def data(python: Path, small: Template, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(small, python, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def smoke(python: Path, small: Template, data: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A smoke run of the unchanged experiment. Tests copy its outputs before they change them."""
    trial = Trial(tmp_path_factory.mktemp("smoke"), small, python, data)
    succeed(trial.take(Step.SMOKE))
    return trial


@pytest.mark.sae
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_smoke_run_of_every_architecture_is_scored(
    python: Path, small: Template, data: Prepared, tmp_path: Path, architecture: str
) -> None:
    trial = Trial(tmp_path, small, python, data, ARCHITECTURE=architecture)
    succeed(trial.take(Step.SMOKE))
    succeed(trial.take(Step.EVALUATE))
    check_results(trial)
    config = json.loads((trial.outputs / "sae_config.json").read_text())
    assert config["architecture"] == architecture
    meta = json.loads((data.training / "meta.json").read_text())
    assert trial.evaluation["data_id"] == meta["data_id"]
    assert trial.evaluation["eval_samples"] == 4096
    auxiliary = trial.logged("aux_loss")
    if architecture == "topk":
        assert max(auxiliary) > 0, "the dead-latent code did not run"
    if architecture in ("jumprelu", "standard"):
        assert max(auxiliary) == 0 and min(trial.logged("sparsity_loss")) > 0


@pytest.mark.sae
def test_same_seed_gives_the_same_weights_and_another_seed_does_not(
    python: Path, small: Template, data: Prepared, smoke: Trial, tmp_path: Path
) -> None:
    weights = (smoke.outputs / "sae.safetensors").read_bytes()
    for seed in (1, 2):
        trial = Trial(tmp_path / str(seed), small, python, data)
        succeed(trial.take(Step.SMOKE, run=seed))
        (found,) = trial.workspace.path.rglob(f"run_{seed}/sae.safetensors")
        assert (found.read_bytes() == weights) is (seed == 1)


@pytest.mark.sae
def test_a_loss_that_is_not_finite_stops_the_run(python: Path, small: Template, data: Prepared, tmp_path: Path) -> None:
    trial = Trial(tmp_path, small, python, data, LR_FACTOR=1e30)
    done = trial.take(Step.SMOKE)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("FloatingPointError: loss is ") and " at step 1; the last finite loss was " in last
    assert last.endswith(" at step 0") and math.isfinite(float(last.split()[-4]))
    assert not (trial.outputs / "final_info.json").exists()


@pytest.mark.sae
@pytest.mark.parametrize("architecture", ["topk", "batch_topk"])
def test_more_latents_than_there_are_is_one_clear_line(
    python: Path, small: Template, data: Prepared, tmp_path: Path, architecture: str
) -> None:
    done = Trial(tmp_path, small, python, data, ARCHITECTURE=architecture, SPARSITY=257).take(Step.SMOKE)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "ValueError: k = 257: it must be between 1 and d_sae = 256"


@pytest.mark.sae
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("t['W_dec'][3, 4] = float('nan')", "W_dec in run_1/sae.safetensors holds NaN or infinite values"),
        ("del t['b_dec']", "run_1/sae.safetensors lacks b_dec"),
        ("t['W_dec'] = t['W_dec'][:, :32].contiguous()", "expected (d_sae, 64)"),
    ],
)
def test_broken_weights_fail_in_one_clear_line(smoke: Trial, tmp_path: Path, statement: str, message: str) -> None:
    trial = Trial(tmp_path, smoke.template, smoke.python, smoke.data)
    shutil.copytree(smoke.outputs, trial.outputs)
    code = (
        "import sys; from safetensors.torch import load_file, save_file; t = load_file(sys.argv[1]); "
        f"{statement}; save_file(t, sys.argv[1])"
    )
    subprocess.run([smoke.python, "-c", code, trial.outputs / "sae.safetensors"], check=True, timeout=60)
    done = trial.take(Step.EVALUATE)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("evaluate.py: error:") and message in line
    with pytest.raises(FileNotFoundError):
        assert trial.evaluation


@pytest.mark.sae
def test_missing_weights_fail_in_one_clear_line(python: Path, small: Template, data: Prepared, tmp_path: Path) -> None:
    trial = Trial(tmp_path, small, python, data)
    trial.outputs.mkdir(parents=True)
    done = trial.take(Step.EVALUATE)
    assert (done.returncode, done.stderr) == (1, "evaluate.py: error: run_1/sae.safetensors is missing\n")


@pytest.mark.sae
def test_an_experiment_without_data_says_so(python: Path, small: Template, tmp_path: Path) -> None:
    done = Trial(tmp_path, small, python, None).take(Step.SMOKE)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "NoTrainingData: SCIENTIST_TRAINING_DATA is not set" in last


ORACLE = """
import os, sys
from pathlib import Path
from activations import read_profile
from safetensors.torch import save_file
from data.synthetic import build_model
features = build_model(read_profile(sys.argv[1])).feature_dict
tensors = {"W_dec": features.feature_vectors.data.contiguous(), "b_dec": features.bias.data.contiguous()}
save_file(tensors, Path(sys.argv[2]) / "sae.safetensors")
"""
ORACLE_ENCODER = """
import torch
from safetensors.torch import load_file
class Oracle:
    def __init__(self, w):
        self.b_dec, self.W_enc = w["b_dec"], torch.linalg.pinv(w["W_dec"])
    def encode(self, x):
        z = (x - self.b_dec) @ self.W_enc
        return z * (z > 0.01)
def load_sae(run_dir):
    return Oracle(load_file(run_dir + "/sae.safetensors"))
"""


@pytest.mark.sae
def test_the_true_dictionary_scores_one(python: Path, tmp_path: Path) -> None:
    """32 features in 64 dimensions can be read off without error: every score is known beforehand."""
    synthetic = {
        "num_features": 32,
        "std_firing_magnitudes": 0.1,
        "hierarchy": {
            "total_root_nodes": 4,
            "branching_factor": 2,
            "max_depth": 2,
            "mutually_exclusive_portion": 1.0,
            "compensate_probabilities": True,
        },
    }
    hidden = {"rows": 1024, "eval_samples": 4096, "synthetic": synthetic}
    template = change_template(tmp_path / "sae", "synth", {"d_sae": 32}, hidden)
    trial = Trial(tmp_path / "trial", template, python, prepare(template, python, tmp_path / "store"))
    trial.code["experiment.py"] = ORACLE_ENCODER
    trial.outputs.mkdir(parents=True)
    profile = tmp_path / "sae" / "profiles" / "synth.json"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TEMPLATE / "sealed"), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([python, "-c", ORACLE, profile, trial.outputs], env=environment, check=True, timeout=120)
    succeed(trial.take(Step.EVALUATE))
    scores = trial.evaluation
    for name in ("f1", "precision", "recall", "mcc", "uniqueness", "explained_variance"):
        assert scores[name] == pytest.approx(1.0, abs=2e-3), name
    assert scores["l0"] == pytest.approx(scores["true_l0"], abs=1e-2)
    assert scores["dead_fraction"] == 0


@pytest.mark.sae
@pytest.mark.parametrize("runs", [0, 2])
def test_plot_works_with_any_number_of_runs(smoke: Trial, tmp_path: Path, runs: int) -> None:
    trial = Trial(tmp_path, smoke.template, smoke.python, smoke.data)
    for run in range(1, runs + 1):
        shutil.copytree(smoke.outputs, trial.workspace.run_folder(run))
    if runs > 1:  # run 1 has no evaluation
        (trial.workspace.run_folder(2) / EVALUATION).write_text(json.dumps({"f1": 0.5, "l0": 6.0}))
    succeed(trial.take(Step.PLOT))
    assert not runs or list(tmp_path.rglob("work/*.png"))


@pytest.mark.sae
@pytest.mark.slow
def test_smoke_run_on_a_language_model_is_scored(tmp_path: Path) -> None:
    """Everything of profile tiny, on a few thousand tokens: preparation, training and the real sae_bench."""
    python = interpreter(LM_PYTHON)
    evaluation = {
        "documents": 120,
        "core": {"batch_prompts": 8, "reconstruction_batches": 2, "variance_batches": 3},
        "sparse_probing": {"train_size": 80, "test_size": 40},
    }
    template = change_template(tmp_path / "sae", "tiny", {}, {"tokens": 9000, "evaluation": evaluation})
    data = prepare(template, python, tmp_path / "store")
    assert data.made
    meta = json.loads((data.training / "meta.json").read_text())
    assert meta["d_in"] == 128 and meta["rows"] == 9000
    trial = Trial(tmp_path / "trial", template, python, data)
    succeed(trial.take(Step.SMOKE))
    succeed(trial.take(Step.EVALUATE))
    check_results(trial)
    assert trial.evaluation["data_id"] == meta["data_id"]
    assert 1.3 < trial.evaluation["ce_loss_without_sae"] < 2.2  # the trained assets', far below that of unigrams


def test_stand_ins_answer_for_their_own_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TEMPLATE / "sealed"))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    from data import lean_sae_lens

    finder = lean_sae_lens._StandInFinder()
    assert finder.find_spec("transformer_lens.hook_points", None) is not None
    assert finder.find_spec("scipy", None) is None
