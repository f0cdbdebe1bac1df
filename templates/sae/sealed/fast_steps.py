"""Fast training steps of sparse autoencoders (SAEs), on CPU and CUDA: encode, decode, gradients, update.

These are pieces and not one closed loss. Add terms on codes and x_hat, on z or on parameters, and autograd does the
rest.

    codes = topk_encode(x, W_enc, b_enc, b_dec, k)           TopK: the k largest of ReLU(pre) in each row -> Codes
    codes = batch_topk_encode(x, W_enc, b_enc, b_dec, k)     BatchTopK: the k * batch largest of the batch -> Codes
    codes = topk_codes(pre, k), batch_topk_codes(pre, k)     the same from pre-activations that an idea made itself
    z = relu_encode(x, W_enc, b_enc, b_dec)                  dense z
    z = threshold_encode(x, W_enc, b_enc, b_dec, threshold)  dense z: pre if pre > threshold (BatchTopK, inference)
    z, l0 = jumprelu_encode(x, W_enc, b_enc, b_dec, log_threshold, bandwidth)    dense z, 0-dim l0 to be penalised
    x_hat = decode(codes, W_dec, b_dec)                      or decode(z, W_dec, b_dec)
    x_hat, l1 = decode_with_l1(z, W_dec, b_dec)              l1: sum_i z_i |W_dec_i|, mean over the batch
    x_aux = auxk_reconstruction(x, W_enc, b_enc, b_dec, W_dec, dead, k_aux)      None if no latent is dead
    firing_counts(codes), mean_l0(codes)                     or of z, without gradient and without a dense matrix
    update_threshold(threshold, codes)                       running inference threshold of BatchTopK, in place
    W_enc = encoder_parameter(weight)                        a parameter (d_in, d_sae) with the fast memory order
    optimizer = SAEOptimizer(sae, lr=..., clip_norm=1.0, unit_rows=("W_dec",))
        .set_lr(lr | {name: lr})  .zero_grad()  norm = .step()  .state_dict()  .load_state_dict(state)
    normalise_rows(W_dec)                                    rows back to norm 1, in place
    choose_path(d_in, d_sae, batch, k, device)               "dense" or "sparse", which topk_encode asks by itself

Shapes: x (batch, d_in), W_enc (d_in, d_sae), b_enc (d_sae,), W_dec (d_sae, d_in) contiguous, b_dec (d_in,), z (batch,
d_sae), log_threshold (d_sae,), dead (d_sae,) bool. pre = (x - b_dec) W_enc + b_enc. All of one floating dtype: float32,
or float64 to check gradients.
Codes: values (entries,) with gradient, latents and rows (entries,) int64, shape (batch, d_sae), dense() -> z,
with_values(values) -> Codes. For TopK values.view(batch, k). Some are 0 if fewer latents are positive.
A TopK step with AuxK:

    codes = topk_encode(x, sae.W_enc, sae.b_enc, sae.b_dec, k)
    x_hat = decode(codes, sae.W_dec, sae.b_dec)
    loss = squared_error(x, x_hat)
    x_aux = auxk_reconstruction(x, sae.W_enc, sae.b_enc, sae.b_dec, sae.W_dec, dead, k_aux)
    if x_aux is not None:
        loss = loss + AUX_COEF * squared_error((x - x_hat).detach(), x_aux)
    optimizer.zero_grad(); loss.backward(); optimizer.step()

Inside `with torch.autocast(x.device.type, torch.bfloat16)` products over all latents round their factors to bfloat16.
On the sparse path and for BatchTopK the values of the entries are then computed again in float32, so that the rounding
affects only the choice of entries. On the dense path the values keep bfloat16's rounding.
"""

from __future__ import annotations

import torch
from fast_kernels.codes import Codes, Layout, select_topk
from fast_kernels.dense import DenseDecode, DenseEncode, JumpReluEncode, scores
from fast_kernels.optimizer import SAEOptimizer, normalise_rows, remove_parallel
from fast_kernels.paths import choose_path, fixed_path, time_paths
from fast_kernels.topk import attach_encoder, decode, matmul_dtype, topk_on_path
from torch import Tensor, nn

