"""sealed/scores/language_model.py: the real sae_bench on the project's own model, in one process: imports are slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sae_bench")
pytestmark = [pytest.mark.sae, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[4]
SEALED = ROOT / "templates" / "sae" / "sealed"

MEASURE = """
import json, os, shutil, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from bench import evaluations, report, workplace
from scores import language_model as scorer
from encoder.faults import BrokenSAE, CannotEvaluate
from tests.templates.sae.bench import small_sae as small
base = Path(sys.argv[1])
assets = Path(scorer.__file__).resolve().parents[2] / "assets" / "tiny"
profile = small.profile_of(assets)
data, other = base / "data", base / "other"
small.prepared(profile, data, scale=1.0)
place = workplace.open_workplace(data)
rows, scale = small.activations(profile, 15000)
place.meta["scale"] = scale
found = {"scale": scale}

def changed(**evaluation):
    hidden = profile["hidden"]
    merged = {name: {**hidden["evaluation"].get(name, {}), **more} for name, more in evaluation.items()}
    return {**profile, "hidden": {**hidden, "evaluation": {**hidden["evaluation"], **merged}}}

only_core = {"every_run": ["core"], "when_not_dominated": []}
def core_of(profile, **more):
    return {**profile, "hidden": {**profile["hidden"], "evaluations": only_core, **more}}

def failure(*arguments, **more):
    try:
        scorer.score(*arguments, **more)
    except (BrokenSAE, CannotEvaluate) as e:
        return type(e).__name__, str(e)

# Tokens that the language model reads in probing, whoever asks.
from transformer_lens import HookedTransformer
read, real = [], HookedTransformer.forward
def counting(model, tokens, *arguments, **more):
    read.append(tokens.numel())
    return real(model, tokens, *arguments, **more)
HookedTransformer.forward = counting
def tokens_read(function):
    read.clear()
    function()
    return sum(read)

trained, untrained = small.trained_sae(rows, 512, 16, steps=150), small.random_sae(128, 512, 16)
here = Path.cwd()
with torch.no_grad():
    found["trained"] = scorer.score(*trained, profile, data, [])
    found["gradients"] = torch.is_grad_enabled()
found["here"] = Path.cwd() == here
found["untrained"] = scorer.score(*untrained, profile, data, [])
pair = scorer.score_many([untrained, trained], profile, data, [])
found["again"] = pair[1]

# The language model's share.
core_tokens = tokens_read(lambda: scorer.score(*untrained, core_of(profile), data, []))
found["next"] = tokens_read(lambda: scorer.score(*trained, profile, data, [])) - core_tokens
artifacts = data / "artifacts"
def kept():
    return sorted(path.name for path in artifacts.iterdir() if path.is_dir())
found["kept"] = [kept()]
for change in ({"train_size": 60}, {"seed": 43}, {"context": 64}):
    fewer = changed(sparse_probing=change)
    share = tokens_read(lambda: scorer.score(*trained, fewer, data, [])) - core_tokens
    found["kept"].append(kept())
    found.setdefault("recomputed", []).append(share)
whole = next((artifacts / found["kept"][0][0]).rglob("*ag_news_activations.pt"))
whole.write_bytes(whole.read_bytes()[:1000])
found["damaged"] = tokens_read(lambda: scorer.score(*trained, profile, data, [])) - core_tokens

# Other weights or data have other keys.
bench = scorer.wrap(0, *trained, profile["hidden"], place)
settings = scorer.settings_of("sparse_probing", profile["hidden"])
def key(of):
    return json.dumps(evaluations.key_fields("sparse_probing", bench, settings, of), sort_keys=True)
