"""A small SAE and its losses, by the fast steps and by plain PyTorch, which the fast steps must agree with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from fast_steps import (
    batch_topk_encode,
    decode,
    decode_with_l1,
    encoder_parameter,
    jumprelu_encode,
    relu_encode,
    topk_encode,
)

BATCH, D_IN, D_SAE, K = 32, 16, 64, 5
BANDWIDTH = 0.3
L1 = 0.05
PATHS = ("sparse", "dense")


class SAE(torch.nn.Module):
    """Parameters alone. The memory order of W_enc is the fast one, or the plain one."""

    def __init__(self, d_in=D_IN, d_sae=D_SAE, dtype=torch.float32, seed=0, fast_order=True, jump=False):
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        rows = torch.nn.functional.normalize(torch.randn(d_sae, d_in, generator=g, dtype=dtype), dim=1)
        self.W_dec = torch.nn.Parameter(rows)
        self.W_enc = encoder_parameter(rows.T) if fast_order else torch.nn.Parameter(rows.T.clone())
        self.b_enc = torch.nn.Parameter(0.1 * torch.randn(d_sae, generator=g, dtype=dtype))
        self.b_dec = torch.nn.Parameter(0.1 * torch.randn(d_in, generator=g, dtype=dtype))
        if jump:
            self.log_threshold = torch.nn.Parameter(torch.full((d_sae,), -1.0, dtype=dtype))

    @property
    def encoder(self):
        return self.W_enc, self.b_enc, self.b_dec

    def pre(self, x):
        return (x - self.b_dec) @ self.W_enc + self.b_enc


def draw(*shape: int, seed: int = 1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def plain_topk(pre, k):
    values, latents = pre.relu().topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, latents, values)


def plain_batch_topk(pre, k):
    values, places = pre.relu().flatten().topk(k * pre.shape[0])
    return torch.zeros_like(pre).flatten().scatter(0, places, values).view_as(pre)


class PlainJump(torch.autograd.Function):
    """pre and H(pre - threshold) with straight-through gradients, term by term as in the paper."""

    @staticmethod
    def forward(ctx, pre, threshold):
        ctx.save_for_backward(pre, threshold)
        step = (pre > threshold).to(pre.dtype)
        return pre * step, step

    @staticmethod
    def backward(ctx, d_z, d_step):
        pre, threshold = ctx.saved_tensors
        kernel = (((pre - threshold) / BANDWIDTH).abs() < 0.5).to(pre.dtype)
        d_threshold = -threshold / BANDWIDTH * kernel * d_z - 1 / BANDWIDTH * kernel * d_step
        return d_z * (pre > threshold), d_threshold.sum(dim=0)


def squared_error(x, x_hat):
    return (x - x_hat).pow(2).sum(dim=1).mean()


# ----------------------------------------------------------------------------------------------- losses, fast and plain


def fast_topk(path) -> Callable:
    def loss(sae, x):
        return squared_error(x, decode(topk_encode(x, *sae.encoder, K, path=path), sae.W_dec, sae.b_dec))

    return loss


def fast_batch_topk(sae, x):
    return squared_error(x, decode(batch_topk_encode(x, *sae.encoder, K), sae.W_dec, sae.b_dec))


def fast_relu(sae, x):
    x_hat, l1 = decode_with_l1(relu_encode(x, *sae.encoder), sae.W_dec, sae.b_dec)
    return squared_error(x, x_hat) + L1 * l1


def fast_jump(sae, x):
    z, l0 = jumprelu_encode(x, *sae.encoder, sae.log_threshold, BANDWIDTH)
    return squared_error(x, decode(z, sae.W_dec, sae.b_dec)) + L1 * l0


def plain(sparsify) -> Callable:
    def loss(sae, x):
        return squared_error(x, sparsify(sae.pre(x), K) @ sae.W_dec + sae.b_dec)

    return loss


def plain_relu(sae, x):
    z = sae.pre(x).relu()
    l1 = (z * sae.W_dec.norm(dim=1)).sum(dim=1).mean()
    return squared_error(x, z @ sae.W_dec + sae.b_dec) + L1 * l1


def plain_jump(sae, x):
    z, step = PlainJump.apply(sae.pre(x), sae.log_threshold.exp())
    return squared_error(x, z @ sae.W_dec + sae.b_dec) + L1 * step.sum(dim=1).mean()


PAIRS = {
    "topk sparse": (fast_topk("sparse"), plain(plain_topk), False),
    "topk dense": (fast_topk("dense"), plain(plain_topk), False),
    "batch topk": (fast_batch_topk, plain(plain_batch_topk), False),
    "relu": (fast_relu, plain_relu, False),
    "jumprelu": (fast_jump, plain_jump, True),
}


def plain_update(sae, adam, lr, unit_rows=True, clip=1.0):
    adam.param_groups[0]["lr"] = lr
    with torch.no_grad():
        if unit_rows:
            along = (sae.W_dec.grad * sae.W_dec).sum(dim=1, keepdim=True)
            sae.W_dec.grad -= along * sae.W_dec
        torch.nn.utils.clip_grad_norm_(sae.parameters(), clip)
        adam.step()
        if unit_rows:
            sae.W_dec /= sae.W_dec.norm(dim=1, keepdim=True)
