"""Scores a trained SAE against the true features: run_dir -> one flat JSON file.

    python evaluate.py --run_dir=run_1 --out=evaluation.json [--profile=profile.json] [--eval_seed=0]

Encoding goes through `load_sae(run_dir).encode` of the experiment.py in the working directory, so these results are
self-reported. Decoding is done here: x_hat = z @ W_dec + b_dec from <run_dir>/sae.safetensors.
Shapes: W_dec (d_sae, d_in), b_dec (d_in,), z = encode(x) (batch, d_sae) for x (batch, d_in), all float32.
Source of the scores: sae_lens.synthetic.evals.eval_sae_on_synthetic_data, sae-lens 6.54.12.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from activations import EVALUATION, Stream, build_model, read_profile
from sae_lens.synthetic.evals import eval_sae_on_synthetic_data
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

BATCH = 4096
# Rows encoded alone and inside a batch may differ by float rounding at a tie, in no more than this share of decisions.
ROW_TOLERANCE = 1e-4


class BrokenSAE(Exception):
    """The run's SAE cannot be scored; the message says what is wrong with it in one line."""


class Candidate:
    """What sae_lens's evaluation asks of an SAE: the experiment's encode, and a decoder that is read from the file."""

    def __init__(self, sae: Any, w_dec: Tensor, b_dec: Tensor) -> None:
        self.sae, self.W_dec, self.b_dec = sae, w_dec, b_dec

    def eval(self) -> Candidate:
        if hasattr(self.sae, "eval"):
            self.sae.eval()
        return self

    def encode(self, x: Tensor) -> Tensor:
        z = self.sae.encode(x)  # (batch, d_sae)
        expected = (x.shape[0], self.W_dec.shape[0])
        if tuple(z.shape) != expected:
            raise BrokenSAE(f"encode returned shape {tuple(z.shape)}, expected (batch, d_sae) = {expected}")
        z = z.detach().float()
        if not torch.isfinite(z).all():
            raise BrokenSAE("encode returned NaN or infinite latents")
        return z

    def decode(self, z: Tensor) -> Tensor:
        return z @ self.W_dec + self.b_dec  # (batch, d_in)


def load_experiment(path: Path) -> ModuleType:
    """Import experiment.py from its path.

    Raises: BrokenSAE if the file or its load_sae is missing.
    """
    if not path.is_file():
        raise BrokenSAE(f"{path} is missing")
    spec = importlib.util.spec_from_file_location("experiment", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["experiment"] = module
    spec.loader.exec_module(module)
    if not hasattr(module, "load_sae"):
        raise BrokenSAE(f"{path} has no load_sae(run_dir)")
    return module


def read_decoder(path: Path, d_in: int) -> tuple[Tensor, Tensor]:
    """W_dec (d_sae, d_in) and b_dec (d_in,) as float32.

    Raises: BrokenSAE if the file, a tensor, a shape or a value is wrong.
    """
    if not path.is_file():
        raise BrokenSAE(f"{path} is missing")
    try:
        tensors = load_file(path)
    except SafetensorError as e:
        raise BrokenSAE(f"{path} is not a safetensors file: {e}") from e
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BrokenSAE(f"{name} in {path} holds NaN or infinite values")
    missing = {"W_dec", "b_dec"} - tensors.keys()
    if missing:
        raise BrokenSAE(f"{path} lacks {', '.join(sorted(missing))}")
    w_dec, b_dec = tensors["W_dec"].float(), tensors["b_dec"].float()
    if w_dec.ndim != 2 or w_dec.shape[1] != d_in or tuple(b_dec.shape) != (d_in,):
        raise BrokenSAE(f"W_dec {tuple(w_dec.shape)}, b_dec {tuple(b_dec.shape)}: expected (d_sae, {d_in}), ({d_in},)")
    return w_dec, b_dec


def check_rows_are_independent(candidate: Candidate, x: Tensor) -> None:
    """An encoder that looks at its neighbours in the batch would score differently in another batch.

    Raises: BrokenSAE if a row's active latents change when it is encoded in a smaller batch.
    """
    few = x[:128]
    alone = torch.cat([candidate.encode(part) for part in few.split(16)]) != 0  # (128, d_sae)
    together = candidate.encode(x)[:128] != 0  # (128, d_sae)
    share = (alone != together).float().mean().item()
    if share > ROW_TOLERANCE:
        raise BrokenSAE(
            f"encode depends on the other rows of the batch ({share:.2%} of latents switch): "
            "use a fixed threshold at inference"
        )


@torch.no_grad()
def score(sae: Any, w_dec: Tensor, b_dec: Tensor, profile: dict[str, Any], eval_seed: int) -> dict[str, float]:
    """All scores of one SAE on profile["eval_samples"] fresh samples.

    f1, precision, recall: mean over all latents (dead ones count 0) of the latent as a detector of the true feature
    nearest to its decoder direction. mcc: mean |cos| of the best one-to-one matching. Range of both: [0, 1].
    """
    model = build_model(profile)
    stream = Stream(model, EVALUATION, eval_seed)
    candidate = Candidate(sae, w_dec, b_dec).eval()
    check_rows_are_independent(candidate, model.feature_dict(Stream(model, EVALUATION, eval_seed).sample(BATCH)))
    result = eval_sae_on_synthetic_data(
        candidate, model.feature_dict, stream, num_samples=profile["eval_samples"], batch_size=BATCH
    )
    d_sae = w_dec.shape[0]
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
        "dead_fraction": result.dead_latents / d_sae,
        "alive_latents": d_sae - result.dead_latents,
        "d_sae": d_sae,
        "eval_samples": profile["eval_samples"],
        "eval_seed": eval_seed,
    }


def evaluate(run_dir: Path, profile_path: Path, eval_seed: int) -> dict[str, float]:
    """Load, check and score the run's SAE.

    Raises: BrokenSAE if it cannot be scored; whatever the experiment's own load_sae or encode raises.
    """
    profile = read_profile(profile_path)
    torch.set_num_threads(profile["threads"])
    w_dec, b_dec = read_decoder(run_dir / "sae.safetensors", profile["synthetic"]["hidden_dim"])
    sae = load_experiment(Path("experiment.py").resolve()).load_sae(str(run_dir))
    scores = score(sae, w_dec, b_dec, profile, eval_seed)
    bad = [name for name, value in scores.items() if not math.isfinite(value)]
    if bad:
        raise BrokenSAE(f"not finite: {', '.join(bad)}")
    return scores


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run_dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--profile", type=Path, default=Path("profile.json"))
    parser.add_argument("--eval_seed", type=int, default=0)
    args = parser.parse_args()
    try:
        scores = evaluate(args.run_dir, args.profile, args.eval_seed)
    except BrokenSAE as e:
        print(f"evaluate.py: error: {e}", file=sys.stderr)
        return 1
    partial = args.out.with_name(args.out.name + ".part")
    partial.write_text(json.dumps(scores, indent=1) + "\n")
    partial.replace(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
