"""Chooses the path of a TopK step: dense products over all latents, or sums over the entries alone.

Both give the same codes and gradients, and differ in speed.
"""

from __future__ import annotations

import time
from functools import cache
from statistics import median

import torch
from fast_kernels.topk import decode, topk_on_path

SPARSE_COST = 6.0  # on CPU the two paths took the same measured time near d_sae / k = 5
ROUNDS = 5
MARGIN = 1.05  # sparse must be beaten by this much, or two runs of one seed may differ in their last bits for nothing


def choose_path(
    d_in: int,
    d_sae: int,
    batch: int,
    k: int,
    device: torch.device | str,
    dtype: torch.dtype | None = None,
) -> str:
    """The faster path of a TopK step: "dense" or "sparse".

    On CPU it follows from the shapes, so that the same seed gives the same bits on every machine. On CUDA both are
    timed, once per shape in a process. dtype: the dtype to which autocast rounds factors, None for no autocast.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return fixed_path(d_sae, k)
    return timed_path(d_in, d_sae, batch, k, str(device), dtype)


def fixed_path(d_sae: int, k: int) -> str:
    """The faster path on CPU: sparse saves 8 of 10 dense products, 8 batch d_sae d_in FLOPs against 8 batch k d_in."""
    return "sparse" if k * SPARSE_COST <= d_sae else "dense"


@cache
def timed_path(d_in: int, d_sae: int, batch: int, k: int, device: str, dtype: torch.dtype | None) -> str:
    seconds = time_paths(d_in, d_sae, batch, k, device, dtype)
    return "dense" if seconds["dense"] * MARGIN < seconds["sparse"] else "sparse"


def time_paths(
    d_in: int,
    d_sae: int,
    batch: int,
    k: int,
    device: torch.device | str,
    dtype: torch.dtype | None = None,
    rounds: int = ROUNDS,
) -> dict[str, float]:
    """Median seconds of forward and backward on either path, the two interleaved, on random data.

    Draws from a generator of its own, so a run's random numbers stay the same.
    """
    device = torch.device(device)
    generator = torch.Generator(device).manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    x, b_enc, b_dec = draw(batch, d_in), draw(d_sae), draw(d_in)
    w_dec = draw(d_sae, d_in) / d_in**0.5
    w_enc = w_dec.clone().T
    leaves = [t.requires_grad_() for t in (w_enc, b_enc, b_dec, w_dec)]

    def seconds(path: str) -> float:
        synchronise(device)
        started = time.perf_counter()
        with torch.enable_grad(), torch.autocast(device.type, dtype, enabled=dtype is not None):
            x_hat = decode(topk_on_path(path, x, w_enc, b_enc, b_dec, k), w_dec, b_dec)
        torch.autograd.grad((x - x_hat).pow(2).sum(), leaves)
        synchronise(device)
        return time.perf_counter() - started

    paths = ("dense", "sparse")
    for path in paths:
        seconds(path)  # kernels are loaded, memory is allocated
    taken = [{path: seconds(path) for path in paths} for _ in range(rounds)]
    return {path: median(one[path] for one in taken) for path in paths}


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
