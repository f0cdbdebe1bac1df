"""Trains one sparse autoencoder (SAE) on synthetic activations whose true features are known.

    python experiment.py --out_dir=run_1

Reads profile.json (scale and data) beside it, SCIENTIST_SEED (0 if unset) and SCIENTIST_SMOKE (1: a few steps only).
Writes to out_dir: final_info.json, metrics.jsonl, density.json (firing densities of the latents), sae_config.json and
sae.safetensors (W_enc, b_enc, W_dec, b_dec, ...).

The evaluator imports this file, calls load_sae(run_dir) and then encode(x) on samples never trained on. It decodes by
itself, z @ W_dec + b_dec, so reconstruction must keep that form. encode must treat every row of a batch on its own.
Same seed and profile, same result.
Starting point: TopK with AuxK (Gao et al. 2024, "Scaling and evaluating sparse autoencoders").
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
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

# What an idea may tune. Trailing comments give the range that a hyper-parameter sweep searches.
# LR starts at the published rule 2e-4 * sqrt(16384 / d_sae); no value here was chosen by its score on this task.
LR = 1.6e-3  # search: log 1e-4..1e-2
WARMUP = 50  # search: int 0..200
DECAY_FRACTION = 0.2  # search: 0.0..0.8
AUX_COEF = 0.03125  # search: 0.0..0.2
DEAD_AFTER = 50  # search: int 10..200
ENC_SCALE = 1.0  # search: 0.1..2.0
DEC_NORM = "unit"  # search: one of "unit", "free"

# What makes runs comparable comes from profile.json: steps, batch_size (so tokens), d_sae and k. Leave it there.
ADAM_BETAS = (0.9, 0.999)
CLIP_NORM = 1.0
LOG_EVERY = 20
DENSITY_SHARE = 0.1  # of the steps, the last ones, over which firing densities are counted
SMOKE_STEPS = 8


# ---------------------------------------------------------------------------------------------------------------- model


@dataclass(frozen=True)
class SAEConfig:
    """What load_sae needs to build the module again; add fields here when an idea adds structure."""

    d_in: int
    d_sae: int
    k: int


class SAE(nn.Module):
    """TopK sparse autoencoder: z = TopK(ReLU((x - b_dec) W_enc + b_enc)), x_hat = z W_dec + b_dec.

    Shapes: x (batch, d_in), z (batch, d_sae), W_enc (d_in, d_sae), W_dec (d_sae, d_in). All float32.
    """

    def __init__(self, config: SAEConfig) -> None:
        super().__init__()
        self.config = config
        directions = torch.randn(config.d_sae, config.d_in)
        directions /= directions.norm(dim=1, keepdim=True)
        self.W_dec = nn.Parameter(directions)  # (d_sae, d_in)
        self.W_enc = nn.Parameter(ENC_SCALE * directions.T.clone())  # (d_in, d_sae)
        self.b_enc = nn.Parameter(torch.zeros(config.d_sae))  # (d_sae,)
        self.b_dec = nn.Parameter(torch.zeros(config.d_in))  # (d_in,)

    def pre_activations(self, x: Tensor) -> Tensor:
        """Latents before any sparsity, (batch, d_sae)."""
        return (x - self.b_dec) @ self.W_enc + self.b_enc

    def sparsify(self, pre: Tensor) -> Tensor:
        """Keep the k largest positive values of each row; the rest become 0. (batch, d_sae) -> (batch, d_sae)."""
        values, indices = pre.relu().topk(self.config.k, dim=1, sorted=False)  # (batch, k)
        return torch.zeros_like(pre).scatter(1, indices, values)

    def encode(self, x: Tensor) -> Tensor:
        """Sparse latents z >= 0, (batch, d_sae). The evaluator calls this, after eval()."""
        return self.sparsify(self.pre_activations(x))

    def decode(self, z: Tensor) -> Tensor:
        """Reconstruction, (batch, d_in)."""
        return z @ self.W_dec + self.b_dec


def save_sae(sae: SAE, run_dir: str) -> None:
    """Write parameters, buffers and configuration so that load_sae gives the same encoder."""
    folder = Path(run_dir)
    state = {name: tensor.detach().contiguous() for name, tensor in sae.state_dict().items()}
    save_file(state, folder / "sae.safetensors")
    (folder / "sae_config.json").write_text(json.dumps(asdict(sae.config), indent=1) + "\n")


def load_sae(run_dir: str) -> SAE:
    """The SAE that a run saved, in evaluation mode; the evaluator calls this."""
    folder = Path(run_dir)
    sae = SAE(SAEConfig(**json.loads((folder / "sae_config.json").read_text())))
    sae.load_state_dict(load_file(folder / "sae.safetensors"))
    return sae.eval()


# -------------------------------------------------------------------------------------------------------------- trainer


def learning_rate(step: int, steps: int) -> float:
    """LR after a linear warm-up over WARMUP steps and before a linear decay to 0 over the last DECAY_FRACTION."""
    rise = min(1.0, (step + 1) / (WARMUP + 1))
    decay_steps = DECAY_FRACTION * steps
    fall = min(1.0, (steps - step) / decay_steps) if decay_steps > 0 else 1.0
    return LR * rise * fall


class Trainer:
    """Owns the optimiser and the count of steps since each latent last fired."""

    def __init__(self, sae: SAE, steps: int, dead_after: int) -> None:
        self.sae = sae
        self.steps = steps
        self.dead_after = dead_after
        self.optimizer = torch.optim.Adam(sae.parameters(), lr=LR, betas=ADAM_BETAS, fused=True)
        self.steps_since_fired = torch.zeros(sae.config.d_sae, dtype=torch.long)  # (d_sae,)
        self.firing = FiringCounter(sae.config.d_sae)

    def dead_latents(self) -> Tensor:
        """True where a latent has not fired for dead_after steps, (d_sae,)."""
        return self.steps_since_fired >= self.dead_after

    def auxiliary_loss(self, pre: Tensor, residual: Tensor) -> Tensor:
        """AuxK: the d_in / 2 largest dead latents of each row are asked to reconstruct what the live ones left over.

        Shapes: pre (batch, d_sae), residual (batch, d_in), without gradient. Returns a scalar, 0 where none is dead.
        Source: Gao et al. 2024, "Scaling and evaluating sparse autoencoders", A.2.
        """
        dead = self.dead_latents()
        n_dead = int(dead.sum())
        if n_dead == 0:
            return residual.new_zeros(())
        k_aux = min(n_dead, residual.shape[1] // 2)
        dead_pre = pre.masked_fill(~dead, float("-inf"))  # (batch, d_sae)
        values, indices = dead_pre.topk(k_aux, dim=1, sorted=False)  # (batch, k_aux)
        z_aux = torch.zeros_like(pre).scatter(1, indices, values.relu())  # (batch, d_sae)
        return squared_error(residual, z_aux @ self.sae.W_dec)

    def step(self, index: int, x: Tensor) -> dict[str, float]:
        """One update on x (batch, d_in); returns what is worth logging."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(index, self.steps)
        pre = self.sae.pre_activations(x)  # (batch, d_sae)
        z = self.sae.sparsify(pre)  # (batch, d_sae)
        x_hat = self.sae.decode(z)  # (batch, d_in)
        loss = squared_error(x, x_hat)
        aux = self.auxiliary_loss(pre, (x - x_hat).detach())
        self.optimizer.zero_grad(set_to_none=True)
        (loss + AUX_COEF * aux).backward()
        self.update_parameters()
        if index >= int((1.0 - DENSITY_SHARE) * self.steps):
            self.firing.update(z)
        fired = (z != 0).any(dim=0)  # (d_sae,)
        self.steps_since_fired = torch.where(fired, 0, self.steps_since_fired + 1)
        return {
            "loss": loss.item(),
            "aux_loss": aux.item(),
            "explained_variance": explained_variance(x, x_hat.detach()),
            "l0": (z != 0).float().sum(dim=1).mean().item(),
            "dead_fraction": self.dead_latents().float().mean().item(),
        }

    @torch.no_grad()
    def update_parameters(self) -> None:
        """Clip, step, and keep decoder rows at unit norm where DEC_NORM asks for it."""
        w_dec = self.sae.W_dec
        if DEC_NORM == "unit":
            # The part of the gradient along a row would only be undone by the normalisation, and would mislead Adam.
            along = (w_dec.grad * w_dec).sum(dim=1, keepdim=True)  # (d_sae, 1)
            w_dec.grad -= along * w_dec
        nn.utils.clip_grad_norm_(self.sae.parameters(), CLIP_NORM)
        self.optimizer.step()
        if DEC_NORM == "unit":
            w_dec /= w_dec.norm(dim=1, keepdim=True).clamp(min=1e-8)


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Squared error summed over d_in, mean over the batch; scalar."""
    return (x - x_hat).pow(2).sum(dim=1).mean()


def explained_variance(x: Tensor, x_hat: Tensor) -> float:
    """1 - sum((x - x_hat)^2) / sum((x - mean(x))^2) over one batch; at most 1, unitless."""
    residual = (x - x_hat).pow(2).sum()
    total = (x - x.mean(dim=0)).pow(2).sum()
    return 1.0 - (residual / total).item()


# --------------------------------------------------------------------------------------------------------- diagnostics


class FiringCounter:
    """Counts how often each latent fires, for the density of the last share of training."""

    def __init__(self, d_sae: int) -> None:
        self.fired = torch.zeros(d_sae, dtype=torch.long)  # (d_sae,)
        self.rows = 0

    def update(self, z: Tensor) -> None:
        """Count one batch of latents z (batch, d_sae)."""
        self.fired += (z != 0).sum(dim=0)
        self.rows += z.shape[0]

    def density(self) -> Tensor:
        """Share of rows on which each latent fired, (d_sae,); zeros before the first update."""
        return self.fired.float() / max(1, self.rows)


def density_histogram(density: Tensor) -> dict[str, list[float]]:
    """Latents by log10 of their firing density: ten bins from 1e-5 to 1, those that never fire apart.

    A healthy dictionary has one hump; a second one near 1 are latents that are always on, one far left are dying.
    """
    edges = torch.linspace(-5.0, 0.0, 11)  # (11,)
    alive = density[density > 0].log10().clamp(-5.0, 0.0)
    counts = torch.histogram(alive, edges).hist
    return {"log10_edges": edges.tolist(), "counts": counts.tolist(), "silent": [float((density == 0).sum())]}


def decoder_coherence(w_dec: Tensor) -> float:
    """Mean over latents of the largest |cosine| to another latent's decoder row; 0 orthogonal, 1 all have a twin.

    Shapes: w_dec (d_sae, d_in). Costs d_sae^2 d_in operations, so it is measured once, after training.
    """
    rows = nn.functional.normalize(w_dec, dim=1)  # (d_sae, d_in)
    cosine = (rows @ rows.T).abs().fill_diagonal_(0.0)  # (d_sae, d_sae)
    return cosine.max(dim=1).values.mean().item()


def flops_per_token(config: SAEConfig) -> int:
    """Multiplications and additions of one forward pass: dense encoder, decoder of the k active latents."""
    return 2 * config.d_in * config.d_sae + 2 * config.d_in * config.k


# ------------------------------------------------------------------------------------------------------------------ run


def log_metrics(path: Path, step: int, metrics: dict[str, float]) -> None:
    """Append one line {"step", "name", "value"} per metric."""
    with path.open("a") as f:
        for name, value in metrics.items():
            f.write(json.dumps({"step": step, "name": name, "value": value}) + "\n")


def mean_of_last(history: list[dict[str, float]], name: str, share: float = 0.1) -> float:
    """Mean of a metric over the last share of the steps."""
    tail = history[-max(1, int(share * len(history))) :]
    return sum(row[name] for row in tail) / len(tail)


def train(profile: dict, seed: int, smoke: bool, out_dir: Path) -> dict[str, float]:
    """Train on profile["steps"] batches, save the SAE, and return final_info.

    Raises: FloatingPointError if the loss stops being finite.
    """
    steps = SMOKE_STEPS if smoke else profile["steps"]
    dead_after = 2 if smoke else DEAD_AFTER  # so that a smoke run passes through the dead-latent code as well
    torch.manual_seed(seed)
    sae = SAE(SAEConfig(d_in=profile["synthetic"]["hidden_dim"], d_sae=profile["d_sae"], k=profile["k"]))
    trainer = Trainer(sae, steps, dead_after)
    metrics_path = out_dir / "metrics.jsonl"
    metrics_path.unlink(missing_ok=True)
    history: list[dict[str, float]] = []
    started = time.perf_counter()
    for index, x in enumerate(batches(profile, seed=seed, steps=steps, batch_size=profile["batch_size"])):
        metrics = trainer.step(index, x)
        if not metrics["loss"] < float("inf"):
            raise FloatingPointError(f"loss is {metrics['loss']} at step {index}")
        history.append(metrics)
        if index % LOG_EVERY == 0 or index == steps - 1:
            log_metrics(metrics_path, index, metrics)
            print(
                f"step {index:4d}  loss {metrics['loss']:.4f}  explained variance {metrics['explained_variance']:.4f}"
            )
    save_sae(sae, str(out_dir))
    density = trainer.firing.density()  # (d_sae,)
    (out_dir / "density.json").write_text(json.dumps(density_histogram(density)) + "\n")
    return {
        "tokens": steps * profile["batch_size"],
        "steps": steps,
        "d_sae": sae.config.d_sae,
        "k": sae.config.k,
        "seed": seed,
        "parameters": sum(p.numel() for p in sae.parameters()),
        "flops_per_token": flops_per_token(sae.config),
        "final_loss": mean_of_last(history, "loss"),
        "train_explained_variance": mean_of_last(history, "explained_variance"),
        "train_l0": mean_of_last(history, "l0"),
        "alive_fraction": (density > 0).float().mean().item(),
        "median_density": density.median().item(),
        "decoder_coherence": decoder_coherence(sae.W_dec.detach()),
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
