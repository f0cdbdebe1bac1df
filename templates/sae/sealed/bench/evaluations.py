"""sae_bench's evaluations, each for a list of SAEs: settings -> flat metrics, or the reason why it failed.

Every function here calls sae_bench 0.6.0 itself, makes it run again even if results lie there, and reads the file that
it writes. The evaluation failed if there is no file or a key is missing: core logs an error and goes on, and absorption
may write nothing. Models and losses are float32 unless `settings` name a dtype for the language model's activations.
These are the settings that each of them reads:

core                        context, batch_prompts, reconstruction_batches, variance_batches
sparse_probing              context, datasets, train_size, test_size, model_batch, dtype, seed
sparse_probing_sae_probes   datasets (of the package sae_probes), seed
absorption                  model_batch, dtype, seed
unlearning, autointerp      model_batch, dtype, seed, and the rest as sae_bench sets it
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from bench.bench_sae import BenchSAE, raw_units
from bench.report import read_results, reported
from bench.workplace import Workplace
from encoder.faults import BrokenSAE

VERSIONS = ("sae-bench", "sae-probes", "transformer-lens", "transformers", "torch")
CORE = {
    "explained_variance": "reconstruction_quality.explained_variance_legacy",  # the other one is not centred
    "explained_variance_uncentred": "reconstruction_quality.explained_variance",
    "mse": "reconstruction_quality.mse",
    "cosine": "reconstruction_quality.cossim",
    "ce_score": "model_performance_preservation.ce_loss_score",
    "ce_loss_with_sae": "model_performance_preservation.ce_loss_with_sae",
    "ce_loss_without_sae": "model_performance_preservation.ce_loss_without_sae",
    "ce_loss_with_ablation": "model_performance_preservation.ce_loss_with_ablation",
    "kl_score": "model_behavior_preservation.kl_div_score",
    "kl_with_sae": "model_behavior_preservation.kl_div_with_sae",
    "l0": "sparsity.l0",
    "l1": "sparsity.l1",
    "l2_ratio": "shrinkage.l2_ratio",
    "reconstruction_bias": "shrinkage.relative_reconstruction_bias",
    "alive_fraction": "misc_metrics.frac_alive",
    "dense_fraction": "misc_metrics.freq_over_10_percent",
    "max_decoder_cosine": "misc_metrics.average_max_decoder_cosine_sim",
    "tokens_reconstruction": "token_stats.total_tokens_eval_reconstruction",
    "tokens_variance": "token_stats.total_tokens_eval_sparsity_variance",
}
PROBING = {
    "probe_top_1": "sae.sae_top_1_test_accuracy",
    "probe_top_2": "sae.sae_top_2_test_accuracy",
    "probe_top_5": "sae.sae_top_5_test_accuracy",
    "probe_all": "sae.sae_test_accuracy",
    "probe_model_top_1": "llm.llm_top_1_test_accuracy",
    "probe_model_top_5": "llm.llm_top_5_test_accuracy",
    "probe_model_all": "llm.llm_test_accuracy",
}
SAE_PROBES = {
    "sae_probes_top_1": "sae.sae_top_1_test_accuracy",
    "sae_probes_top_5": "sae.sae_top_5_test_accuracy",
    "sae_probes_auc_top_5": "sae.sae_top_5_test_auc",
    "sae_probes_model": "llm.llm_test_accuracy",
}
ABSORPTION = {
    "absorption_mean": "mean.mean_absorption_fraction_score",
    "absorption_full": "mean.mean_full_absorption_score",
    "absorption_splits": "mean.mean_num_split_features",
}
UNLEARNING = {"unlearning": "unlearning.unlearning_score"}
AUTOINTERP = {"autointerp": "autointerp.autointerp_score", "autointerp_sd": "autointerp.autointerp_std_dev"}
NEEDED = {"explained_variance", "ce_score", "ce_loss_with_sae", "l0", "alive_fraction"}
NOT_A_NUMBER = -1.0  # core writes it for NaN, for example the cosine with a reconstruction that is zero
HISTOGRAM = (-6, -5, -4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0)  # log10 of a latent's share of tokens


def core(saes: Sequence[BenchSAE], settings: dict[str, Any], place: Workplace) -> list[dict[str, Any]]:
    """Reconstruction, sparsity and the loss that the language model takes from it."""
    from sae_bench.evals.core import main

    folder = place.fresh("core")
    with reported("core", saes) as report:
        main.multiple_evals(
            [(sae.name, sae) for sae in saes],
            n_eval_reconstruction_batches=settings["reconstruction_batches"],
            n_eval_sparsity_variance_batches=settings["variance_batches"],
            eval_batch_size_prompts=settings["batch_prompts"],
            compute_featurewise_density_statistics=True,
            compute_featurewise_weight_based_metrics=True,
            exclude_special_tokens_from_reconstruction=True,
            dataset=settings["dataset"],
            context_size=settings["context"],
            output_folder=str(folder),
            dtype="float32",
            device=str(saes[0].device),
            force_rerun=True,
        )
    results = []
    for sae in saes:
        content, metrics = read_results("core", folder, sae, CORE, report)
        density = [latent["feature_density"] for latent in content["eval_result_details"]]
        undefined = [name for name, value in metrics.items() if value == NOT_A_NUMBER]
        if broken := sorted(NEEDED & set(undefined)):
            raise BrokenSAE(f"sae_bench's core found no number for {', '.join(broken)}: are all latents dead?")
        for name in undefined:
            del metrics[name]
        metrics["dead_fraction"] = 1 - metrics["alive_fraction"]
        results.append({**metrics, "density_histogram": histogram(density), "undefined": undefined})
    return results


def histogram(density: Sequence[float]) -> dict[str, Any]:
    """Latents by log10 of their share of tokens: counts between edges, those below the first edge in the first bin."""
    import torch

    alive = torch.tensor([value for value in density if value > 0], dtype=torch.float64)
    bins = torch.bucketize(alive.log10(), torch.tensor(HISTOGRAM[1:-1], dtype=torch.float64))
    counts = torch.bincount(bins, minlength=len(HISTOGRAM) - 1)
    return {"log10_edges": list(HISTOGRAM), "counts": counts.tolist(), "never": len(density) - len(alive)}


def sparse_probing(saes: Sequence[BenchSAE], settings: dict[str, Any], place: Workplace) -> list[dict[str, Any]]:
    """Accuracy of linear probes on one, two, five and all latents, mean over classes and data sets."""
    import torch
    from sae_bench.custom_saes.identity_sae import IdentitySAE
    from sae_bench.evals.sparse_probing import main
    from sae_bench.evals.sparse_probing.eval_config import SparseProbingEvalConfig

    config = SparseProbingEvalConfig(
        model_name=saes[0].cfg.model_name,
        random_seed=settings["seed"],
        dataset_names=settings["datasets"],
        probe_train_set_size=settings["train_size"],
        probe_test_set_size=settings["test_size"],
        context_length=settings["context"],
        llm_batch_size=settings["model_batch"],
        llm_dtype=settings["dtype"],
        k_values=[1, 2, 5],
    )
    folder = place.fresh("sparse_probing")
    with (
        place.artifacts(key_fields("sparse_probing", saes[0], settings, place)) as artifacts,
        reported("sparse_probing", saes) as report,
    ):
        device, where = saes[0].device, {"force_rerun": True, "artifacts_path": str(artifacts)}
        if not artifacts.is_dir():  # made apart: making them draws from the random numbers of the SAE's probes
            cfg = saes[0].cfg
            identity = IdentitySAE(cfg.d_in, cfg.model_name, cfg.hook_layer, device, torch.float32, cfg.hook_name)
            main.run_eval(config, [("identity", identity)], str(device), str(folder), **where)
        main.run_eval(config, [(sae.name, sae) for sae in saes], str(device), str(folder), **where)
    results = []
    for sae in saes:
        content, metrics = read_results("sparse_probing", folder, sae, PROBING, report)
        details = content["eval_result_details"]
        sets = {one["dataset_name"].removesuffix("_results"): one["sae_top_1_test_accuracy"] for one in details}
        results.append({**metrics, "probe_top_1_by_set": sets})
    return results


def sparse_probing_sae_probes(
    saes: Sequence[BenchSAE], settings: dict[str, Any], place: Workplace
) -> list[dict[str, Any]]:
    """Probes on the last token, on the data sets that come with the package sae_probes."""
    from sae_bench.evals.sparse_probing_sae_probes import main
    from sae_bench.evals.sparse_probing_sae_probes.eval_config import SparseProbingSaeProbesEvalConfig

    folder = place.fresh("sae_probes")
    datasets = {"dataset_names": settings["datasets"]} if settings.get("datasets") else {}
    with (
        place.artifacts(key_fields("sae_probes", saes[0], settings, place)) as artifacts,
        reported("sparse_probing_sae_probes", saes) as report,
    ):
        config = SparseProbingSaeProbesEvalConfig(
            model_name=saes[0].cfg.model_name,
            random_seed=settings["seed"],
            results_path=str(folder / "probes"),
            model_cache_path=str(artifacts),
            **datasets,
        )
        main.run_eval(config, [(sae.name, sae) for sae in saes], str(saes[0].device), str(folder), force_rerun=True)
    return [read_results("sparse_probing_sae_probes", folder, sae, SAE_PROBES, report)[1] for sae in saes]


def absorption(saes: Sequence[BenchSAE], settings: dict[str, Any], place: Workplace) -> list[dict[str, Any]]:
    """Share of tokens that a first letter's latent leaves to latents of single words. Lower is better."""
    folder, results = place.fresh("absorption"), place.scratch / "absorption_results"
    common = importlib.import_module("sae_bench.evals.absorption.common")
    # Else it would write beside its own code, under names without the weights. The modules below copy these values.
    common.RESULTS_DIR, common.PROBES_DIR = results, results / "probes"
    main = importlib.import_module("sae_bench.evals.absorption.main")
    from sae_bench.evals.absorption.eval_config import AbsorptionEvalConfig

    config = AbsorptionEvalConfig(
        model_name=saes[0].cfg.model_name,
        random_seed=settings["seed"],
        llm_batch_size=settings["model_batch"],
        llm_dtype=settings["dtype"],
    )
    with (
        place.artifacts(key_fields("absorption", saes[0], settings, place)) as artifacts,
        reported("absorption", saes) as report,
        raw_units(saes),
    ):
        if artifacts.is_dir():
            shutil.copytree(artifacts, results / "probes", dirs_exist_ok=True)
        main.run_eval(config, [(sae.name, sae) for sae in saes], str(saes[0].device), str(folder), force_rerun=True)
        if not artifacts.is_dir() and (results / "probes").is_dir():
            shutil.copytree(results / "probes", artifacts)
    return [read_results("absorption", folder, sae, ABSORPTION, report)[1] for sae in saes]


