"""Synthetic activations with known true features: the data of every run, drawn by sae_lens.synthetic.

A training batch is a pure function of (profile, seed, index), whatever else the run draws from torch's global
generator: two runs with the same seed see the same data, so their difference is the change's and not the data's.
Evaluation samples come from another stream of seeds. The feature directions, hierarchy and correlations are those of
the profile alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lean_sae_lens
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

lean_sae_lens.install()

from sae_lens.synthetic.synthetic_model import SyntheticModel, SyntheticModelConfig  # noqa: E402

TRAINING, EVALUATION = 0, 1


def read_profile(path: str | Path = "profile.json") -> dict[str, Any]:
    """The profile that the run was started with; `synthetic` in it is a SyntheticModelConfig as a dict."""
    return json.loads(Path(path).read_text())


def build_model(profile: dict[str, Any]) -> SyntheticModel:
    """The synthetic model: directions (num_features, hidden_dim), firing probabilities, hierarchy, correlations.

    Deterministic: seeded by profile["synthetic"]["seed"], not by the run's seed.
    """
    # Compensation lifts rare children of rare parents to probability 1 given the parent; sae_lens warns of each clamp.
    logging.getLogger("sae_lens").setLevel(logging.ERROR)
    config = SyntheticModelConfig.from_dict(profile["synthetic"])
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
        """True feature activations >= 0, (batch_size, num_features), float32; the global generator is left alone."""
        self._calls += 1
        return self.sample_at(self._calls - 1, batch_size)

    def sample_at(self, index: int, batch_size: int) -> Tensor:
        """What call number `index` of `sample` draws."""
        words = np.random.SeedSequence([*self._key, index]).generate_state(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(words[0]))
            return self.model.activation_generator.sample(batch_size)


class TrainingSet(Dataset[Tensor]):
    """Item i is training batch i, (batch_size, hidden_dim): the same whoever draws it, and in whatever order."""

    def __init__(self, profile: dict[str, Any], *, seed: int, steps: int, batch_size: int) -> None:
        self.model = build_model(profile)
        self.stream = Stream(self.model, TRAINING, seed)
        self.steps, self.batch_size = steps, batch_size

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Tensor:
        return self.model.feature_dict(self.stream.sample_at(index, self.batch_size))


def batches(profile: dict[str, Any], *, seed: int, steps: int, batch_size: int) -> Iterator[Tensor]:
    """Training activations: `steps` tensors x (batch_size, hidden_dim), float32, on the CPU, without gradient.

    x = true_activations @ feature_vectors + bias. Sampling costs twice what training does, so profile["samplers"]
    processes draw ahead; their number changes the time and not the batches.
    """
    data = TrainingSet(profile, seed=seed, steps=steps, batch_size=batch_size)
    workers = profile["samplers"]
    yield from DataLoader(data, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