keys = [key(place)]
for pattern in ("model.safetensors", "test.parquet"):
    copy = base / pattern
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("artifacts"))
    path = sorted(copy.rglob(pattern))[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    keys.append(key(workplace.Workplace(copy, base, place.meta)))
bench.cfg.hook_name = "blocks.1.hook_resid_post"
keys.append(key(place))
found["keys"] = len(set(keys))

# Failures.
found["no text"] = failure(*trained, core_of(changed(core={"dataset": "nowhere"})), data, [])
lacking = changed(sparse_probing={"datasets": ["LabHC/bias_in_bios_class_set1"]})
found["no probing set"] = failure(*trained, lacking, data, [])
found["no hook"] = failure(*trained, core_of(profile, hook="ln_final.hook_scale"), data, [])
found["no data"] = failure(*trained, profile, None, [])
found["no meta"] = failure(*trained, profile, base, [])
encode = trained[0].encode
def broken(x):
    raise BrokenSAE("encode returned NaN or infinite latents")
trained[0].encode = broken
found["broken"] = failure(*trained, core_of(profile), data, [])
trained[0].encode = lambda x: encode(x)[:, :5]
found["narrow"] = failure(*trained, core_of(profile), data, [])
trained[0].encode = encode
class Silent(small.TopK):
    def encode(self, x):
        return super().encode(x) * (torch.arange(len(x)) % 7 > 0)[:, None]
silent = Silent(trained[0].w_enc, torch.zeros(128), 16)
zeros = small.Decoder(trained[1].W_dec, torch.zeros(128))
found["silent"] = scorer.score(silent, zeros, core_of(profile), data, [])
result = json.loads(max(place.scratch.glob("core-*/*.json"), key=lambda path: path.stat().st_mtime).read_text())
named = type("Named", (), {"name": "drifted"})
drifted = base / "drifted"
drifted.mkdir()
del result["eval_result_metrics"]["sparsity"]["l0"]
(drifted / "drifted_custom_sae_eval_results.json").write_text(json.dumps(result))
try:
    report.read_results("core", drifted, named, evaluations.CORE, report.BenchOutput())
except CannotEvaluate as e:
    found["drift"] = str(e)

# What is skipped, and the probes that come as a package.
best = [{"name": "topk", "seed": 0, "setting": 16, "metrics": {"l0": 16.0, "ce_score": 2.0, "explained_variance": 1.0}}]
os.environ.pop("OPENAI_API_KEY", None)
on_demand = ["absorption", "unlearning", "autointerp", "sparse_probing_sae_probes"]
plan = {"every_run": ["core"], "when_not_dominated": ["sparse_probing"], "on_demand": on_demand}
staged = {**profile, "hidden": {**profile["hidden"], "evaluations": plan}}
found["dominated"] = scorer.score(*untrained, staged, data, best)["skipped"]
small_set = changed(sparse_probing_sae_probes={"datasets": ["105_click_bait"]})
asked = {**small_set, "hidden": {**small_set["hidden"], "evaluations": plan}}
every = scorer.score(*trained, asked, data, best, also=on_demand)
found["asked"] = every["skipped"]
found["sae_probes"] = [every["sae_probes_top_1"], every["sae_probes_top_5"], every["sae_probes_model"]]
found["files"] = sorted({path.relative_to(data).parts[0] for path in data.rglob("*") if path.is_file()})
found["home"] = sorted(str(path) for path in Path.home().rglob("*"))
found["scratch"] = str(place.scratch)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    base = tmp_path_factory.mktemp("score")
    home = base / "home"
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_HOME": str(base / "data" / "hub_home"),
        "HF_HUB_OFFLINE": "1",
        "JAXTYPING_DISABLE": "1",
        "PYTHONPATH": f"{SEALED}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", MEASURE, str(base)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False, cwd=base)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_trained_sae_beats_a_random_one(found: dict[str, Any]) -> None:
    trained, untrained = found["trained"], found["untrained"]
    assert trained["explained_variance"] > 0.8 > 0.4 > untrained["explained_variance"]
    assert 1 >= trained["ce_score"] > untrained["ce_score"] + 0.01
    assert trained["ce_loss_with_sae"] < untrained["ce_loss_with_sae"]
    assert trained["kl_with_sae"] < untrained["kl_with_sae"] and trained["mse"] < untrained["mse"]
    assert trained["cosine"] > untrained["cosine"]


def test_the_language_model_is_the_one_that_was_prepared(found: dict[str, Any]) -> None:
    """Its loss is that of the trained assets, far below that of unigrams, 5.9 nats."""
    assert 1.3 < found["trained"]["ce_loss_without_sae"] < 2.2
    assert found["trained"]["data_id"] == 7 and len(found["trained"]["model_hash"]) == 16


def test_sparsity_and_density_are_those_of_the_codes(found: dict[str, Any]) -> None:
    for result in (found["trained"], found["untrained"]):
        assert 15.5 < result["l0"] <= 16
        histogram = result["density_histogram"]
        assert sum(histogram["counts"]) + histogram["never"] == result["d_sae"] == 512
        assert result["alive_fraction"] == pytest.approx(1 - histogram["never"] / 512, abs=1e-6)
        assert result["dead_fraction"] == pytest.approx(1 - result["alive_fraction"])