def unlearning(saes: Sequence[BenchSAE], settings: dict[str, Any], place: Workplace) -> list[dict[str, Any]]:
    """Share of a dangerous subject that is lost, with little else, if latents are clamped. Higher is better."""
    from sae_bench.evals.unlearning import main
    from sae_bench.evals.unlearning.eval_config import UnlearningEvalConfig

    folder = place.fresh("unlearning")
    config = UnlearningEvalConfig(
        model_name=instruct_model(saes[0].cfg.model_name),
        random_seed=settings["seed"],
        llm_batch_size=settings["model_batch"],
        llm_dtype=settings["dtype"],
    )
    with reported("unlearning", saes) as report, raw_units(saes):
        artifacts = str(place.scratch / "unlearning_artifacts")
        named = [(sae.name, sae) for sae in saes]
        main.run_eval(config, named, str(saes[0].device), str(folder), force_rerun=True, artifacts_path=artifacts)
    return [read_results("unlearning", folder, sae, UNLEARNING, report)[1] for sae in saes]


def autointerp(saes: Sequence[BenchSAE], settings: dict[str, Any], place: Workplace) -> list[dict[str, Any]]:
    """Accuracy with which a language model's explanations of latents predict the tokens on which they fire."""
    from sae_bench.evals.autointerp import main
    from sae_bench.evals.autointerp.eval_config import AutoInterpEvalConfig

    folder = place.fresh("autointerp")
    config = AutoInterpEvalConfig(
        model_name=saes[0].cfg.model_name,
        random_seed=settings["seed"],
        llm_batch_size=settings["model_batch"],
        llm_dtype=settings["dtype"],
    )
    with reported("autointerp", saes) as report:
        artifacts = str(place.scratch / "autointerp_artifacts")
        named, key = [(sae.name, sae) for sae in saes], os.environ["OPENAI_API_KEY"]
        main.run_eval(config, named, str(saes[0].device), key, str(folder), force_rerun=True, artifacts_path=artifacts)
    return [read_results("autointerp", folder, sae, AUTOINTERP, report)[1] for sae in saes]


EVALUATIONS: dict[str, Callable[[Sequence[BenchSAE], dict[str, Any], Workplace], list[dict[str, Any]]]] = {
    "core": core,
    "sparse_probing": sparse_probing,
    "sparse_probing_sae_probes": sparse_probing_sae_probes,
    "absorption": absorption,
    "unlearning": unlearning,
    "autointerp": autointerp,
}


def key_fields(name: str, sae: BenchSAE, settings: dict[str, Any], place: Workplace) -> dict[str, Any]:
    """Everything on which the language model's share of an evaluation depends."""
    return {
        "evaluation": name,
        "model": sae.cfg.model_name,
        "weights": place.weights,
        "hook": sae.cfg.hook_name,
        "data": place.data_hash,
        "settings": settings,
        "device": sae.device.type,
        "versions": {package: importlib.metadata.version(package) for package in VERSIONS},
    }


def instruct_model(name: str) -> str:
    """The chat model of a base model, which unlearning needs."""
    return f"{name}-it"
