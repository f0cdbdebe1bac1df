"""Scores SAEs on a language model with sae_bench 0.6.0: a cascade of its evaluations, returned as flat metrics.

    score(encoder, decoder, profile, data_folder, baselines) -> {"explained_variance": ..., "skipped": {...}, ...}
    score_many([(encoder, decoder), ...], ...) -> the same for each, with one language model in memory

Core runs for every SAE. The evaluations under when_not_dominated run for SAEs that are not dominated
(bench/cascade.py), and the rest if they are asked for by name. "skipped" names every other evaluation with its reason.
Shapes: see BenchSAE.

Definitions. explained_variance is core's `explained_variance_legacy`, the mean over tokens of 1 - |x - x_hat|^2 /
|x - mean(x)|^2, with the mean over a batch. Core's own `explained_variance` is not centred. mse is sae_bench's: the
squared error of a token over the number of tokens in a batch. ce_score is the share of the loss added by ablation that
the SAE recovers. BOS, EOS and PAD are kept as they are and not counted. probe_* is accuracy, the mean over classes and
data sets. All sums are float32.

Resolutions at the sizes in SETTINGS: twice the standard deviation, over four evaluation texts, of the difference of
two TopK SAEs of one configuration, on the project's model: explained_variance 0.0004, ce_score 0.0003, ce_loss_with_sae
0.0025, kl_with_sae 0.0014, cosine 0.0002, mse 0.0002, alive_fraction 0.008, probe_top_1 0.02, probe_top_2 0.02,
probe_top_5 0.03, probe_all 0.02. The same SAE on the same text scores the same.
Raises: BrokenSAE if the SAE is at fault, CannotEvaluate if the profile, the data or sae_bench is.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from bench import cascade
from bench.bench_sae import BenchSAE
from bench.evaluations import EVALUATIONS, instruct_model
from bench.workplace import HUB, Workplace, open_workplace
from encoder.decoder import Decoder
from encoder.faults import CannotEvaluate
from encoder.run_encoder import Encoder

SETTINGS: dict[str, dict[str, Any]] = {
    "core": {"batch_prompts": 16, "reconstruction_batches": 6, "variance_batches": 16},
    "sparse_probing": {
        "datasets": ["fancyzhx/ag_news", "canrager/amazon_reviews_mcauley_1and5"],
        "train_size": 240,
        "test_size": 160,
    },
    "sparse_probing_sae_probes": {"datasets": []},
    "absorption": {},
    "unlearning": {},
    "autointerp": {},
}
FORGET = "sae_bench/evals/unlearning/data/bio-forget-corpus.jsonl"  # the path at which unlearning looks for it


def score(
    encoder: Encoder,
    decoder: Decoder,
    profile: dict[str, Any],
    data_folder: Path | None,
    baselines: Collection[dict[str, Any]],
    also: Collection[str] = (),
) -> dict[str, Any]:
    """All metrics of one SAE. `also` names evaluations to run even if the cascade would skip them."""
    return score_many([(encoder, decoder)], profile, data_folder, baselines, also)[0]


def score_many(
    saes: Sequence[tuple[Encoder, Decoder]],
    profile: dict[str, Any],
    data_folder: Path | None,
    baselines: Collection[dict[str, Any]],
    also: Collection[str] = (),
) -> list[dict[str, Any]]:
    """All metrics of several SAEs of one profile."""
    hidden = profile["hidden"]
    plan = cascade.read_plan(hidden, also)
    place = open_workplace(data_folder)
    with place.entered():
        benches = [wrap(index, *pair, hidden, place) for index, pair in enumerate(saes)]
        results = [first_facts(sae, hidden, place) for sae in benches]
        for name in EVALUATIONS:  # core first
            chosen = []
            for sae, result in zip(benches, results, strict=True):
                reason = skip_reason(name, sae, result, plan, baselines, also, place)
                if reason:
                    result["skipped"][name] = reason
                else:
                    chosen.append((sae, result))
            if chosen:
                settings = settings_of(name, hidden)
                found = EVALUATIONS[name]([sae for sae, _ in chosen], settings, place)
                for (_, result), metrics in zip(chosen, found, strict=True):
                    result.update(metrics)
                    result["settings"][name] = settings
    return results


def wrap(index: int, encoder: Encoder, decoder: Decoder, hidden: dict[str, Any], place: Workplace) -> BenchSAE:
    """The SAE as sae_bench wants it, under a name that no other SAE has.

    Raises: CannotEvaluate if the hook is in no block.
    """
    import torch

    found = re.match(r"blocks\.(\d+)\.", hidden["hook"])  # blocks.12.hook_resid_post
    if not found:
        raise CannotEvaluate(f"hidden.hook {hidden['hook']} is in no block, as sae_bench needs it")
    code = hashlib.sha256(decoder.W_dec.cpu().numpy().tobytes()).hexdigest()[:12]
    return BenchSAE(
        f"sae_{index}_{code}_{os.getpid()}",
        encoder,
        decoder,
        scale=place.meta["scale"],
        model=short_name(hidden["model"]["name"]),
        hook=hidden["hook"],
        layer=int(found.group(1)),
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def short_name(model: str) -> str:
    """The name by which sae_bench's tables know a model."""
    return model.rsplit("/", 1)[-1]