def test_probes_are_above_chance(found: dict[str, Any]) -> None:
    trained = found["trained"]
    assert trained["probe_top_5"] > 0.55 and trained["probe_model_all"] > 0.6
    by_set = trained["probe_top_1_by_set"]
    assert sorted(by_set) == ["canrager/amazon_reviews_mcauley_1and5", "fancyzhx/ag_news"]
    assert trained["probe_top_1"] == pytest.approx(sum(by_set.values()) / 2, abs=1e-6)


def test_the_same_sae_scores_the_same_alone_or_beside_another(found: dict[str, Any]) -> None:
    for name, value in found["trained"].items():
        assert found["again"][name] == value, name


def test_the_next_sae_costs_no_probing_activations(found: dict[str, Any]) -> None:
    assert found["next"] == 0
    assert len(found["kept"][0]) == 1


def test_changed_sizes_seed_or_context_reuse_nothing(found: dict[str, Any]) -> None:
    assert [len(names) for names in found["kept"]] == [1, 2, 3, 4]
    assert all(tokens > 30_000 for tokens in found["recomputed"])


def test_weights_data_and_hook_are_in_the_key(found: dict[str, Any]) -> None:
    assert found["keys"] == 4


def test_damaged_artifacts_are_made_again(found: dict[str, Any]) -> None:
    assert found["damaged"] > 60_000


def test_text_that_is_missing_is_a_failed_evaluation(found: dict[str, Any]) -> None:
    """Core itself logs an error and returns nothing."""
    kind, reason = found["no text"]
    assert kind == "CannotEvaluate"
    assert (
        reason.startswith("sae_bench's core wrote no result; last it said: Failed to evaluate SAE")
        and "nowhere" in reason
    )


def test_a_probing_set_that_is_missing_is_named(found: dict[str, Any]) -> None:
    kind, reason = found["no probing set"]
    assert kind == "CannotEvaluate" and reason.startswith("sae_bench's sparse_probing failed")
    assert "LabHC/bias_in_bios" in reason


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no hook", "ln_final.hook_scale"),
        ("no data", "SCIENTIST_EVALUATION_DATA"),
        ("no meta", "prepare the data again"),
    ],
)
def test_a_wrong_profile_or_folder_is_named(found: dict[str, Any], name: str, says: str) -> None:
    kind, reason = found[name]
    assert kind == "CannotEvaluate" and says in reason


def test_a_broken_sae_is_the_saes_fault_though_core_swallows_it(found: dict[str, Any]) -> None:
    assert found["broken"] == ["BrokenSAE", "encode returned NaN or infinite latents"]
    assert found["narrow"][0] in ("BrokenSAE", "CannotEvaluate") and found["narrow"][1]


def test_a_changed_schema_names_the_missing_key(found: dict[str, Any]) -> None:
    assert "no number at sparsity.l0" in found["drift"] and "version 0.6.0" in found["drift"]


def test_a_cosine_with_a_zero_reconstruction_is_left_out(found: dict[str, Any]) -> None:
    """Core writes -1 for it, which is no cosine."""
    silent = found["silent"]
    assert silent["undefined"] == ["cosine"] and "cosine" not in silent
    assert found["trained"]["undefined"] == [] and found["trained"]["cosine"] > 0.9
    assert 12 < silent["l0"] < 15


def test_what_is_skipped_says_why(found: dict[str, Any]) -> None:
    skipped = found["dominated"]
    assert skipped["sparse_probing"].startswith("dominated: ce_score")
    assert skipped["unlearning"] == "on demand: evaluate.py --also unlearning"
    assert found["trained"]["skipped"]["absorption"] == "the profile does not name it"
    asked = found["asked"]
    assert "1B parameters, this one has 0.8 M" in asked["absorption"]
    assert "bio-forget-corpus" in asked["unlearning"]
    assert asked["autointerp"] == "needs OPENAI_API_KEY in the environment"
    assert sorted(asked) == ["absorption", "autointerp", "sparse_probing", "unlearning"]


def test_sae_probes_run_on_demand(found: dict[str, Any]) -> None:
    assert all(0.4 < value <= 1 for value in found["sae_probes"])


def test_the_process_is_left_as_it_was(found: dict[str, Any]) -> None:
    assert found["gradients"] is False and found["here"]
    assert not Path(found["scratch"]).exists()


def test_nothing_is_left_in_the_home_or_beside_the_data(found: dict[str, Any]) -> None:
    assert found["home"] == []
    assert found["files"] == ["artifacts", "data", "document_hashes.txt", "hub_home", "meta.json"]