__all__ = [
    "Codes",
    "SAEOptimizer",
    "auxk_reconstruction",
    "batch_topk_codes",
    "batch_topk_encode",
    "choose_path",
    "decode",
    "decode_with_l1",
    "encoder_parameter",
    "firing_counts",
    "fixed_path",
    "jumprelu_encode",
    "mean_l0",
    "normalise_rows",
    "relu_encode",
    "remove_parallel",
    "threshold_encode",
    "time_paths",
    "topk_codes",
    "topk_encode",
    "update_threshold",
]


def encoder_parameter(weight: Tensor) -> nn.Parameter:
    """A parameter with the values and shape (d_in, d_sae) of weight, each latent's weights side by side in memory.

    Any other order gives the same results, but gradients are copied once more.
    """
    return nn.Parameter(weight.detach().T.clone(memory_format=torch.contiguous_format).T)


# --------------------------------------------------------------------------------------------------------------- encode


def topk_encode(x: Tensor, W_enc: Tensor, b_enc: Tensor, b_dec: Tensor, k: int, *, path: str | None = None) -> Codes:
    """Codes of the k largest of ReLU(pre) in each row.

    path: "dense", "sparse", or None for the choice of choose_path. Both give the same codes and gradients.
    Raises: ValueError unless 1 <= k <= d_sae.
    """
    d_in, d_sae = W_enc.shape
    path = path or choose_path(d_in, d_sae, x.shape[0], k, x.device, matmul_dtype(x))
    return topk_on_path(path, x, W_enc, b_enc, b_dec, k)


def batch_topk_encode(x: Tensor, W_enc: Tensor, b_enc: Tensor, b_dec: Tensor, k: int) -> Codes:
    """Codes of the k * batch largest of ReLU(pre) in the whole batch. Rows differ in their number of entries.

    Raises: ValueError unless 1 <= k <= d_sae. Source: Bussmann et al. 2024, "BatchTopK Sparse Autoencoders".
    """
    dtype = matmul_dtype(x)
    with torch.autocast(x.device.type, enabled=False), torch.no_grad():
        centred = x - b_dec  # (batch, d_in)
        values, layout = select_batch(scores(centred, W_enc, b_enc, dtype), k)
    return attach_encoder(values, x, centred, W_enc, b_enc, b_dec, layout, exact=dtype is None)


def topk_codes(pre: Tensor, k: int) -> Codes:
    """Codes of the k largest of ReLU(pre) in each row, for pre (batch, d_sae) with any history.

    Raises: ValueError unless 1 <= k <= d_sae.
    """
    _, latents = select_topk(pre, k)
    return Codes(Layout.of_width(latents, pre.shape[1]), values=pre.gather(1, latents).relu().flatten())


def batch_topk_codes(pre: Tensor, k: int) -> Codes:
    """Codes of the k * batch largest of ReLU(pre) in the batch, for pre (batch, d_sae) with any history.

    Raises: ValueError unless 1 <= k <= d_sae.
    """
    _, layout = select_batch(pre, k)
    return Codes(layout, values=pre[layout.rows, layout.latents].relu())


def select_batch(pre: Tensor, k: int) -> tuple[Tensor, Layout]:
    """Values (entries,) of the k * batch largest of ReLU(pre), without gradient, and their places.

    Raises: ValueError unless 1 <= k <= d_sae.
    """
    batch, d_sae = pre.shape
    if not 1 <= k <= d_sae:
        raise ValueError(f"k = {k}: it must be between 1 and d_sae = {d_sae}")
    values, places = select_topk(pre.reshape(1, -1), k * batch)
    places, order = places[0].sort()  # rows in order
    rows = torch.arange(batch, device=pre.device)
    starts = torch.searchsorted(places, rows * d_sae)  # (batch,)
    return values[0][order], Layout(places % d_sae, starts, d_sae)


def relu_encode(x: Tensor, W_enc: Tensor, b_enc: Tensor, b_dec: Tensor) -> Tensor:
    """z = ReLU(pre), (batch, d_sae)."""
    dtype = matmul_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        return DenseEncode.apply(x, W_enc, b_enc, b_dec, None, dtype)[0]


