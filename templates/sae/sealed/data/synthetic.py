"""Synthetic activations with known true features, drawn by sae_lens.synthetic.

A sample depends on (profile, stream, seed, index) and on nothing else, even if other code draws from torch's global
generator. Training and evaluation samples come from different streams of seeds. The feature directions, hierarchy and
correlations depend on the profile alone. x = true_activations @ feature_vectors + bias.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import lean_sae_lens
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

lean_sae_lens.install()

from sae_lens.synthetic.synthetic_model import SyntheticModel, SyntheticModelConfig  # noqa: E402

TRAINING, EVALUATION = 0, 1
TRAINING_CHUNK, EVALUATION_CHUNK = 1024, 4096  # rows drawn at once; other numbers give other samples


def build_model(profile: dict[str, Any]) -> SyntheticModel:
    """Build the synthetic model: directions (num_features, hidden_dim), firing probabilities, hierarchy, correlations.

    Its seed is profile["hidden"]["synthetic"]["seed"], not a run's seed.
    """
    # Compensation lifts rare children of rare parents to probability 1 given the parent; sae_lens warns of each clamp.
    logging.getLogger("sae_lens").setLevel(logging.ERROR)
    config = SyntheticModelConfig.from_dict(profile["hidden"]["synthetic"])
    # The directions are spread apart by gradient descent, under a progress bar that cannot be turned off.
    with torch.enable_grad(), contextlib.redirect_stderr(io.StringIO()):
        model = SyntheticModel(config)
    return model.requires_grad_(False)


class Stream:
    """Draws reproducible samples: call number i depends on (stream, seed, i) and on nothing else."""

    def __init__(self, model: SyntheticModel, stream: int, seed: int) -> None:
        self.model = model
        self._key = (stream, seed)
        self._calls = 0

    def sample(self, batch_size: int) -> Tensor:
        """True feature activations >= 0, (batch_size, num_features), float32. The global generator is not touched."""
        self._calls += 1
        return self.sample_at(self._calls - 1, batch_size)

    def sample_at(self, index: int, batch_size: int) -> Tensor:
        """The samples that call number `index` of `sample` draws."""
        words = np.random.SeedSequence([*self._key, index]).generate_state(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(words[0]))
            return self.model.activation_generator.sample(batch_size)


class StoredSamples:
    """The evaluation samples that preparation drew: Stream(model, EVALUATION, 0) in calls of EVALUATION_CHUNK.

    Raises: FileNotFoundError if the folder lacks them. IndexError if more are asked for than there are.
    """

    def __init__(self, folder: Path) -> None:
        tensors = load_file(folder / "samples.safetensors")
        self.counts, self.features, self.values = tensors["counts"], tensors["features"], tensors["values"]
        self.num_features = int(tensors["num_features"])
        self.rewind()

    def __len__(self) -> int:
        return len(self.counts)

    def rewind(self) -> None:
        """Let the next call of `sample` begin at the first sample again."""
        self._row = self._entry = 0

    def sample(self, batch_size: int) -> Tensor:
        """The next samples' true feature activations >= 0, (batch_size, num_features), float32."""
        if self._row + batch_size > len(self):
            raise IndexError(f"{self._row + batch_size} samples were asked for, {len(self)} are stored")
        counts = self.counts[self._row : self._row + batch_size].long()  # (batch_size,)
        end = self._entry + int(counts.sum())
        rows = torch.repeat_interleave(torch.arange(batch_size), counts)  # (entries,)
        z = torch.zeros(batch_size, self.num_features)
        z[rows, self.features[self._entry : end].long()] = self.values[self._entry : end]
        self._row, self._entry = self._row + batch_size, end
        return z


# ---------------------------------------------------------------------------------------------------------- preparing


class Chunks(Dataset[Tensor]):
    """Training rows in chunks (TRAINING_CHUNK, hidden_dim), the same from any process and in any order.

    Item i begins at row i * TRAINING_CHUNK.
    """

    def __init__(self, model: SyntheticModel, count: int, dtype: torch.dtype) -> None:
        self.model, self.stream = model, Stream(model, TRAINING, 0)
        self.count, self.dtype = count, dtype

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        return self.model.feature_dict(self.stream.sample_at(index, TRAINING_CHUNK)).to(self.dtype)


def write_training(profile: dict[str, Any], folder: Path, report: Callable[[str], None]) -> dict[str, Any]:
    """Draw the training rows into folder/activations.bin, and return the facts for meta.json.

    One process a core draws. Their number changes the time and not the rows. Rows are independent, so that no
    shuffling is needed.
    """
    rows, dtype = profile["hidden"]["rows"], getattr(torch, profile["dtype"])
    torch.set_num_threads(1)
    model = build_model(profile)
    chunks = Chunks(model, -(-rows // TRAINING_CHUNK), dtype)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    left = rows
    with (folder / "activations.bin").open("wb") as f:
        for chunk in DataLoader(chunks, batch_size=None, num_workers=workers if workers > 1 else 0):
            chunk[:left].view(torch.uint8).numpy().tofile(f)
            left -= min(left, TRAINING_CHUNK)
            if (rows - left) % (256 * TRAINING_CHUNK) == 0:
                report(f"{rows - left:,} of {rows:,} rows")
    return {"rows": rows, "d_in": profile["d_in"], "dtype": profile["dtype"], "scale": 1.0}


def write_evaluation(profile: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Draw the evaluation samples into folder/samples.safetensors, sparse, and return the facts for meta.json.

    Tensors: counts (samples,) int32, the active features of each sample, and for each of those an entry in features
    (sum of counts,) int32 and in values (sum of counts,) float32.
    """
    samples = profile["hidden"]["eval_samples"]
    stream = Stream(build_model(profile), EVALUATION, 0)
    drawn = [stream.sample(min(EVALUATION_CHUNK, samples - first)) for first in range(0, samples, EVALUATION_CHUNK)]
    z = torch.cat(drawn)  # (samples, num_features)
    rows, features = z.nonzero(as_tuple=True)
    tensors = {
        "counts": torch.bincount(rows, minlength=samples).int(),
        "features": features.int(),
        "values": z[rows, features],
        "num_features": torch.tensor(z.shape[1]),
    }
    save_file(tensors, folder / "samples.safetensors")
    return {"samples": samples, "scale": 1.0}
