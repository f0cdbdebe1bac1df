"""templates/sae and ideas/: structure without torch, and the real experiment in the template's own environment."""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent.core.idea import parse_ideas
from agent.core.search import search_ranges
from agent.core.spec import TemplateSpec

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "templates" / "sae"
IDEA_FILES = {"sae_synth.json": 3, "sae_variants.json": 5}
TEXTS = ("Name", "Title", "Experiment", "Technical_Details", "Implementation_Plan", "Interestingness_Evaluation")
TEXTS += ("Feasibility_Evaluation", "Novelty_Evaluation", "Expected_Research_Impact", "Abstract")
SCORES = ("Interestingness", "Feasibility", "Novelty", "Research_Impact", "Overall_Score")
PYTHON = "SCIENTIST_SAE_PYTHON"


@pytest.fixture(scope="module")
def spec() -> TemplateSpec:
    return TemplateSpec.model_validate(tomllib.loads((TEMPLATE / "template.toml").read_text()))


def value_at(content: dict, path: tuple[str, ...]) -> object:
    for key in path:
        content = content[key]
    return content


# ------------------------------------------------------------------------------------------------------------ structure


def test_template_names_files_that_exist(spec: TemplateSpec) -> None:
    for name in {*spec.run_files, *spec.editable, "plot.py", "prompt.md", "requirements.txt", "sealed/evaluate.py"}:
        assert (TEMPLATE / name).is_file(), name
    assert set(spec.profiles) == {path.stem for path in (TEMPLATE / "profiles").glob("*.json")}
    assert spec.default_profile in spec.profiles
    assert [metric.name for metric in spec.metrics if metric.primary] == ["f1"]
    assert spec.evaluate is not None and spec.evaluate.runs_experiment_code


