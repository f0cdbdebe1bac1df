"""sealed/data/plan.py: keys that change with all that matters, and profiles that are refused, without torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data import plan
from data.plan import ProfileRefused

from tests.templates.sae.data.small_model import small_profile
from tests.templates.sae.profiles import PROFILES, changed, profile_of


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_profiles_can_be_asked_for(path: Path) -> None:
    profile = plan.read_profile(path)
    hidden = profile["hidden"]
    if "assets" not in hidden.get("model", {}):
        plan.check_profile(profile)
    rows = hidden["rows"] if hidden["source"] == "synthetic" else hidden["tokens"]
    assert rows >= profile["steps"] * profile["batch_size"]


SYNTHETIC_CHANGES = [
    ("dtype", "float32"),
    ("hidden.rows", 5),
    ("hidden.eval_samples", 5),
    ("hidden.synthetic.seed", 8),
    ("hidden.synthetic.hierarchy.max_depth", 2),
    ("hidden.synthetic.correlation", None),
]
MODEL_CHANGES = [
    ("dtype", "bfloat16"),
    ("hidden.model.name", "EleutherAI/pythia-160m"),
    ("hidden.model.dtype", "bfloat16"),
    ("hidden.hook", "blocks.1.hook_resid_post"),
    ("hidden.dataset.seed", 1),
    ("hidden.dataset.split", "other"),
    ("hidden.context", 64),
    ("hidden.bos", "none"),
    ("hidden.tokens", 5),
    ("hidden.batch_prompts", 5),
    ("hidden.shuffle_seed", 5),
    ("hidden.evaluation", {"documents": 12345}),
]


def fields(profile: dict[str, Any], weights: str = "w") -> dict[str, Any]:
    if profile["hidden"]["source"] == "synthetic":
        return plan.synthetic_fields(profile)
    return plan.language_model_fields(profile, weights)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [*(("synth", *change) for change in SYNTHETIC_CHANGES), *(("tiny", *change) for change in MODEL_CHANGES)],
)
def test_a_key_changes_with_each_field_that_matters(name: str, path: str, value: Any) -> None:
    before, after = fields(profile_of(name)), fields(changed(profile_of(name), path, value))
    assert plan.key_of(before) != plan.key_of(after)
    assert plan.data_id_of(before) != plan.data_id_of(after)


def test_a_key_changes_with_the_weights() -> None:
    assert plan.key_of(fields(profile_of("tiny"), "a")) != plan.key_of(fields(profile_of("tiny"), "b"))


@pytest.mark.parametrize("path", ["steps", "batch_size", "d_sae", "k", "threads"])
@pytest.mark.parametrize("name", ["synth", "tiny"])
def test_what_only_training_uses_leaves_the_key_alone(name: str, path: str) -> None:
    before, after = fields(profile_of(name)), fields(changed(profile_of(name), path, 3))
    assert plan.key_of(before) == plan.key_of(after)


def test_a_data_id_is_exact_in_json_and_float64() -> None:
    data_id = plan.data_id_of(fields(profile_of("synth")))
    assert 0 <= data_id < 1 << 48 and int(float(data_id)) == data_id == json.loads(json.dumps(data_id))


def test_weights_of_assets_are_hashed_by_content(tmp_path: Path) -> None:
    model = {"assets": str(tmp_path)}
    hashes = set()
    for content in (b"1", b"2"):
        (tmp_path / "model.safetensors").write_bytes(content)
        hashes.add(plan.weights_of(model))
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    hashes.add(plan.weights_of(model))
    (tmp_path / "make.py").write_bytes(b"no part of the model")
    assert len(hashes | {plan.weights_of(model)}) == 3


def test_weights_of_a_hub_model_are_the_commit_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert plan.weights_of({"name": "google/gemma-2-2b"}) is None
    reference = tmp_path / "hub" / "models--google--gemma-2-2b" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text("0123abc\n")
    assert plan.weights_of({"name": "google/gemma-2-2b"}) == "0123abc"


REFUSALS: list[tuple[str, str, Any, str]] = [
    ("synth", "d_sae", 0, "d_sae: 0 is impossible; give a whole number from 1 on"),
    ("synth", "d_sae", ..., "d_sae: it is missing; give a whole number from 1 on"),
    ("synth", "k", 257, "k: 257 active latents of d_sae 256 cannot be; choose k from 1 to d_sae"),
    ("synth", "k", 0, "k: 0 is impossible; give a whole number from 1 on"),
    ("synth", "k", 6.5, "k: 6.5 is impossible; give a whole number from 1 on"),
    ("synth", "steps", True, "steps: True is impossible; give a whole number from 1 on"),
    ("synth", "d_in", 32, "d_in: 32, but hidden.synthetic.hidden_dim is 64; make them equal"),
    ("synth", "dtype", "int8", "dtype: 'int8' is unknown; choose one of float16, bfloat16, float32"),
    ("synth", "hidden.source", "web", "hidden.source: 'web' is unknown; choose one of synthetic, language_model"),
    ("synth", "hidden.rows", -1, "hidden.rows: -1 is impossible; give a whole number from 1 on"),
    ("synth", "hidden.synthetic", ..., "hidden.synthetic: it is missing or no object; add it"),
    ("small", "hidden.context", 1, "hidden.context: 1 is impossible; give a whole number from 2 on"),
    ("small", "hidden.tokens", 0, "hidden.tokens: 0 is impossible; give a whole number from 1 on"),
    ("small", "hidden.bos", "all", "hidden.bos: 'all' is unknown; choose one of each_context, none"),
    ("small", "hidden.hook", "", "hidden.hook: it is missing or no text; add it"),
    ("small", "hidden.model.name", ..., "hidden.model.name: it is missing or no text; add it"),
    ("small", "hidden.model.assets", "nowhere", "hidden.model.assets: "),
    ("small", "hidden.dataset", {"split": "train"}, "hidden.dataset: it must have one of name"),
    ("small", "hidden.dataset.generator", "text", "hidden.dataset: it must have one of name"),
]


@pytest.mark.parametrize(("name", "path", "value", "line"), REFUSALS)
def test_an_impossible_profile_is_refused_by_its_field(
    tmp_path: Path, name: str, path: str, value: Any, line: str
) -> None:
    (tmp_path / "config.json").write_text("{}")
    profile = profile_of("synth") if name == "synth" else small_profile(tmp_path, tmp_path)
    plan.check_profile(profile)
    with pytest.raises(ProfileRefused) as caught:
        plan.check_profile(changed(profile, path, value))
    assert str(caught.value).startswith(line) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("write", "line"),
    [
        (lambda path: None, "--profile: "),
        (lambda path: path.write_text("{"), "--profile: "),
        (lambda path: path.write_text("[]"), "hidden: "),
        (lambda path: path.write_text('{"k": 1}'), "hidden: "),
    ],
)
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, write: Callable[[Path], Any], line: str) -> None:
    write(tmp_path / "profile.json")
    with pytest.raises(ProfileRefused, match=f"^{line}"):
        plan.read_profile(tmp_path / "profile.json")