def threshold_encode(x: Tensor, W_enc: Tensor, b_enc: Tensor, b_dec: Tensor, threshold: Tensor | float) -> Tensor:
    """z = pre if pre > threshold, else 0, (batch, d_sae). threshold >= 0, a scalar or (d_sae,), has no gradient."""
    pre = (x - b_dec) @ W_enc + b_enc  # (batch, d_sae)
    return pre * (pre > threshold)


def jumprelu_encode(
    x: Tensor,
    W_enc: Tensor,
    b_enc: Tensor,
    b_dec: Tensor,
    log_threshold: Tensor,
    bandwidth: float,
) -> tuple[Tensor, Tensor]:
    """z = pre if pre > exp(log_threshold), else 0, and l0: latents on per row, mean over the batch, 0-dim.

    l0's gradient reaches log_threshold alone. bandwidth > 0, in units of pre: a pre-activation moves the threshold if
    it lies within half of it. The paper's 0.001 is for x of mean squared norm 1. Scale it with the norm.
    Source: Rajamanoharan et al. 2024, "Jumping Ahead".
    """
    dtype = matmul_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        return JumpReluEncode.apply(x, W_enc, b_enc, b_dec, log_threshold, bandwidth, dtype)


# --------------------------------------------------------------------------------------------------------------- decode


def decode_with_l1(z: Tensor, W_dec: Tensor, b_dec: Tensor) -> tuple[Tensor, Tensor]:
    """x_hat (batch, d_in), and sum_i z_i |W_dec_i|, mean over the batch, 0-dim. z (batch, d_sae) >= 0.

    The two share one backward pass. The penalty's gradients reach z and W_dec.
    """
    dtype = matmul_dtype(z)
    with torch.autocast(z.device.type, enabled=False):
        return DenseDecode.apply(z, W_dec, b_dec, True, dtype)


# --------------------------------------------------------------------------------------------------------- dead latents


def auxk_reconstruction(
    x: Tensor, W_enc: Tensor, b_enc: Tensor, b_dec: Tensor, W_dec: Tensor, dead: Tensor, k_aux: int
) -> Tensor | None:
    """Reconstruction (batch, d_in), without b_dec, by the k_aux largest dead latents of each row. None if none is dead.

    dead: (d_sae,) bool. If fewer latents than k_aux are dead, all of them are used. Only their weights are read.
    Source: Gao et al. 2024, "Scaling and evaluating sparse autoencoders", A.2.
    """
    latents = dead.nonzero().squeeze(1)  # (n_dead,)
    if latents.shape[0] == 0:
        return None
    pre = torch.addmm(b_enc[latents], x - b_dec, W_enc.T[latents].T)  # (batch, n_dead)
    z = pre.relu()
    if k_aux < latents.shape[0]:
        kept = torch.zeros_like(z, dtype=torch.bool).scatter_(1, select_topk(pre, k_aux)[1], True)
        z = z * kept
    return z @ W_dec[latents]


@torch.no_grad()
def firing_counts(codes: Codes | Tensor) -> Tensor:
    """Number of rows of the batch on which each latent fired, (d_sae,) int64."""
    if isinstance(codes, Tensor):
        return (codes > 0).sum(dim=0)
    counts = torch.zeros(codes.shape[1], dtype=torch.long, device=codes.latents.device)
    return counts.index_add_(0, codes.latents, (codes.values > 0).long())


@torch.no_grad()
def mean_l0(codes: Codes | Tensor) -> Tensor:
    """Latents on per row, mean over the batch, 0-dim float32."""
    values = codes if isinstance(codes, Tensor) else codes.values
    return (values > 0).sum() / codes.shape[0]


@torch.no_grad()
def update_threshold(threshold: Tensor, codes: Codes, rate: float = 0.01) -> None:
    """Move the inference threshold towards the smallest positive value of a batch's codes, in place.

    threshold: 0-dim, negative before the first update, which sets it. A batch without a positive value changes nothing.
    """
    lowest = torch.where(codes.values > 0, codes.values, torch.inf).amin()
    moved = torch.where(threshold < 0, lowest, threshold + rate * (lowest - threshold))
    threshold.copy_(torch.where(lowest.isfinite(), moved, threshold))
