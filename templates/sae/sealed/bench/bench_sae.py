"""The object that sae_bench evaluates: the run's encoder and the evaluator's decoder, seen on raw activations.

Codes and reconstructions are float32 even if sae_bench asks for another dtype, so that sums of them keep their digits.
The data's scale is included: z = encoder.encode(x * scale), x_hat = decoder.decode(z) / scale. Absorption compares
codes with lengths of raw activations, and unlearning sets codes to numbers of its own. For these two, `raw_units`
multiplies codes so that they belong to decoder rows of norm 1 on raw activations: z_i |W_dec_i| / scale.
Source of the interface: sae_bench 0.6.0, custom_saes/base_sae.py and the modules in evals/.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from encoder.decoder import Decoder
from encoder.faults import BrokenSAE
from encoder.run_encoder import Encoder
from torch import Tensor


class BenchSAE:
    """An SAE with the methods and fields that sae_bench expects; `name` tells its files from those of another SAE.

    `fault` is the exception that encode or decode raised: sae_bench's core catches it and goes on.
    """

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
        # sae_bench asks for its shape, its dtype and cosines that we do not report. A run may have no encoder matrix.
        self.W_enc = self.W_dec.T.contiguous()  # (d_in, d_sae)
        self.b_enc = torch.zeros(decoder.d_sae, device=device)
        self.b_dec = decoder.b_dec.to(device)
        self.units: Tensor | None = None  # (d_sae,): factors of the codes inside `raw_units`
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
    """Give codes the units of raw activations inside the block. Reconstructions and W_dec's directions stay."""
    for sae in saes:
        sae.units = sae.W_dec.norm(dim=1).clamp(min=1e-8) / sae.scale
    try:
        yield
    finally:
        for sae in saes:
            sae.units = None
