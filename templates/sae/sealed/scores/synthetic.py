"""Scores an SAE against the true features of a synthetic model.

Source of the scores: sae_lens.synthetic.evals.eval_sae_on_synthetic_data, sae-lens 6.54.12.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from data.plan import data_id_of, synthetic_fields
from data.store import Damaged, check_contents, reading
from data.synthetic import EVALUATION, StoredSamples, Stream, build_model
from encoder.decoder import Decoder
from encoder.faults import CannotEvaluate
from encoder.run_encoder import Encoder
from torch import Tensor

# The import below needs what the import of data.synthetic set up.
from sae_lens.synthetic.evals import ClassificationMetricsCalculator, eval_sae_on_synthetic_data  # isort: skip

BATCH = 4096


class Samples:
    """Passes samples on, and keeps the last ones."""

    def __init__(self, source: StoredSamples | Stream) -> None:
        self.source = source
        self.last = torch.empty(0)

    def sample(self, batch_size: int) -> Tensor:
        self.last = self.source.sample(batch_size)  # (batch, num_features)
        return self.last


class ScoredSAE:
    """An SAE with the methods that sae_lens's evaluation calls. It also counts right and wrong firings of latents."""

    def __init__(self, encoder: Encoder, decoder: Decoder, samples: Samples, features: Tensor) -> None:
        self.encoder, self.decoder, self.W_dec = encoder, decoder, decoder.W_dec
        self.samples = samples
        self.counts = ClassificationMetricsCalculator(decoder.W_dec, features)
        self.num_features = len(features)
        self.fired = torch.zeros(decoder.d_sae, dtype=torch.long)  # (d_sae,)
        self.rows = 0

    def eval(self) -> ScoredSAE:
        return self

    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder.encode(x)  # (batch, d_sae)
        self.fired += (z != 0).sum(dim=0)
        self.rows += len(z)
        self.counts.add_batch(z, self.samples.last)
        return z

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder.decode(z)  # (batch, d_in)

    def feature_f1(self) -> float:
        """Sum over true features of the F1 of the best latent nearest to each, over min(d_sae, num_features).

        A feature without a latent counts 0. Unlike the mean over latents, it does not rise if latents are copied.
        """
        c = self.counts
        f1 = 2 * c.tp / (2 * c.tp + c.fp + c.fn).clamp(min=1)  # (d_sae,)
        best = torch.zeros(self.num_features).scatter_reduce(0, c.best_matches, f1, "amax")  # (num_features,)
        return best.sum().item() / min(self.num_features, len(f1))


@torch.no_grad()
def score(
    encoder: Encoder, decoder: Decoder, profile: dict[str, Any], data_folder: Path | None, eval_seed: int = 0
) -> dict[str, Any]:
    """All scores on profile["hidden"]["eval_samples"] samples: those of data_folder, or drawn anew without one.

    f1: see feature_f1. latent_f1, precision, recall: sae_lens's mean over all latents (dead ones count 0), each taken
    as a detector of the true feature nearest to its decoder direction. mcc: mean |cos| of the best one-to-one matching.
    Range of all: [0, 1].
    Raises: BrokenSAE, CannotEvaluate.
    """
    samples, data_id = profile["hidden"]["eval_samples"], data_id_of(synthetic_fields(profile))
    source = read_samples(data_folder, data_id) if data_folder and not eval_seed else None
    model = build_model(profile)
    stream = Samples(source or Stream(model, EVALUATION, eval_seed))
    candidate = ScoredSAE(encoder, decoder, stream, model.feature_dict.feature_vectors)
    result = eval_sae_on_synthetic_data(candidate, model.feature_dict, stream, num_samples=samples, batch_size=BATCH)
    return {
        "f1": candidate.feature_f1(),
        "latent_f1": result.classification.f1_score,
        "precision": result.classification.precision,
        "recall": result.classification.recall,
        "mcc": result.mcc,
        "uniqueness": result.uniqueness,
        "l0": result.sae_l0,
        "true_l0": result.true_l0,
        "explained_variance": result.explained_variance,
        "shrinkage": result.shrinkage,
        "dead_fraction": result.dead_latents / decoder.d_sae,
        "alive_fraction": 1.0 - result.dead_latents / decoder.d_sae,
        "alive_latents": decoder.d_sae - result.dead_latents,
        "d_sae": decoder.d_sae,
        "density": density_histogram(candidate.fired.double() / candidate.rows),
        "data_id": data_id,
        "eval_samples": samples,
        "eval_seed": eval_seed,
    }


def read_samples(folder: Path, data_id: int) -> StoredSamples:
    """Read the prepared samples.

    Raises: CannotEvaluate if they are missing, damaged, or those of another profile.
    """
    try:
        with reading(folder):
            check_contents(folder)
            found = json.loads((folder / "meta.json").read_text())["data_id"]
            stored = StoredSamples(folder)
    except (Damaged, OSError, ValueError, KeyError) as e:
        raise CannotEvaluate(f"the evaluation's data cannot be read ({e}): prepare the data again") from e
    if found != data_id:
        raise CannotEvaluate(f"the evaluation's data {folder} is that of another profile: prepare the data again")
    return stored


def density_histogram(density: Tensor) -> dict[str, list[float]]:
    """Number of latents by log10 of the share of rows on which they fire: ten bins from 1e-5 to 1, and "silent".

    Shapes: density (d_sae,).
    """
    edges = torch.linspace(-5.0, 0.0, 11, dtype=torch.float64)  # (11,)
    alive = density[density > 0].log10().clamp(-5.0, 0.0)
    counts = torch.histogram(alive, edges).hist
    return {"log10_edges": edges.tolist(), "counts": counts.tolist(), "silent": [float((density == 0).sum())]}
