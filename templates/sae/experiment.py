"""Trains one sparse autoencoder (SAE) on activations that were prepared once.

    python experiment.py --out_dir=run_1

Reads profile.json (the scale) beside it, activations through sealed/activations.py, SCIENTIST_SEED (0 if unset) and
SCIENTIST_SMOKE (1: a few steps only). Writes to out_dir: final_info.json, metrics.jsonl, sae_config.json and
sae.safetensors (W_enc, b_enc, W_dec, b_dec, ...).

The evaluator starts this file in a process of its own, without training data, calls load_sae(run_dir) and then
encode(x) on activations never trained on; encode must treat every row on its own. The evaluator decodes by itself,
z @ W_dec + b_dec from the file. Another decoder must be declared, DECODER = "custom", and makes the results
self-reported. Same seed and profile, same result.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from activations import batches, read_profile
from fast_steps import (
    Codes,
    SAEOptimizer,
    auxk_reconstruction,
    batch_topk_encode,
    decode,
    decode_with_l1,
    encoder_parameter,
    firing_counts,
    jumprelu_encode,
    mean_l0,
    relu_encode,
    topk_encode,
    update_threshold,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

ARCHITECTURE = "topk"  # "topk", "batch_topk", "jumprelu" or "standard"
SPARSITY = 0.0  # k of topk and batch_topk, coefficient of jumprelu (L0) and standard (L1); 0: profile.json's

# What an idea may tune. Trailing comments give the range that a hyper-parameter sweep searches. The learning rate is
# LR_FACTOR times profile.json's, which was chosen for the baselines at this scale.
LR_FACTOR = 1.0  # search: log 0.05..4.0
WARMUP = 50  # search: int 0..200
DECAY_FRACTION = 0.2  # search: 0.0..0.8
AUX_COEF = 0.03125  # search: 0.0..0.2
DEAD_AFTER = 50  # search: int 10..200
ENC_SCALE = 1.0  # search: 0.1..2.0
DEC_NORM = "unit"  # search: one of "unit", "free"

# JumpReLU, in units of pre-activations.
THRESHOLD = 0.1
BANDWIDTH = 0.1

# What makes runs comparable comes from profile.json: steps, batch_size (so tokens) and d_sae. Leave it there.
ADAM_BETAS = (0.9, 0.999)
CLIP_NORM = 1.0
LOG_EVERY = 20
SMOKE_STEPS = 8


# ---------------------------------------------------------------------------------------------------------------- model


@dataclass(frozen=True)
class SAEConfig:
    """What load_sae needs to build the module again; add fields here when an idea adds structure."""

    architecture: str
    d_in: int
    d_sae: int
    sparsity: float


class SAE(nn.Module):
    """Sparse autoencoder: pre = (x - b_dec) W_enc + b_enc, z = sparse(pre), x_hat = z W_dec + b_dec.

    Shapes: x (batch, d_in), z (batch, d_sae), W_enc (d_in, d_sae), W_dec (d_sae, d_in). All float32.
    Sources: TopK, Gao et al. 2024; BatchTopK, Bussmann et al. 2024; JumpReLU, Rajamanoharan et al. 2024; ReLU with L1,
    Bricken et al. 2023.
    """

    def __init__(self, config: SAEConfig) -> None:
        super().__init__()
        self.config = config
        directions = torch.randn(config.d_sae, config.d_in)
        directions /= directions.norm(dim=1, keepdim=True)
        self.W_dec = nn.Parameter(directions)  # (d_sae, d_in)
        self.W_enc = encoder_parameter(ENC_SCALE * directions.T)  # (d_in, d_sae)
        self.b_enc = nn.Parameter(torch.zeros(config.d_sae))  # (d_sae,)
        self.b_dec = nn.Parameter(torch.zeros(config.d_in))  # (d_in,)
        if config.architecture == "jumprelu":
            self.log_threshold = nn.Parameter(torch.full((config.d_sae,), THRESHOLD).log())  # (d_sae,)
        self.register_buffer("threshold", torch.tensor(-1.0))  # BatchTopK at inference; -1: not known yet

    def encode(self, x: Tensor) -> Tensor:
        """Sparse latents z >= 0, (batch, d_sae), each row alone. The evaluator calls this, after eval()."""
        pre = (x - self.b_dec) @ self.W_enc + self.b_enc  # (batch, d_sae)
        match self.config.architecture:
            case "topk":
                values, latents = pre.relu().topk(int(self.config.sparsity), dim=1, sorted=False)  # (batch, k)
                return torch.zeros_like(pre).scatter(1, latents, values)
            case "batch_topk":
                return pre * (pre > self.threshold)
            case "jumprelu":
                return pre * (pre > self.log_threshold.exp())
            case _:
                return pre.relu()

    def reconstruct(self, x: Tensor) -> tuple[Codes | Tensor, Tensor, Tensor]:
        """Training pass: codes (sparse, or z (batch, d_sae)), x_hat (batch, d_in), and the sparsity loss, scalar."""
        encoder = (x, self.W_enc, self.b_enc, self.b_dec)
        sparsity = self.config.sparsity
        match self.config.architecture:
            case "topk":
                codes = topk_encode(*encoder, int(sparsity))
                return codes, decode(codes, self.W_dec, self.b_dec), x.new_zeros(())
            case "batch_topk":
                codes = batch_topk_encode(*encoder, int(sparsity))
                return codes, decode(codes, self.W_dec, self.b_dec), x.new_zeros(())
            case "jumprelu":
                z, l0 = jumprelu_encode(*encoder, self.log_threshold, BANDWIDTH)
                return z, decode(z, self.W_dec, self.b_dec), sparsity * l0
            case "standard":
                z = relu_encode(*encoder)
                x_hat, l1 = decode_with_l1(z, self.W_dec, self.b_dec)
                return z, x_hat, sparsity * l1
            case other:
                raise ValueError(f"ARCHITECTURE {other!r} is unknown")


def save_sae(sae: SAE, run_dir: str) -> None:
    """Write parameters, buffers and configuration so that load_sae gives the same encoder."""
    folder = Path(run_dir)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in sae.state_dict().items()}
    save_file(state, folder / "sae.safetensors")
    (folder / "sae_config.json").write_text(json.dumps(asdict(sae.config), indent=1) + "\n")


def load_sae(run_dir: str) -> SAE:
    """The SAE that a run saved, in evaluation mode; the evaluator's process calls this."""
    folder = Path(run_dir)
    sae = SAE(SAEConfig(**json.loads((folder / "sae_config.json").read_text())))
    sae.load_state_dict(load_file(folder / "sae.safetensors"))
    return sae.eval()


