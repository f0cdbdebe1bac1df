"""Checks the assumption of every score: a row's latents depend on that row alone, at any time and in any batch.

At the first batch, and if a much larger one comes, half of its rows are asked again among other rows, and some in
small parts. Every later batch is sent in an order that only the evaluator knows, with some rows of earlier batches
among its rows, whose latents must be the same again. So an encoder is checked at the sizes and in the places at which
it is scored, and cannot tell a check from a score. At the end a fresh process is asked for rows of every batch. It has
no answers stored from the first time, which an encoder could repeat to look consistent.

Latents may be negative, and L0 counts those that are not 0. Float rounding that depends on a batch's size may decide a
tie the other way, so that a small share of active latents may differ.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from encoder.faults import BrokenSAE
from torch import Tensor

Encode = Callable[[Tensor], Tensor]  # x (rows, d_in) -> z (rows, d_sae), float32 on the CPU

TOLERANCE, FEW = 2e-3, 4  # of the active latents, and at least so many latents, may differ
VALUE_TOLERANCE = 1e-2  # relative: bfloat16 keeps 8 bits
REMEMBERED, MOST_AGAIN = 512, 64  # rows kept for asking again, and rows asked again in one batch
PART, PARTS_ROWS = 16, 128

CURE = "let each row's latents follow from that row alone: a fixed threshold and fixed statistics, saved as buffers"


class RowCheck:
    """Encodes through `encode`, and raises BrokenSAE if a row's latents turn out to depend on anything else."""

    def __init__(self, encode: Encode, seed: int, output: Callable[[], str] = str) -> None:
        self.encode, self.output = encode, output
        self.generator = torch.Generator().manual_seed(seed)
        self.largest = 0  # rows of the largest batch that was inspected
        self.x, self.z = torch.empty(0), torch.empty(0)  # remembered: (rows, d_in), (rows, d_sae)
        self.changed, self.active = 0, 0

    def __call__(self, x: Tensor) -> Tensor:
        """Latents (rows, d_sae) of x (rows, d_in), rows >= 1."""
        z = self.inspect(x) if len(x) > 2 * self.largest else self.among_others(x)
        self.remember(x, z)
        return z

    def among_others(self, x: Tensor) -> Tensor:
        """Ask for a batch in a secret order, with rows of earlier batches among its rows."""
        again = self.shuffle(len(self.x))[: few_of(x)]
        asked = torch.cat([x, self.x[again]])
        order = self.shuffle(len(asked))
        z = self.encode(asked[order])[order.argsort()]  # (rows + again, d_sae)
        self.compare_again(self.z[again], z[len(x) :])
        return z[: len(x)]

    def inspect(self, x: Tensor) -> Tensor:
        """Ask for a batch, then for half of its rows among others, then for some of them in small parts."""
        order = self.shuffle(len(x))
        asked = x[order]
        z = self.encode(asked)  # (rows, d_sae), in this order
        half = (len(x) + 1) // 2
        mixed = torch.cat([asked[:half], 4 * asked[half:] + 1])
        places = self.shuffle(len(x))
        found = self.encode(mixed[places])[places.argsort()]
        self.same(z[:half], found[:half], asked, "encode depends on the other rows of the batch, or on their order")
        parts = [part for part in (asked[:1], *asked[1:PARTS_ROWS].split(PART)) if len(part)]
        found = torch.cat([self.encode(part) for part in parts])
        self.same(z[: len(found)], found, asked, "encode depends on the other rows of the batch, or on their number")
        self.largest = len(x)
        return z[order.argsort()]

    def same(self, expected: Tensor, found: Tensor, asked: Tensor, fault: str) -> None:
        """Compare two answers for the same rows.

        Raises: BrokenSAE with this fault, or with another one if the batch `asked` gets other answers each time.
        """
        changed, active = difference(expected, found)
        if not too_many(changed, active):
            return
        if too_many(*difference(self.encode(asked), self.encode(asked))):
            fault = "encode gives the same batch other latents when asked again: keep no state, draw nothing at random"
        raise BrokenSAE(f"{fault} ({changed} of {active} active latents differ): {CURE}", self.output())

    def compare_again(self, expected: Tensor, found: Tensor) -> None:
        """Count the latents that differ over the whole evaluation.

        Raises: BrokenSAE if they are too many.
        """
        changed, active = difference(expected, found)
        self.changed, self.active = self.changed + changed, self.active + active
        if too_many(self.changed, self.active):
            what = f"{self.changed} of {self.active} active latents differ"
            fault = "encode depends on the other rows of the batch, or on what it was asked before"
            raise BrokenSAE(f"{fault} ({what} where rows were asked again): {CURE}", self.output())

    def confirm(self) -> None:
        """Ask for the remembered rows once more, after `encode` was given a process that has seen none of them.

        Raises: BrokenSAE if too many latents differ.
        """
        order = self.shuffle(len(self.x))
        if not len(order):
            return
        changed, active = difference(self.z[order], self.encode(self.x[order]))
        if too_many(changed, active):
            fault = "a fresh process encodes rows otherwise than the one that was scored: keep no state in encode"
            raise BrokenSAE(f"{fault} ({changed} of {active} active latents differ): {CURE}", self.output())

    def remember(self, x: Tensor, z: Tensor) -> None:
        """Keep some rows of this batch, in place of some older ones if there are enough."""
        chosen = self.shuffle(len(x))[: few_of(x)]
        if not len(self.x):
            self.x, self.z = x[chosen].clone(), z[chosen].clone()
            return
        kept = self.shuffle(len(self.x))[: REMEMBERED - len(chosen)]
        self.x, self.z = torch.cat([self.x[kept], x[chosen]]), torch.cat([self.z[kept], z[chosen]])

    def shuffle(self, rows: int) -> Tensor:
        return torch.randperm(rows, generator=self.generator)


def few_of(x: Tensor) -> int:
    """Number of earlier rows that are asked again with a batch."""
    return max(2, min(MOST_AGAIN, len(x) // 64))


def too_many(changed: int, active: int) -> bool:
    """Whether more latents differ than ties explain."""
    return changed > max(FEW, TOLERANCE * active)


def difference(expected: Tensor, found: Tensor) -> tuple[int, int]:
    """Number of latents that differ, and number of active ones, of two answers (rows, d_sae).

    They differ if one is 0 and the other is not, or by more than rounding explains.
    """
    on, now_on = expected != 0, found != 0
    active = max(int(on.sum()), int(now_on.sum()))
    largest = expected.abs().amax(dim=1, keepdim=True)  # (rows, 1)
    bound = VALUE_TOLERANCE * expected.abs() + 1e-4 * largest
    changed = (on != now_on) | ((expected - found).abs() > bound)
    return int(changed.sum()), active
