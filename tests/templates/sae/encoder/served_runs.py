"""A small run folder for tests of the evaluation: 24 true features in 32 dimensions, and an encoder that knows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROFILE: dict[str, Any] = {
    "threads": 1,
    "steps": 1,
    "batch_size": 512,
    "d_in": 32,
    "d_sae": 24,
    "k": 4,
    "dtype": "float16",
    "hidden": {
        "source": "synthetic",
        "rows": 1024,
        "eval_samples": 2048,
        "synthetic": {
            "num_features": 24,
            "hidden_dim": 32,
            "seed": 7,
            "bias": 1.0,
            "mean_firing_magnitudes": 1.0,
            "std_firing_magnitudes": 0.1,
            "firing_probability": {"generator_name": "zipfian", "exponent": 0.5, "max_prob": 0.3, "min_prob": 0.05},
            "orthogonalization": {"num_steps": 100, "lr": 0.01, "chunk_size": 1024},
        },
    },
}

# load_sae(run_dir).encode(x) without a cheat; a test appends a class Cheat(Honest) and what else it needs.
HONEST = """
import os, sys, time, torch
from safetensors.torch import load_file, save_file

class Honest:
    def __init__(self, run_dir):
        self.weights = load_file(run_dir + "/sae.safetensors")
        self.W_enc = torch.linalg.pinv(self.weights["W_dec"])
        self.b_dec = self.weights["b_dec"]

    def encode(self, x):
        z = (x - self.b_dec) @ self.W_enc
        return z * (z > 0.05)

Cheat = Honest

def load_sae(run_dir):
    return Cheat(run_dir)
"""


def make_run(folder: Path, cheat: str = "", profile: dict[str, Any] | None = None) -> Path:
    """experiment.py with the cheat, profile.json and run_1/ with the true dictionary in a new folder."""
    import torch
    from data.synthetic import build_model
    from safetensors.torch import save_file

    profile = profile or PROFILE
    (folder / "run_1").mkdir(parents=True)
    (folder / "profile.json").write_text(json.dumps(profile))
    source = HONEST.replace("Cheat = Honest\n", cheat or "Cheat = Honest\n")
    (folder / "experiment.py").write_text(source)
    features = build_model(profile).feature_dict
    tensors = {"W_dec": features.feature_vectors.detach().clone(), "b_dec": features.bias.detach().clone()}
    save_file(tensors, folder / "run_1" / "sae.safetensors")
    assert torch.linalg.matrix_rank(tensors["W_dec"]) == len(tensors["W_dec"])
    return folder