# -------------------------------------------------------------------------------------------------------------- trainer


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Peak after a linear warm-up over WARMUP steps and before a linear decay to 0 over the last DECAY_FRACTION."""
    rise = min(1.0, (step + 1) / (WARMUP + 1))
    decay_steps = DECAY_FRACTION * steps
    fall = min(1.0, (steps - step) / decay_steps) if decay_steps > 0 else 1.0
    return peak * rise * fall


class Trainer:
    """Owns the optimiser and the count of steps since each latent last fired."""

    def __init__(self, sae: SAE, steps: int, lr: float, dead_after: int) -> None:
        self.sae = sae
        self.steps = steps
        self.lr = lr
        self.dead_after = dead_after
        unit_rows = ("W_dec",) if DEC_NORM == "unit" else ()
        self.optimizer = SAEOptimizer(sae, lr=lr, betas=ADAM_BETAS, clip_norm=CLIP_NORM, unit_rows=unit_rows)
        self.steps_since_fired = torch.zeros(sae.config.d_sae, dtype=torch.long, device=sae.W_dec.device)  # (d_sae,)

    def auxiliary_loss(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """AuxK: the d_in / 2 largest dead latents of each row reconstruct what the live ones left over; scalar.

        Shapes: x, x_hat (batch, d_in). 0 where no latent is dead; for the TopK family only.
        Source: Gao et al. 2024, "Scaling and evaluating sparse autoencoders", A.2.
        """
        s = self.sae
        if AUX_COEF == 0 or s.config.architecture not in ("topk", "batch_topk"):
            return x.new_zeros(())
        dead = self.steps_since_fired >= self.dead_after  # (d_sae,)
        x_aux = auxk_reconstruction(x, s.W_enc, s.b_enc, s.b_dec, s.W_dec, dead, max(1, s.config.d_in // 2))
        return x.new_zeros(()) if x_aux is None else squared_error((x - x_hat).detach(), x_aux)

    def step(self, index: int, x: Tensor) -> dict[str, Tensor]:
        """One update on x (batch, d_in); returns scalars worth logging, on x's device."""
        self.optimizer.set_lr(learning_rate(index, self.steps, self.lr))
        codes, x_hat, sparsity_loss = self.sae.reconstruct(x)
        loss = squared_error(x, x_hat)
        aux = self.auxiliary_loss(x, x_hat)
        self.optimizer.zero_grad()
        (loss + sparsity_loss + AUX_COEF * aux).backward()
        self.optimizer.step()
        if self.sae.config.architecture == "batch_topk":
            update_threshold(self.sae.threshold, codes)
        self.steps_since_fired = torch.where(firing_counts(codes) > 0, 0, self.steps_since_fired + 1)
        return {
            "loss": loss.detach(),
            "sparsity_loss": sparsity_loss.detach(),
            "aux_loss": aux.detach(),
            "explained_variance": explained_variance(x, x_hat.detach()),
            "l0": mean_l0(codes),
            "dead_fraction": (self.steps_since_fired >= self.dead_after).float().mean(),
        }


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Squared error summed over d_in, mean over the batch; scalar."""
    return (x - x_hat).pow(2).sum(dim=1).mean()


def explained_variance(x: Tensor, x_hat: Tensor) -> Tensor:
    """1 - sum((x - x_hat)^2) / sum((x - mean(x))^2) over one batch; scalar, at most 1, unitless."""
    return 1.0 - (x - x_hat).pow(2).sum() / (x - x.mean(dim=0)).pow(2).sum()


def flops_per_token(config: SAEConfig, l0: float) -> int:
    """Multiplications and additions of one forward pass: dense encoder, decoder of the active latents."""
    return 2 * config.d_in * config.d_sae + round(2 * config.d_in * l0)


# ------------------------------------------------------------------------------------------------------------------ run


class Log:
    """Writes scalars to metrics.jsonl, and stops a run whose loss is not finite."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.unlink(missing_ok=True)
        self.pending: list[tuple[int, dict[str, Tensor]]] = []
        self.last_finite = "no step before it was finite"

    def add(self, step: int, scalars: dict[str, Tensor]) -> None:
        """Keep one step's scalars, unread: reading them at every step would make a GPU wait."""
        self.pending.append((step, scalars))

    def write(self) -> dict[str, float]:
        """Check the losses kept since the last call; write and return the newest step's scalars.

        Raises: FloatingPointError naming the first step at fault and the last finite loss.
        """
        losses = torch.stack([scalars["loss"] for _, scalars in self.pending]).tolist()
        for (step, _), loss in zip(self.pending, losses, strict=True):
            if not abs(loss) < float("inf"):
                raise FloatingPointError(f"loss is {loss} at step {step}; {self.last_finite}")
            self.last_finite = f"the last finite loss was {loss:.6g} at step {step}"
        step, scalars = self.pending[-1]
        self.pending.clear()
        values = {name: scalar.item() for name, scalar in scalars.items()}
        with self.path.open("a") as f:
            for name, value in values.items():
                f.write(json.dumps({"step": step, "name": name, "value": value}) + "\n")
        return values


