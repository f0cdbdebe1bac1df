"""TopK codes on the dense or the sparse path, and the reconstruction from codes of either."""

from __future__ import annotations

import torch
from fast_kernels.codes import Codes, Layout, SparseDecode, SparseEncode, entry_dots, select_topk
from fast_kernels.dense import DenseDecode, DenseEncode, scores
from torch import Tensor


def topk_on_path(path: str, x: Tensor, W_enc: Tensor, b_enc: Tensor, b_dec: Tensor, k: int) -> Codes:
    """Codes of the k largest of ReLU(pre) in each row, computed on the path "dense" or "sparse".

    Raises: ValueError unless 1 <= k <= d_sae.
    """
    d_sae, dtype = W_enc.shape[1], matmul_dtype(x)
    if path == "dense":
        with torch.autocast(x.device.type, enabled=False):
            z, latents = DenseEncode.apply(x, W_enc, b_enc, b_dec, k, dtype)
        return Codes(Layout.of_width(latents, d_sae), z=z)
    with torch.autocast(x.device.type, enabled=False), torch.no_grad():
        centred = x - b_dec  # (batch, d_in)
        values, latents = select_topk(scores(centred, W_enc, b_enc, dtype), k)
    layout = Layout.of_width(latents, d_sae)
    return attach_encoder(values.flatten(), x, centred, W_enc, b_enc, b_dec, layout, exact=dtype is None)


def attach_encoder(
    values: Tensor,
    x: Tensor,
    centred: Tensor,
    W_enc: Tensor,
    b_enc: Tensor,
    b_dec: Tensor,
    layout: Layout,
    *,
    exact: bool,
) -> Codes:
    """Codes whose values (entries,) have gradients. If the values are not exact, they are computed again first."""
    with torch.autocast(x.device.type, enabled=False):
        if not exact:
            with torch.no_grad():
                values = entry_dots(centred, W_enc.T.contiguous(), layout).add_(b_enc[layout.latents]).relu_()
        return Codes(layout, values=SparseEncode.apply(values, x, centred, W_enc, b_enc, b_dec, layout))


def decode(codes: Codes | Tensor, W_dec: Tensor, b_dec: Tensor) -> Tensor:
    """x_hat = z W_dec + b_dec, (batch, d_in)."""
    z = codes if isinstance(codes, Tensor) else codes.z
    dtype = matmul_dtype(b_dec)
    with torch.autocast(b_dec.device.type, enabled=False):
        if z is not None:
            return DenseDecode.apply(z, W_dec, b_dec, False, dtype)[0]
        return SparseDecode.apply(codes.values, W_dec, b_dec, codes.layout)


def matmul_dtype(x: Tensor) -> torch.dtype | None:
    """The dtype to which autocast rounds the factors of a product. None if it is off, or if x is not float32."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind) or x.dtype is not torch.float32:
        return None
    return torch.get_autocast_dtype(kind)
