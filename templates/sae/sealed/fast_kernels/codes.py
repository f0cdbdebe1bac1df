"""Sparse codes of a batch, the exact selection of the largest latents, and the gradients that touch only them.

One batch has `entries` pairs (row, latent): batch * k of them. Backward never builds the dense (batch, d_sae) matrix.
The entries are sorted by latent once, and both weight gradients are then weighted sums of rows, one bag per latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST_CHUNK = 8  # shorter chunks are slower, and below 4 the rounds of selection would not end
indexed_dots = torch.ops.aten._embedding_bag_per_sample_weights_backward
INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes


# ------------------------------------------------------------------------------------------------------------ selection


def chunk_size(width: int, k: int) -> int:
    """A power of two near sqrt(width / k), at least 1, which makes both rounds of selection short."""
    size = 1
    while 2 * size * size * k <= width:
        size *= 2
    return size


def largest(keys: Tensor, k: int) -> Tensor:
    """Indices of the k largest of each row, in no order. (rows, width) -> (rows, k) int64.

    The k largest lie in the k chunks with the largest maxima, so those are looked for first. The result is exact, and
    the choice among equal values is arbitrary. Chunk c is the columns c, c + chunks, c + 2 chunks, ..., so that maxima
    are taken across whole vectors.
    """
    rows, width = keys.shape
    size = chunk_size(width, k)
    if keys.device.type != "cpu" or size < LEAST_CHUNK:
        return keys.topk(k, dim=1, sorted=False).indices
    chunks = width // size
    body = keys[:, : size * chunks].unflatten(1, (size, chunks))  # (rows, size, chunks)
    best = largest(body.amax(dim=1), k)  # (rows, k)
    candidates = body.gather(2, best.unsqueeze(1).expand(rows, size, k)).flatten(1)  # (rows, size * k)
    rest = width - size * chunks
    if rest:
        candidates = torch.cat([candidates, keys[:, size * chunks :]], dim=1)  # (rows, size * k + rest)
    place = largest(candidates, k)  # (rows, k)
    columns = (place // k) * chunks + best.gather(1, place % k)  # (rows, k)
    if rest:
        columns = torch.where(place < size * k, columns, place + (size * chunks - size * k))
    return columns


def select_topk(pre: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of ReLU(pre) in each row: values and latents, (rows, k) each, in no order, without gradient.

    If fewer than k are positive, the other values are 0.
    Raises: ValueError unless 1 <= k <= d_sae.
    """
    if not 1 <= k <= pre.shape[1]:
        raise ValueError(f"k = {k}: it must be between 1 and d_sae = {pre.shape[1]}")
    pre = pre.detach()
    # Bits of positive floats, read as integers, have the order of the floats and save topk its checks for NaN.
    # Negative floats become negative integers, in the wrong order, but after ReLU they are all the same.
    keys = pre.view(INTEGERS[pre.element_size()]) if pre.device.type == "cpu" else pre
    latents = largest(keys, k)
    return pre.gather(1, latents).relu_(), latents


# ---------------------------------------------------------------------------------------------------------------- codes


@dataclass(frozen=True, slots=True)
class ByLatent:
    """Entries sorted by latent: order (entries,) int64, and in int32 latents, rows (entries,) and starts (d_sae,)."""

    order: Tensor
    latents: Tensor
    rows: Tensor
    starts: Tensor


class Layout:
    """Places of a batch's entries: `latents` (entries,) int64, with the entries of one row together and rows in order.

    `starts` (batch,) int64 is the index of each row's first entry. `by_latent` is computed once, for both backward
    passes.
    """

    def __init__(self, latents: Tensor, starts: Tensor, d_sae: int) -> None:
        self.latents = latents
        self.starts = starts
        self.d_sae = d_sae
        self.latents32 = latents.int()  # half the bytes to sort and to gather by
        self.starts32 = starts.int()

    @classmethod
    def of_width(cls, latents: Tensor, d_sae: int) -> Layout:
        """The layout of latents (batch, k), in which every row has the same number of entries."""
        batch, k = latents.shape
        return cls(latents.flatten(), torch.arange(0, batch * k, k, device=latents.device), d_sae)

    @property
    def batch(self) -> int:
        return self.starts.shape[0]

    @cached_property
    def rows(self) -> Tensor:
        """Row of each entry, (entries,) int64."""
        ends = torch.cat([self.starts[1:], self.starts.new_full((1,), self.latents.shape[0])])
        return torch.repeat_interleave(ends - self.starts, output_size=self.latents.shape[0])

    @cached_property
    def by_latent(self) -> ByLatent:
        latents, order = self.latents32.sort()
        every = torch.arange(self.d_sae, dtype=torch.int32, device=latents.device)
        return ByLatent(order, latents, self.rows[order].int(), torch.searchsorted(latents, every, out_int32=True))