def configure(profile: dict) -> SAEConfig:
    """The SAE of this profile.

    Raises: ValueError if k does not lie in 1..d_sae.
    """
    default = {"jumprelu": profile["l0_coef"], "standard": profile["l1_coef"]}.get(ARCHITECTURE, profile["k"])
    sparsity = SPARSITY or default
    if ARCHITECTURE in ("topk", "batch_topk") and not 1 <= int(sparsity) <= profile["d_sae"]:
        raise ValueError(f"k = {sparsity}: it must be between 1 and d_sae = {profile['d_sae']}")
    return SAEConfig(ARCHITECTURE, profile["d_in"], profile["d_sae"], sparsity)


def train(profile: dict, seed: int, smoke: bool, out_dir: Path) -> dict[str, float]:
    """Train on profile["steps"] batches, save the SAE, and return final_info.

    Raises: FloatingPointError if the loss stops being finite.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    steps = SMOKE_STEPS if smoke else profile["steps"]
    torch.manual_seed(seed)
    sae = SAE(configure(profile)).to(device)
    # A smoke run passes through the dead-latent code as well.
    trainer = Trainer(sae, steps, LR_FACTOR * profile["lr"], dead_after=2 if smoke else DEAD_AFTER)
    log = Log(out_dir / "metrics.jsonl")
    values: dict[str, float] = {}
    started = time.perf_counter()
    for index, x in enumerate(batches(seed=seed, steps=steps, batch_size=profile["batch_size"])):
        with torch.autocast(device, torch.bfloat16, enabled=profile.get("autocast", False)):
            log.add(index, trainer.step(index, x.to(device)))
        if index % LOG_EVERY == 0 or index == steps - 1:
            values = log.write()
            print(f"step {index:4d}  loss {values['loss']:.4f}  l0 {values['l0']:.2f}", flush=True)
    save_sae(sae, str(out_dir))
    return {
        "tokens": steps * profile["batch_size"],
        "steps": steps,
        "d_sae": sae.config.d_sae,
        "seed": seed,
        "parameters": sum(p.numel() for p in sae.parameters()),
        "flops_per_token": flops_per_token(sae.config, values["l0"]),
        "final_loss": values["loss"],
        "train_explained_variance": values["explained_variance"],
        "train_l0": values["l0"],
        "train_seconds": time.perf_counter() - started,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Train one sparse autoencoder.")
    parser.add_argument("--out_dir", type=Path, required=True)
    out_dir = parser.parse_args().out_dir
    out_dir.mkdir(parents=True, exist_ok=True)
    profile = read_profile()
    torch.set_num_threads(profile["threads"])
    seed = int(os.environ.get("SCIENTIST_SEED", "0"))
    smoke = os.environ.get("SCIENTIST_SMOKE") == "1"
    final_info = train(profile, seed, smoke, out_dir)
    (out_dir / "final_info.json").write_text(json.dumps(final_info, indent=1) + "\n")
    print(json.dumps(final_info))


if __name__ == "__main__":
    main()
