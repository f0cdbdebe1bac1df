"""Dense codes z (batch, d_sae) of ReLU, JumpReLU and of TopK if dense products are faster, and their gradients."""

from __future__ import annotations

import torch
from fast_kernels.codes import select_topk
from torch import Tensor
from torch.autograd.function import once_differentiable

WIDE = 256  # columns of a product from which oneDNN wins although it copies a factor


def product(a: Tensor, b: Tensor, dtype: torch.dtype | None, bias: Tensor | None = None) -> Tensor:
    """a @ b + bias, without history, in a's dtype. If dtype (bfloat16) is given, the factors are rounded to it first.

    Shapes: a (m, n), b (n, p), bias (p,). On CPU float32 goes to oneDNN, which was 10 to 25 % faster than addmm's BLAS
    on an AMD EPYC with AVX-512, and which adds the bias in the same pass, while addmm first copies it over the result.
    But oneDNN copies a transposed a, which is worth it only if there is enough to multiply.
    """
    if dtype is not None:
        out = (a.to(dtype) @ b.to(dtype)).to(a.dtype)
        return out if bias is None else out.add_(bias)
    on_cpu = a.device.type == "cpu" and a.dtype is torch.float32 and torch.backends.mkldnn.is_available()
    if on_cpu and (a.is_contiguous() or b.shape[1] >= WIDE):
        return torch.ops.mkldnn._linear_pointwise(a, b.T, bias, "none", [], "")
    return a @ b if bias is None else torch.addmm(bias, a, b)


def scores(centred: Tensor, w_enc: Tensor, b_enc: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Pre-activations to select by, without history, (batch, d_sae). If dtype is given, they are left in it."""
    if dtype is None:
        return product(centred, w_enc, None, b_enc)
    return torch.nn.functional.linear(centred.to(dtype), w_enc.T.to(dtype), b_enc.to(dtype))


def encoder_gradients(ctx, d_pre: Tensor, centred: Tensor, w_enc: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of x, W_enc, b_enc and b_dec from that of pre = (x - b_dec) W_enc + b_enc, d_pre (batch, d_sae)."""
    need_x, need_w, need_b_enc, need_b_dec = ctx.needs_input_grad[:4]
    d_x = product(d_pre, w_enc.T, ctx.dtype) if need_x else None
    d_w_enc = None
    if need_w and w_enc.stride(0) == 1:  # autograd copies a gradient whose strides are not the parameter's
        d_w_enc = product(d_pre.T, centred, ctx.dtype).T
    elif need_w:
        d_w_enc = product(centred.T, d_pre, ctx.dtype)
    d_b_enc = d_pre.sum(dim=0) if need_b_enc or need_b_dec else None
    d_b_dec = -(w_enc @ d_b_enc) if need_b_dec else None
    return d_x, d_w_enc, d_b_enc, d_b_dec


class DenseEncode(torch.autograd.Function):
    """z = ReLU(pre), (batch, d_sae). If k is not None, only the k largest of each row are kept."""

    @staticmethod
    def forward(ctx, x, w_enc, b_enc, b_dec, k, dtype):
        centred = x - b_dec  # (batch, d_in)
        z = product(centred, w_enc, dtype, b_enc).relu_()  # (batch, d_sae)
        latents = None
        if k is not None:
            values, latents = select_topk(z, k)
            z = z.zero_().scatter_(1, latents, values)
            ctx.mark_non_differentiable(latents)
        ctx.save_for_backward(centred, w_enc, z)
        ctx.dtype = dtype
        return z, latents

    @staticmethod
    @once_differentiable
    def backward(ctx, d_z, _):
        centred, w_enc, z = ctx.saved_tensors
        d_pre = torch.ops.aten.threshold_backward(d_z, z, 0)  # (batch, d_sae)
        return *encoder_gradients(ctx, d_pre, centred, w_enc), None, None


class DenseDecode(torch.autograd.Function):
    """x_hat = z W_dec + b_dec, and with with_l1 the penalty sum_i z_i |W_dec_i|, mean over the batch, else None.

    The penalty's gradient with respect to z is one row for the whole batch: it enters the product as its bias.
    """

    @staticmethod
    def forward(ctx, z, w_dec, b_dec, with_l1, dtype):
        ctx.dtype = dtype
        norms = mass = None
        if with_l1:
            norms, mass = w_dec.norm(dim=1), z.sum(dim=0) / z.shape[0]  # (d_sae,) each
        ctx.save_for_backward(z, w_dec, norms, mass)
        return product(z, w_dec, dtype, b_dec), None if mass is None else mass @ norms

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out, d_l1):
        z, w_dec, norms, mass = ctx.saved_tensors
        need_z, need_w, need_b = ctx.needs_input_grad[:3]
        d_z = d_w_dec = None
        if need_z:
            d_z = product(d_out, w_dec.T, ctx.dtype, None if norms is None else norms * (d_l1 / z.shape[0]))
        if need_w:
            d_w_dec = product(z.T, d_out, ctx.dtype)
        if need_w and norms is not None:
            d_w_dec.addcmul_(w_dec, (mass * d_l1 / norms.clamp(min=1e-12)).unsqueeze(1))
        return d_z, d_w_dec, d_out.sum(dim=0) if need_b else None, None, None


class JumpReluEncode(torch.autograd.Function):
    """z = pre if pre > exp(log_threshold), else 0, and its mean L0, with straight-through gradients for the threshold.

    With threshold t, bandwidth e and the rectangle K(u) = 1 for |u| < 1/2: dz/dt = -(t / e) K((pre - t) / e) and
    dL0/dt = -(1 / e) K((pre - t) / e), summed over latents. The L0 has no gradient with respect to pre.
    Source: Rajamanoharan et al. 2024, "Jumping Ahead", equations 11 and 12.
    """

    @staticmethod
    def forward(ctx, x, w_enc, b_enc, b_dec, log_threshold, bandwidth, dtype):
        centred = x - b_dec  # (batch, d_in)
        pre = product(centred, w_enc, dtype, b_enc)  # (batch, d_sae)
        threshold = log_threshold.exp()  # (d_sae,)
        ctx.save_for_backward(centred, w_enc, pre, threshold)
        ctx.dtype, ctx.bandwidth = dtype, bandwidth
        fires = pre > threshold  # (batch, d_sae)
        return pre * fires, fires.sum().to(x.dtype) / x.shape[0]

    @staticmethod
    @once_differentiable
    def backward(ctx, d_z, d_l0):
        centred, w_enc, pre, threshold = ctx.saved_tensors
        d_log = None
        if ctx.needs_input_grad[4]:
            near = (pre - threshold).abs_() < ctx.bandwidth / 2  # (batch, d_sae)
            d_jump = (d_z * near).sum(dim=0) * threshold + near.sum(dim=0) * (d_l0 / pre.shape[0])  # (d_sae,)
            d_log = -d_jump * threshold / ctx.bandwidth
        d_pre = d_z * (pre > threshold)
        return *encoder_gradients(ctx, d_pre, centred, w_enc), d_log, None, None