def test_every_requirement_is_pinned(spec: TemplateSpec) -> None:
    lines = (TEMPLATE / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(pin.count("==") == 1 for pin in pins)
    assert spec.environment.install[0][0] in pins


def test_search_marks_parse_and_leave_the_controls_alone(spec: TemplateSpec) -> None:
    source = (TEMPLATE / "experiment.py").read_text()
    ranges = {found.name: found for found in search_ranges(source)}
    assert len(ranges) == source.count("# search:") - source.count("``# search:") and 5 <= len(ranges) <= 7
    assert {"LR", "WARMUP", "AUX_COEF", "DEC_NORM"} <= ranges.keys()
    assert not {"STEPS", "BATCH_SIZE", "D_SAE", "K"} & ranges.keys()
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


def test_baseline_has_five_comparable_seeds(spec: TemplateSpec) -> None:
    rows = [json.loads(path.read_text()) for path in sorted((TEMPLATE / "baselines" / "synth").glob("*.json"))]
    profile = json.loads((TEMPLATE / "profiles" / "synth.json").read_text())
    assert [(row["name"], row["seed"], row["profile"]) for row in rows] == [
        ("topk", seed, "synth") for seed in range(5)
    ]
    for row in rows:
        for metric in (*spec.metrics, *spec.controls):
            value = value_at(row[metric.source], metric.path)
            assert isinstance(value, int | float) and math.isfinite(value), (row["seed"], metric.name)
        assert row["final_info"]["tokens"] == profile["steps"] * profile["batch_size"]
        assert row["evaluation"]["d_sae"] == profile["d_sae"]
        assert row["evaluation"]["eval_samples"] == profile["eval_samples"]
        assert abs(row["evaluation"]["l0"] - profile["k"]) < 0.1 * profile["k"]
        assert 0.3 < row["evaluation"]["f1"] < 0.6
    assert 0 < statistics.stdev(row["evaluation"]["f1"] for row in rows) < 0.03


def test_prompt_is_short_enough_to_go_with_every_request() -> None:
    words = (TEMPLATE / "prompt.md").read_text()
    assert len(words) < 5600  # about four characters a token, so some 1,400 tokens


def test_no_sealed_file_is_imported_by_an_absolute_path() -> None:
    for path in (*TEMPLATE.rglob("*.py"), *TEMPLATE.rglob("*.toml"), *TEMPLATE.rglob("*.md")):
        assert "/work" not in path.read_text(), path


# ---------------------------------------------------------------------------------------------------------- real thing


@pytest.fixture(scope="module")
def python() -> str:
    path = os.environ.get(PYTHON, "")
    if not path:
        pytest.skip(f"{PYTHON} does not name an interpreter with the template's requirements")
    return path


def lay_out(folder: Path, profile: dict | None = None) -> Path:
    """A run's working directory as the orchestrator makes it."""
    folder.mkdir(parents=True)
    for name in ("experiment.py", "plot.py"):
        shutil.copy(TEMPLATE / name, folder)
    content = profile or json.loads((TEMPLATE / "profiles" / "synth.json").read_text())
    (folder / "profile.json").write_text(json.dumps(content))
    return folder


def call(command: list[str], work: Path, *, seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Run as in a smoke run: the template's variables and an otherwise bare environment."""
    variables = tomllib.loads((TEMPLATE / "template.toml").read_text())["environment"]["variables"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "PYTHONPATH": str(TEMPLATE / "sealed"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SCIENTIST_SMOKE": "1",
        "SCIENTIST_SEED": str(seed),
        **variables,
    }
    return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=120, check=False)


def evaluate(python: str, work: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    command = [python, str(TEMPLATE / "sealed" / "evaluate.py"), "--run_dir=run_1", "--out=evaluation.json", *extra]
    return call(command, work)


def small_profile(**changes: object) -> dict:
    """The synth profile with an evaluation that takes a second."""
    return json.loads((TEMPLATE / "profiles" / "synth.json").read_text()) | {"eval_samples": 4096, **changes}


@pytest.fixture(scope="module")
def smoke_run(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = lay_out(tmp_path_factory.mktemp("sae") / "work", small_profile())
    done = call([python, "experiment.py", "--out_dir=run_1"], work)
    assert done.returncode == 0, done.stderr
    return work


def edit_weights(python: str, work: Path, statement: str) -> None:
    """Change run_1's tensors, a dict named `t`, in the template's interpreter."""
    code = (
        "from safetensors.torch import load_file, save_file; p = 'run_1/sae.safetensors'; t = load_file(p); "
        f"{statement}; save_file(t, p)"
    )
    done = call([python, "-c", code], work)
    assert done.returncode == 0, done.stderr


@pytest.mark.sae
def test_smoke_run_is_scored(python: str, smoke_run: Path, spec: TemplateSpec) -> None:
    done = evaluate(python, smoke_run)
    assert done.returncode == 0, done.stderr
    found = {
        "final_info": json.loads((smoke_run / "run_1" / "final_info.json").read_text()),
        "evaluation": json.loads((smoke_run / "evaluation.json").read_text()),
    }
    for metric in (*spec.metrics, *spec.controls):
        value = value_at(found[metric.source], metric.path)
        assert isinstance(value, int | float) and math.isfinite(value), metric.name
    lines = [json.loads(line) for line in (smoke_run / "run_1" / "metrics.jsonl").read_text().splitlines()]
    assert {"step", "name", "value"} == set(lines[0])
    assert any(line["name"] == "aux_loss" and line["value"] > 0 for line in lines), "the dead-latent code did not run"


@pytest.mark.sae
def test_same_seed_gives_the_same_weights_and_another_seed_does_not(
    python: str, smoke_run: Path, tmp_path: Path
) -> None:
    weights = {0: (smoke_run / "run_1" / "sae.safetensors").read_bytes()}
    for seed in (0, 1):
        work = lay_out(tmp_path / str(seed), small_profile())
        assert call([python, "experiment.py", "--out_dir=run_1"], work, seed=seed).returncode == 0
        again = (work / "run_1" / "sae.safetensors").read_bytes()
        assert (again == weights[0]) is (seed == 0)


@pytest.mark.sae
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("t['W_dec'][3, 4] = float('nan')", "W_dec in run_1/sae.safetensors holds NaN or infinite values"),
        ("del t['b_dec']", "lacks b_dec"),
        ("t['W_dec'] = t['W_dec'][:, :32].contiguous()", "expected (d_sae, 64)"),
    ],
)
def test_broken_weights_fail_in_one_clear_line(
    python: str, smoke_run: Path, tmp_path: Path, statement: str, message: str
) -> None:
    work = tmp_path / "work"
    shutil.copytree(smoke_run, work)
    (work / "evaluation.json").unlink(missing_ok=True)
    edit_weights(python, work, statement)
    done = evaluate(python, work)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("evaluate.py: error:") and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (work / "evaluation.json").exists()


@pytest.mark.sae
def test_missing_weights_fail_in_one_clear_line(python: str, tmp_path: Path) -> None:
    work = lay_out(tmp_path / "work")
    (work / "run_1").mkdir()
    done = evaluate(python, work)
    assert (done.returncode, done.stderr) == (1, "evaluate.py: error: run_1/sae.safetensors is missing\n")


@pytest.mark.sae
def test_an_encoder_that_looks_across_the_batch_is_refused(python: str, smoke_run: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(smoke_run, work)
    source = (work / "experiment.py").read_text()
    per_row = "return self.sparsify(self.pre_activations(x))"
    assert per_row in source
    (work / "experiment.py").write_text(
        source.replace(
            per_row, f"z = {per_row[7:]}\n        return z * (z >= z.flatten().topk(3 * len(z)).values.min())"
        )
    )
    done = evaluate(python, work)
    assert done.returncode == 1 and "encode depends on the other rows" in done.stderr


ORACLE = """
import json, torch
from pathlib import Path
from activations import build_model, read_profile
from safetensors.torch import save_file
model = build_model(read_profile())
features, bias = model.feature_dict.feature_vectors.data, model.feature_dict.bias.data
Path("run_1").mkdir()
save_file({"W_dec": features.contiguous(), "b_dec": bias.contiguous()}, "run_1/sae.safetensors")
Path("experiment.py").write_text('''
import torch
from safetensors.torch import load_file
class Oracle:
    def __init__(self, w):
        self.w = w
    def encode(self, x):
        z = (x - self.w["b_dec"]) @ torch.linalg.pinv(self.w["W_dec"])
        return z * (z > 0.01)
def load_sae(run_dir):
    return Oracle(load_file(run_dir + "/sae.safetensors"))
''')
"""


@pytest.mark.sae
def test_the_true_dictionary_scores_one(python: str, tmp_path: Path) -> None:
    """32 features in 64 dimensions can be read off without error: every score is known beforehand."""
    profile = small_profile()
    profile["synthetic"] |= {"num_features": 32, "std_firing_magnitudes": 0.1}
    profile["synthetic"]["hierarchy"] |= {"total_root_nodes": 4, "branching_factor": 2, "max_depth": 2}
    work = lay_out(tmp_path / "work", profile)
    made = call([python, "-c", ORACLE], work)
    assert made.returncode == 0, made.stderr
    done = evaluate(python, work)
    assert done.returncode == 0, done.stderr
    scores = json.loads((work / "evaluation.json").read_text())
    for name in ("f1", "precision", "recall", "mcc", "uniqueness", "explained_variance"):
        assert scores[name] == pytest.approx(1.0, abs=2e-3), name
    assert scores["l0"] == pytest.approx(scores["true_l0"], abs=1e-2)
    assert scores["dead_fraction"] == 0


@pytest.mark.sae
def test_evaluation_samples_are_not_training_samples(python: str, smoke_run: Path) -> None:
    code = (
        "from activations import *; m = build_model(read_profile());"
        "a, b, c = (Stream(m, s, 0).sample(64) for s in (TRAINING, TRAINING, EVALUATION));"
        "assert a.equal(b) and not a.equal(c)"
    )
    done = call([python, "-c", code], smoke_run)
    assert done.returncode == 0, done.stderr


@pytest.mark.sae
@pytest.mark.parametrize("with_runs", [False, True])
def test_plot_works_with_any_number_of_runs(python: str, smoke_run: Path, tmp_path: Path, with_runs: bool) -> None:
    work = lay_out(tmp_path / "work")
    if with_runs:
        shutil.copytree(smoke_run / "run_1", work / "run_1")  # no evaluation.json: no F1
        shutil.copytree(smoke_run / "run_1", work / "run_2")
        (work / "run_2" / "evaluation.json").write_text(json.dumps({"f1": 0.5, "l0": 6.0}))
        rows = [{"name": "topk", "seed": seed, "metrics": {"f1": 0.48 + seed / 100, "l0": 6.0}} for seed in range(3)]
        (work / "baselines.json").write_text(json.dumps(rows))
    done = call([python, "plot.py"], work)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in work.glob("*.png")}
    assert names == ({"f1_by_run.png", "training_curves.png", "f1_against_l0.png"} if with_runs else set())


def test_stand_ins_answer_for_their_own_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TEMPLATE / "sealed"))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    import lean_sae_lens

    finder = lean_sae_lens._StandInFinder()
    assert finder.find_spec("transformer_lens.hook_points", None) is not None
    assert finder.find_spec("scipy", None) is None
