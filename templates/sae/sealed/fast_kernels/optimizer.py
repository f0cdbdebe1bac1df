"""The update of a step: decoder gradient made tangent, clipping by global norm, fused Adam, rows back to unit norm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from fast_kernels.codes import indexed_dots
from torch import Tensor, nn

TINY = 1e-8  # a row shorter than this is left as it is, up to rounding


@torch.no_grad()
def normalise_rows(weight: Tensor) -> None:
    """Scale each row of weight (rows, d_in) to norm 1, in place."""
    weight /= weight.norm(dim=1, keepdim=True).clamp(min=TINY)


def row_dots(left: Tensor, right: Tensor) -> Tensor:
    """Dot product of each row of left with the same row of right, (rows,). No matrix of products is written."""
    every = torch.arange(left.shape[0], dtype=torch.int32, device=left.device)
    return indexed_dots(left.contiguous(), right.contiguous(), every, every, every, 0)


@torch.no_grad()
def remove_parallel(grad: Tensor, weight: Tensor) -> None:
    """Remove from each row of grad its part along the same row of weight, whose rows have norm 1, in place.

    Shapes: grad, weight (rows, d_in). The normalisation would undo that part anyway, and it would mislead Adam.
    """
    grad.addcmul_(row_dots(grad, weight).unsqueeze(1), weight, value=-1.0)


class SAEOptimizer:
    """Fused Adam over named parameters, one learning rate each.

    parameters: a module, or a mapping or pairs of name and parameter. An idea's own parameters need nothing else.
    clip_norm: global norm over all gradients, None for no clipping. unit_rows: names of weights (rows, d_in) whose rows
    keep norm 1, or (). Parameters without a gradient are left unchanged, as in Adam.
    Raises: ValueError for a name in unit_rows or in set_lr that is no parameter.
    """

    def __init__(
        self,
        parameters: nn.Module | Mapping[str, Tensor] | Iterable[tuple[str, Tensor]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        clip_norm: float | None = 1.0,
        unit_rows: Iterable[str] = ("W_dec",),
    ) -> None:
        pairs = parameters.named_parameters() if isinstance(parameters, nn.Module) else parameters
        self.parameters: dict[str, Tensor] = dict(pairs)
        self.unit_rows = tuple(unit_rows)
        self.clip_norm = clip_norm
        self._known(self.unit_rows)
        groups = [{"params": [p], "name": name} for name, p in self.parameters.items()]
        self.adam = torch.optim.Adam(groups, lr=lr, betas=betas, eps=eps, fused=True)

    def _known(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.parameters:
                raise ValueError(f"{name} is not a parameter; there are {', '.join(self.parameters)}")

    def set_lr(self, lr: float | Mapping[str, float]) -> None:
        """Set the learning rate of every parameter, or of those named."""
        if isinstance(lr, Mapping):
            self._known(lr)
        for group in self.adam.param_groups:
            group["lr"] = lr.get(group["name"], group["lr"]) if isinstance(lr, Mapping) else lr

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.adam.zero_grad(set_to_none=True)

    @torch.no_grad()
    def step(self) -> Tensor:
        """Update every parameter, and return the gradients' global norm before clipping, 0-dim."""
        for name in self.unit_rows:
            if self.parameters[name].grad is not None:
                remove_parallel(self.parameters[name].grad, self.parameters[name])
        norm = self.grad_norm()
        self.adam.grad_scale = self._grad_scale(norm)
        self.adam.step()
        self.adam.grad_scale = None
        for name in self.unit_rows:
            normalise_rows(self.parameters[name])
        return norm

    def grad_norm(self) -> Tensor:
        """Norm of all gradients taken together, 0-dim. 0 if there are none."""
        grads = [p.grad for p in self.parameters.values() if p.grad is not None]
        return nn.utils.get_total_norm(grads)

    def _grad_scale(self, norm: Tensor) -> Tensor | None:
        """Divisor that clips the gradients, applied by fused Adam as it reads them. None if none is needed."""
        if self.clip_norm is None:
            return None
        scale = ((norm + 1e-6) / self.clip_norm).clamp(min=1.0).float()
        if scale.device.type == "cpu" and scale.item() == 1.0:
            return None
        return scale

    def state_dict(self) -> dict[str, Any]:
        """Adam's state, for saving."""
        return self.adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.adam.load_state_dict(state)
