"""SAEs to evaluate: TopK, trained for seconds on a language model's activations, or left random."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import torch
from encoder.decoder import Decoder
from torch import Tensor

HOOK = "blocks.2.hook_resid_post"


class TopK:
    """An Encoder in this process."""

    kind, reason = "graph", "in this process"

    def __init__(self, w_enc: Tensor, b_dec: Tensor, k: int) -> None:
        self.w_enc, self.b_dec, self.k = w_enc, b_dec, k
        self.d_in, self.d_sae = w_enc.shape
        self.rows = 0

    def encode(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, self.d_in)
        self.rows += len(x)
        values, indices = ((x - self.b_dec) @ self.w_enc).relu().topk(self.k)
        return torch.zeros(len(x), self.d_sae).scatter(1, indices, values)


def random_sae(d_in: int, d_sae: int, k: int, seed: int = 0) -> tuple[TopK, Decoder]:
    """Unit rows, the encoder the decoder's transpose."""
    rows = torch.randn(d_sae, d_in, generator=torch.Generator().manual_seed(seed))
    w_dec = rows / rows.norm(dim=1, keepdim=True)
    return TopK(w_dec.T.contiguous(), torch.zeros(d_in), k), Decoder(w_dec, torch.zeros(d_in))


def trained_sae(rows: Tensor, d_sae: int, k: int, steps: int, seed: int = 0) -> tuple[TopK, Decoder]:
    """Plain PyTorch on rows (n, d_in) that are scaled to a mean squared norm of d_in."""
    encoder, decoder = random_sae(rows.shape[1], d_sae, k, seed)
    parts = [encoder.w_enc.clone(), decoder.W_dec.clone(), rows.mean(dim=0)]
    w_enc, w_dec, b_dec = (part.requires_grad_() for part in parts)
    optimizer = torch.optim.Adam(parts, lr=2e-3)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = rows[torch.randint(len(rows), (512,), generator=draw)]
        values, indices = ((x - b_dec) @ w_enc).relu().topk(k)
        z = torch.zeros(len(x), d_sae).scatter(1, indices, values)
        loss = (x - z @ w_dec - b_dec).pow(2).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            w_dec /= w_dec.norm(dim=1, keepdim=True)
    return TopK(w_enc.detach(), b_dec.detach(), k), Decoder(w_dec.detach(), b_dec.detach())


def profile_of(assets: Path, **evaluation: Any) -> dict[str, Any]:
    """A profile on the project's own text whose evaluation takes seconds."""
    return {
        "threads": 1,
        "steps": 10,
        "batch_size": 512,
        "d_in": 128,
        "d_sae": 512,
        "k": 16,
        "dtype": "float16",
        "hidden": {
            "source": "language_model",
            "model": {"name": "EleutherAI/pythia-70m-deduped", "assets": str(assets), "dtype": "float32"},
            "hook": HOOK,
            "dataset": {"generator": "text", "split": "train", "seed": 0},
            "context": 128,
            "bos": "each_context",
            "tokens": 1000,
            "batch_prompts": 16,
            "shuffle_seed": 0,
            "evaluation": {
                "documents": 120,
                "core": {"batch_prompts": 8, "reconstruction_batches": 3, "variance_batches": 6},
                "sparse_probing": {"train_size": 80, "test_size": 40},
                **evaluation,
            },
        },
    }


def prepared(profile: dict[str, Any], folder: Path, scale: float, data_id: int = 7) -> None:
    """Fill an evaluation folder as prepare.py does."""
    from data import evaluation_sets

    folder.mkdir(parents=True)
    evaluation_sets.make(profile, folder)
    fields = {"texts": {"weights": "those of the assets"}}
    (folder / "meta.json").write_text(json.dumps({"scale": scale, "data_id": data_id, "fields": fields}))


def activations(profile: dict[str, Any], count: int) -> tuple[Tensor, float]:
    """Training rows (count, d_in), scaled, and the scale."""
    from data import language_model

    model = language_model.load_model(profile["hidden"]["model"]["name"], torch.float32)
    texts = language_model.documents(profile["hidden"]["dataset"])
    packed = language_model.contexts(texts, model.tokenizer, 128, "each_context")
    tokens = torch.tensor(list(itertools.islice(packed, -(-count // 120))))
    rows = torch.cat([language_model.rows_at_hook(model, HOOK, part) for part in tokens.split(32)])[:count]
    scale = float((rows.shape[1] / rows.pow(2).sum(dim=1).mean()).sqrt())
    return rows * scale, scale