class Codes:
    """Sparse codes of a batch.

    values   (entries,) >= 0, with gradient, the entries of one row together, rows in order
    latents  (entries,) int64: the latent of each entry
    rows     (entries,) int64: the row of each entry
    shape    (batch, d_sae)
    For TopK `values.view(batch, k)` and `latents.view(batch, k)` are one row each, in no order.
    """

    def __init__(self, layout: Layout, values: Tensor | None = None, z: Tensor | None = None) -> None:
        if (values is None) == (z is None):
            raise ValueError("codes are given as values or as a dense z, one of the two")
        self.layout = layout
        self.z = z  # (batch, d_sae) on the dense path, else None
        self._values = values

    @property
    def values(self) -> Tensor:
        if self._values is None:
            self._values = self.z[self.rows, self.latents]
        return self._values

    @property
    def latents(self) -> Tensor:
        return self.layout.latents

    @property
    def rows(self) -> Tensor:
        return self.layout.rows

    @property
    def shape(self) -> tuple[int, int]:
        return self.layout.batch, self.layout.d_sae

    def dense(self) -> Tensor:
        """The codes as z (batch, d_sae), with gradient."""
        if self.z is not None:
            return self.z
        return self._values.new_zeros(self.shape).index_put((self.rows, self.latents), self._values)

    def with_values(self, values: Tensor) -> Codes:
        """Codes with the same latents and other values (entries,), scaled or gated. The sort by latent is shared."""
        return Codes(self.layout, values=values)


# ------------------------------------------------------------------------------------------------------------ gradients


def bags(table: Tensor, indices: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of rows of table (n, d_in), one bag per start: (bags, d_in). An empty bag gives zeros."""
    # Detached, because the kernel would prepare a backward pass of its own.
    return F.embedding_bag(indices, table.detach(), starts, mode="sum", per_sample_weights=weights)


def entry_dots(left: Tensor, table: Tensor, layout: Layout) -> Tensor:
    """Dot product left[row] . table[latent] for each entry, (entries,).

    Shapes: left (batch, d_in), table (d_sae, d_in). Goes latent by latent, so that each row of the large table is read
    from memory once.
    """
    by = layout.by_latent
    dots = indexed_dots(table, left, by.rows, by.starts, by.latents, 0)
    return torch.empty_like(dots).index_copy_(0, by.order, dots)


class SparseEncode(torch.autograd.Function):
    """Gives selected values their gradient with respect to x, W_enc, b_enc and b_dec. The selection has none."""

    @staticmethod
    def forward(ctx, values, x, centred, w_enc, b_enc, b_dec, layout):
        ctx.save_for_backward(values, centred, w_enc)
        ctx.layout = layout
        return values.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out):
        values, centred, w_enc = ctx.saved_tensors
        layout = ctx.layout
        d_values = d_out * (values > 0)  # (entries,)
        by = layout.by_latent
        d_x = d_w_enc = d_b_dec = None
        if ctx.needs_input_grad[1]:
            d_x = bags(w_enc.T.contiguous(), layout.latents32, layout.starts32, d_values)
        if ctx.needs_input_grad[3]:
            d_w_enc = bags(centred, by.rows, by.starts, d_values[by.order]).T  # (d_in, d_sae)
        d_b_enc = d_values.new_zeros(layout.d_sae).index_add_(0, layout.latents, d_values)
        if ctx.needs_input_grad[5]:
            d_b_dec = -(w_enc @ d_b_enc)
        return None, d_x, None, d_w_enc, d_b_enc, d_b_dec, None


class SparseDecode(torch.autograd.Function):
    """x_hat = sum over a row's entries of value * W_dec[latent], + b_dec."""

    @staticmethod
    def forward(ctx, values, w_dec, b_dec, layout):
        ctx.save_for_backward(values, w_dec)
        ctx.layout = layout
        return bags(w_dec, layout.latents32, layout.starts32, values).add_(b_dec)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out):
        values, w_dec = ctx.saved_tensors
        layout = ctx.layout
        d_out = d_out.contiguous()
        d_values = d_w_dec = d_b_dec = None
        if ctx.needs_input_grad[0]:
            d_values = entry_dots(d_out, w_dec, layout)
        if ctx.needs_input_grad[1]:
            by = layout.by_latent
            d_w_dec = bags(d_out, by.rows, by.starts, values[by.order])
        if ctx.needs_input_grad[2]:
            d_b_dec = d_out.sum(dim=0)
        return d_values, d_w_dec, d_b_dec, None
