"""Scores an SAE against the true features of a synthetic model.

Source of the scores: sae_lens.synthetic.evals.eval_sae_on_synthetic_data, sae-lens 6.54.12.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from activation_cache import Damaged, check_contents, reading
from data_plan import data_id_of, synthetic_fields
from decoder import Decoder
from encoder import Encoder
from encoder_faults import CannotEvaluate
from synthetic import EVALUATION, StoredSamples, Stream, build_model
from torch import Tensor

# The import below needs what `import synthetic` set up.
from sae_lens.synthetic.evals import eval_sae_on_synthetic_data  # isort: skip

BATCH = 4096


class Candidate:
    """What sae_lens's evaluation asks of an SAE; counts how often each latent fires on the way."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        self.encoder, self.decoder, self.W_dec = encoder, decoder, decoder.W_dec
        self.fired = torch.zeros(decoder.d_sae, dtype=torch.long)  # (d_sae,)
        self.rows = 0

    def eval(self) -> Candidate:
        return self

    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder.encode(x)  # (batch, d_sae)
        self.fired += (z != 0).sum(dim=0)
        self.rows += len(z)
        return z

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder.decode(z)  # (batch, d_in)


@torch.no_grad()
def score(
    encoder: Encoder, decoder: Decoder, profile: dict[str, Any], data_folder: Path | None, eval_seed: int = 0
) -> dict[str, Any]:
    """All scores on profile["hidden"]["eval_samples"] samples: those of data_folder, or drawn anew without one.

    f1, precision, recall: mean over all latents (dead ones count 0) of the latent as a detector of the true feature
    nearest to its decoder direction. mcc: mean |cos| of the best one-to-one matching. Range of both: [0, 1].
    Raises: BrokenSAE, CannotEvaluate.
    """
    samples, data_id = profile["hidden"]["eval_samples"], data_id_of(synthetic_fields(profile))
    source = read_samples(data_folder, data_id) if data_folder and not eval_seed else None
    model = build_model(profile)
    candidate = Candidate(encoder, decoder)
    stream = source or Stream(model, EVALUATION, eval_seed)
    result = eval_sae_on_synthetic_data(candidate, model.feature_dict, stream, num_samples=samples, batch_size=BATCH)
    return {
        "f1": result.classification.f1_score,
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
    """The prepared samples.

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
    """Latents by log10 of the share of rows on which they fire: ten bins from 1e-5 to 1, those that never fire apart.

    Shapes: density (d_sae,).
    """
    edges = torch.linspace(-5.0, 0.0, 11, dtype=torch.float64)  # (11,)
    alive = density[density > 0].log10().clamp(-5.0, 0.0)
    counts = torch.histogram(alive, edges).hist
    return {"log10_edges": edges.tolist(), "counts": counts.tolist(), "silent": [float((density == 0).sum())]}
