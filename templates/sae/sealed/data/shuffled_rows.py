"""Writes rows in random order to one file, in bounded memory and with sequential reads and writes only.

Every row goes to one of many parts, drawn at random. Then each part, small enough for memory, is shuffled, scaled and
appended to the result. That makes every order of all rows equally likely.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

PART_BYTES = 256 << 20


class NotFinite(Exception):
    """A row holds NaN or a value beyond the range of the dtype. The message names the dtype."""


class ShuffledRows:
    """Collects rows (n, d_in) of one dtype. `finish` writes them in an order that the seed decides.

    About PART_BYTES at most are in memory at a time. Parts lie beside the result, in the dtype of the rows.
    """

    def __init__(self, folder: Path, *, rows: int, d_in: int, dtype: torch.dtype, seed: int) -> None:
        self.d_in, self.dtype = d_in, dtype
        self.generator = torch.Generator().manual_seed(seed)
        count = max(1, math.ceil(rows * d_in * dtype.itemsize / PART_BYTES))
        self.paths = [folder / f"part-{index}" for index in range(count)]
        self.open = ExitStack()
        self.files = [self.open.enter_context(path.open("wb", buffering=1 << 16)) for path in self.paths]
        self.rows, self.square_sum = 0, 0.0

    def add(self, x: Tensor) -> None:
        """Take rows x (n, d_in), on the CPU."""
        x = x.to(self.dtype).contiguous()
        self.rows += len(x)
        self.square_sum += x.float().pow(2).sum(dim=1).double().sum().item()
        part = torch.randint(len(self.files), (len(x),), generator=self.generator)  # (n,)
        for index in part.unique().tolist():
            as_bytes(x[part == index]).tofile(self.files[index])

    def finish(self, path: Path, dtype: torch.dtype) -> float:
        """Write all rows to `path`, times the returned scale, which makes the mean squared norm d_in.

        Raises: NotFinite.
        """
        self.open.close()
        mean = self.square_sum / self.rows
        if not 0 < mean < math.inf:
            raise NotFinite(f"the mean squared norm of the activations is {mean}")
        scale = math.sqrt(self.d_in / mean)
        with path.open("wb") as f:
            for part in self.paths:
                if part.stat().st_size:
                    x = torch.frombuffer(bytearray(part.read_bytes()), dtype=self.dtype).view(-1, self.d_in)
                    order = torch.randperm(len(x), generator=self.generator)
                    shuffled = (x[order].float() * scale).to(dtype)
                    if not shuffled.isfinite().all():
                        raise NotFinite(f"an activation does not fit into {str(dtype).removeprefix('torch.')}")
                    as_bytes(shuffled).tofile(f)
                part.unlink()
        return scale


def as_bytes(x: Tensor) -> np.ndarray:
    """The values of a contiguous tensor as a numpy array of bytes, because numpy has no bfloat16."""
    return x.contiguous().view(torch.uint8).numpy()
