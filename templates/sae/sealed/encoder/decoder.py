"""The evaluator's own decoder: x_hat = z @ W_dec + b_dec, from its own copy of the run's tensors.

A run that cannot be decoded or checked in this way declares it by assignments at the top level of experiment.py:

    DECODER = "custom"     x_hat is the result of the SAE's decode(z), run in the process that encodes
    ENCODE = "batch"       encode looks at the other rows of its batch on purpose, and is not checked for it

Either makes the result self-reported. Without them the decoder is linear and every row is encoded on its own.
"""

from __future__ import annotations

import ast
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import torch
from encoder.faults import BrokenSAE
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

WEIGHTS = "sae.safetensors"
WEIGHTS_LIMIT = 16 << 30  # bytes
DECLARATIONS = {"DECODER": ("linear", "custom"), "ENCODE": ("row", "batch")}


@dataclass(frozen=True)
class Decoder:
    """W_dec (d_sae, d_in), b_dec (d_in,), float32, on one device."""

    W_dec: Tensor
    b_dec: Tensor

    @property
    def d_in(self) -> int:
        return self.W_dec.shape[1]

    @property
    def d_sae(self) -> int:
        return self.W_dec.shape[0]

    def decode(self, z: Tensor) -> Tensor:
        """Reconstruction (rows, d_in) of z (rows, d_sae)."""
        return z @ self.W_dec + self.b_dec


def read_decoder(path: Path, d_in: int) -> Decoder:
    """Read the decoder of a run into memory, so that later changes of the file do not change it.

    Raises: BrokenSAE if the file, a tensor, a shape or a value is wrong.
    """
    try:
        tensors = load(read_regular(path, WEIGHTS_LIMIT))  # from bytes: load_file would keep the file mapped
    except SafetensorError as e:
        raise BrokenSAE(f"{path} is not a safetensors file: {e}") from e
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BrokenSAE(f"{name} in {path} holds NaN or infinite values")
    missing = {"W_dec", "b_dec"} - tensors.keys()
    if missing:
        raise BrokenSAE(f"{path} lacks {', '.join(sorted(missing))}")
    if tensors["W_dec"].is_complex() or tensors["b_dec"].is_complex():
        raise BrokenSAE(f"W_dec and b_dec in {path} must be real numbers")
    w_dec, b_dec = tensors["W_dec"].float().clone(), tensors["b_dec"].float().clone()
    if w_dec.ndim != 2 or w_dec.shape[1] != d_in or not len(w_dec) or tuple(b_dec.shape) != (d_in,):
        raise BrokenSAE(f"W_dec {tuple(w_dec.shape)}, b_dec {tuple(b_dec.shape)}: expected (d_sae, {d_in}), ({d_in},)")
    return Decoder(w_dec, b_dec)


def read_regular(path: Path, limit_bytes: int) -> bytes:
    """The bytes of a regular file. A link, a pipe or a device that a run left under its name is not opened.

    Raises: BrokenSAE.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as e:
        raise BrokenSAE(f"{path} is missing") from e
    except OSError as e:
        raise BrokenSAE(f"{path} cannot be read: {e.strerror}") from e
    with os.fdopen(descriptor, "rb") as f:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit_bytes:
            raise BrokenSAE(f"{path} is no regular file of at most {limit_bytes} bytes")
        return f.read(limit_bytes)


def read_declarations(experiment: Path) -> dict[str, str]:
    """Read the values of DECLARATIONS in experiment.py without running it, and take the first choice if one is missing.

    Raises: BrokenSAE if the file is missing, no Python, or declares something unknown.
    """
    source = read_regular(experiment, 16 << 20)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise BrokenSAE(f"{experiment.name} cannot be parsed: {e}") from e
    declared = {name: choices[0] for name, choices in DECLARATIONS.items()}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name) and target.id in DECLARATIONS:
                value = getattr(node, "value", None)
                declared[target.id] = value.value if isinstance(value, ast.Constant) else None
    for name, value in declared.items():
        if value not in DECLARATIONS[name]:
            raise BrokenSAE(f"{experiment.name}: {name} must be one of {', '.join(map(repr, DECLARATIONS[name]))}")
    return declared


def self_report(declared: dict[str, str]) -> str:
    """The reason why a result counts as self-reported. Empty if it does not."""
    reasons = []
    if declared["DECODER"] == "custom":
        reasons.append('DECODER = "custom": the run\'s own code decodes, and could pass x through beside its latents')
    if declared["ENCODE"] == "batch":
        reasons.append('ENCODE = "batch": latents may depend on the other rows of a batch')
    return "; ".join(reasons)