def first_facts(sae: BenchSAE, hidden: dict[str, Any], place: Workplace) -> dict[str, Any]:
    return {
        "d_sae": sae.cfg.d_sae,
        "data_id": place.meta["data_id"],
        "model_hash": place.weights[:16],
        "model": hidden["model"]["name"],
        "hook": hidden["hook"],
        "skipped": {},
        "settings": {},
    }


def settings_of(name: str, hidden: dict[str, Any]) -> dict[str, Any]:
    """Settings of an evaluation: hidden.evaluation[name] over SETTINGS."""
    given = hidden.get("evaluation", {})
    common = {
        "context": hidden["context"],
        "dataset": "evaluation_text",
        "dtype": "float32",
        "model_batch": 32,
        "seed": 42,
    }
    return {**common, **SETTINGS[name], **given.get(name, {})}


def skip_reason(
    name: str,
    sae: BenchSAE,
    result: dict[str, Any],
    plan: dict[str, Any],
    baselines: Collection[dict[str, Any]],
    also: Collection[str],
    place: Workplace,
) -> str | None:
    """The reason why this SAE does not get this evaluation. None if it does."""
    if name in also or name in plan["every_run"]:
        reason = None
    elif name in plan["when_not_dominated"]:
        reason = cascade.dominated(result, plan, baselines)
    else:
        return f"on demand: evaluate.py --also {name}" if name in plan["on_demand"] else "the profile does not name it"
    if reason is None and name in NEEDS:
        reason = NEEDS[name](sae, place)
    if reason is None and name == "absorption":
        reason = cascade.absorption_is_void(result, plan, baselines)
    return reason


# ------------------------------------------------------------------------------------------------------ what they need


def absorption_needs(sae: BenchSAE, place: Workplace) -> str | None:
    from transformer_lens.loading_from_pretrained import get_pretrained_model_config

    config = get_pretrained_model_config(sae.cfg.model_name)
    return cascade.absorption_means_nothing(config.n_params, sae.cfg.d_sae)


def sae_probes_need(sae: BenchSAE, place: Workplace) -> str | None:
    from sae_probes.constants import DATA_PATH

    folder = Path(DATA_PATH) / "cleaned_data"
    return None if any(folder.glob("*.csv.zst")) else f"needs the data sets of the package sae_probes in {folder}"


def unlearning_needs(sae: BenchSAE, place: Workplace) -> str | None:
    corpus, model = place.data / "data" / FORGET, instruct_model(sae.cfg.model_name)
    if not corpus.is_file():
        return f"needs the gated corpus bio-forget-corpus as {corpus}"
    from transformer_lens.loading_from_pretrained import get_official_model_name

    try:
        official = get_official_model_name(model)
    except ValueError:
        return f"needs an instruct-tuned model, and transformer_lens knows no {model}"
    from huggingface_hub import try_to_load_from_cache

    if isinstance(try_to_load_from_cache(official, "config.json"), str):
        return None
    return f"needs the model {official} on this machine"


def autointerp_needs(sae: BenchSAE, place: Workplace) -> str | None:
    if not os.environ.get("OPENAI_API_KEY"):
        return "needs OPENAI_API_KEY in the environment"
    return None if not (place.data / HUB).is_dir() else "needs the hub's text: this profile's data is made offline"


NEEDS = {
    "absorption": absorption_needs,
    "sparse_probing_sae_probes": sae_probes_need,
    "unlearning": unlearning_needs,
    "autointerp": autointerp_needs,
}
