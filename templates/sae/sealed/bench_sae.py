"""The object that sae_bench evaluates: the run's encoder and the evaluator's decoder, seen on raw activations.

Codes and reconstructions are float32 whatever dtype sae_bench asks for, so that sums of them keep their digits. The
data's scale is folded in: z = encoder.encode(x * scale), x_hat = decoder.decode(z) / scale. Where sae_bench compares
codes with lengths of raw activations (absorption) or sets them to numbers of its own (unlearning), `raw_units` makes
them those of decoder rows of norm 1 on raw activations: z_i |W_dec_i| / scale.
Source of what is asked for: sae_bench 0.6.0, custom_saes/base_sae.py and the modules in evals/.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from decoder import Decoder
from encoder import Encoder
from encoder_faults import BrokenSAE
from torch import Tensor


class BenchSAE:
    """`name` tells one SAE's files from another's; `fault` is what encode or decode raised, since core swallows it."""

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        decoder: Decoder,
        *,
        scale: float,
        model: str,
        hook: str,
        layer: int,
        device: str,
    ) -> None:
        from sae_bench.custom_saes.custom_sae_config import CustomSAEConfig

        self.name, self.scale, self.fault = name, scale, None
        self.encoder = encoder
        linear = type(decoder) is Decoder  # another kind decodes in the run's process, on the CPU
        self.decoder = (
            replace(decoder, W_dec=decoder.W_dec.to(device), b_dec=decoder.b_dec.to(device)) if linear else decoder
        )
        self.device, self.dtype = torch.device(device), torch.float32
        self.W_dec = decoder.W_dec.to(device)  # (d_sae, d_in)
        # Asked for its shape, dtype and cosines, which are not reported: a run need not have an encoder matrix.
        self.W_enc = self.W_dec.T.contiguous()  # (d_in, d_sae)
        self.b_enc = torch.zeros(decoder.d_sae, device=device)
        self.b_dec = decoder.b_dec.to(device)
        self.units: Tensor | None = None  # (d_sae,): what codes are multiplied by, in `raw_units`
        self.cfg: Any = CustomSAEConfig(
            model, decoder.d_in, decoder.d_sae, hook_layer=layer, hook_name=hook, dtype="float32"
        )
        self.cfg.device = device

    def encode(self, x: Tensor) -> Tensor:
        """Codes (..., d_sae) of raw activations (..., d_in)."""
        try:
            rows = x.detach().reshape(-1, x.shape[-1]).float() * self.scale
            z = self.encoder.encode(rows)
            if self.units is not None:
                z = z * self.units.to(z.device)
            return z.to(x.device).float().reshape(*x.shape[:-1], z.shape[-1])
        except BrokenSAE as e:
            self.fault = e
            raise

    def decode(self, z: Tensor) -> Tensor:
        """Raw activations (..., d_in) of codes (..., d_sae)."""
        try:
            codes = z.reshape(-1, z.shape[-1]).float()
            x_hat = self.decoder.decode(codes if self.units is None else codes / self.units.to(codes.device))
            return x_hat.to(z.device).reshape(*z.shape[:-1], x_hat.shape[-1]) / self.scale
        except BrokenSAE as e:
            self.fault = e
            raise

    def __call__(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def to(self, *args: Any, **kwargs: Any) -> BenchSAE:
        """Itself: it was made on its device, and stays float32."""
        return self

    def eval(self) -> BenchSAE:
        return self


@contextmanager
def raw_units(saes: Sequence[BenchSAE]) -> Iterator[None]:
    """In the block codes have the units of raw activations; reconstructions and W_dec's directions stay the same."""
    for sae in saes:
        sae.units = sae.W_dec.norm(dim=1).clamp(min=1e-8) / sae.scale
    try:
        yield
    finally:
        for sae in saes:
            sae.units = None
