"""Training activations for experiments: rows of a file that was prepared once, read in order through a memory map.

SCIENTIST_TRAINING_DATA names the prepared folder. It holds meta.json and activations.bin, which is rows x d_in values
of float16, bfloat16 or float32. They were shuffled when they were written, and those of a language model were scaled so
that the mean squared norm is d_in. Synthetic activations keep their own scale, 1. A run reads from a row that its seed
chooses and goes on at the first row after the last one. The same seed gives the same batches, even if the run draws
other random numbers.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from data.store import Damaged, check_sizes, reading
from torch import Tensor

VARIABLE = "SCIENTIST_TRAINING_DATA"
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


class NoTrainingData(Exception):
    """No activations can be read. The message says in one line why, and how to mend it."""


def read_profile(path: str | Path = "profile.json") -> dict[str, Any]:
    """The profile that the run was started with: "steps", "batch_size", "d_in", "d_sae", "k", "threads", "dtype"."""
    return json.loads(Path(path).read_text())


def meta() -> dict[str, Any]:
    """Facts of the data: "rows", "d_in", "dtype", "scale" (the factor already applied), "data_id".

    Raises: NoTrainingData.
    """
    folder = training_folder()
    try:
        return json.loads((folder / "meta.json").read_text())
    except (OSError, ValueError) as e:
        raise NoTrainingData(f"{folder / 'meta.json'} cannot be read: {e}; prepare the data again") from e


def batches(*, seed: int, steps: int, batch_size: int) -> Iterator[Tensor]:
    """Training activations: `steps` tensors x (batch_size, d_in), float32, on the CPU, without gradient.

    Raises: NoTrainingData. ValueError if steps < 0 or batch_size < 1.
    """
    if steps < 0 or batch_size < 1:
        raise ValueError(f"steps {steps}, batch_size {batch_size}: expected at least 0 and 1")
    folder = training_folder()
    try:
        with reading(folder):  # kept from being evicted meanwhile
            rows = open_rows(folder)
            start = first_row(seed, len(rows))
            for _ in range(steps):
                yield take(rows, start, batch_size)
                start = (start + batch_size) % len(rows)
    except Damaged as e:
        raise NoTrainingData(f"{e}; prepare the data again") from e


def training_folder() -> Path:
    """The folder that SCIENTIST_TRAINING_DATA names.

    Raises: NoTrainingData if it is unset or no folder.
    """
    name = os.environ.get(VARIABLE, "")
    if not name:
        raise NoTrainingData(f"{VARIABLE} is not set: it names the folder that prepare.py made")
    if not Path(name).is_dir():
        raise NoTrainingData(f"{VARIABLE} names {name}, which is no folder: prepare the data again")
    return Path(name)


def open_rows(folder: Path) -> Tensor:
    """All rows, (rows, d_in) in their stored dtype, mapped from the file and read as they are used.

    Raises: Damaged if a file is missing or has not the size that it was made with.
    """
    check_sizes(folder)
    found = json.loads((folder / "meta.json").read_text())
    shape, dtype = (found["rows"], found["d_in"]), DTYPES[found["dtype"]]
    path = folder / "activations.bin"
    if path.stat().st_size != shape[0] * shape[1] * dtype.itemsize or not shape[0]:
        raise Damaged(folder, f"activations.bin does not hold {shape[0]} rows of {shape[1]} {found['dtype']} values")
    return torch.from_file(str(path), shared=False, size=shape[0] * shape[1], dtype=dtype).view(shape)


def first_row(seed: int, rows: int) -> int:
    """Index of the row at which a run with this seed begins to read."""
    return random.Random(f"first row {seed}").randrange(rows)


def take(rows: Tensor, start: int, count: int) -> Tensor:
    """`count` rows from `start` on, (count, d_in) float32, going on at row 0 after the last."""
    end = start + count
    if end <= len(rows):
        return rows[start:end].to(torch.float32, copy=True)
    return rows[torch.arange(start, end) % len(rows)].float()
