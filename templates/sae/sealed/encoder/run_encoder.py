"""The encoder of an evaluation: the run's own encode in another process, checked as every score needs it.

    with open_encoder(Path("experiment.py"), Path("run_1"), decoder, profile=profile, seed=0) as encoder:
        z = encoder.encode(x)

"served": experiment.py's load_sae(run_dir).encode answers batch after batch in a process that sees activations and
nothing else. "graph": that process exports encode once as a graph of known operations and ends, and the evaluator
computes the graph itself (encoder/graph.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from encoder.decoder import Decoder
from encoder.faults import BrokenSAE, CannotServe
from encoder.graph import Graph, NotAGraph
from encoder.process import Patience, ServingProcess
from encoder.row_check import MOST_AGAIN, RowCheck, difference
from encoder.wire import DECODE, ENCODE, EXPORT, FAULT, GRAPH, LOAD, READY, BadMessage, WireMessage, unpack_codes
from torch import Tensor

__all__ = ["BrokenSAE", "CannotServe", "Encoder", "Patience", "ServedDecoder", "open_encoder"]

CODES_BYTES = 256 << 20  # of the dense latents of one request, so that longer batches are asked for in parts
GRAPH_BYTES = 8 << 30  # of a graph's constants
GRAPH_ROWS = 1024  # computed at once, at most
AGREEMENT = 2e-3  # share of active latents in which graph and served encode may differ

Kind = Literal["served", "graph"]


class Encoder(Protocol):
    """An encoder: `kind` says how it encodes, and `reason` why it does so."""

    d_in: int
    d_sae: int
    kind: Kind
    reason: str

    def encode(self, x: Tensor) -> Tensor:
        """Latents (rows, d_sae), float32 on x's device, of x (..., d_in). Each vector of length d_in is a row.

        Raises: BrokenSAE.
        """


class RunEncoder:
    """The run's encode in a ServingProcess, or its graph as soon as there is one."""

    def __init__(
        self,
        start: Callable[[], ServingProcess],
        decoder: Decoder,
        settings: Mapping[str, Any],
        *,
        seed: int,
        alone: bool,
        graph: bool,
    ) -> None:
        self.d_in, self.d_sae = decoder.d_in, decoder.d_sae
        self.kind: Kind = "served"
        self.reason = "" if not graph else "nothing was encoded"
        self._fresh: ServingProcess | None = None  # for `confirm`
        self._start, self._settings, self._graph_wanted = start, settings, graph
        self._loaded = False
        self._process = start()
        try:
            self._fresh = start()  # its folder is filled before any code of the run could touch what goes there
            self._process.begin()
        except BaseException:
            self.close()
            raise
        self._graph: Graph | None = None
        self._check = RowCheck(self._ask, seed, lambda: self._process.output()) if alone else None
        self._encode = self._check or self._ask
        self._rows = max(1, CODES_BYTES // (4 * self.d_sae))

    def encode(self, x: Tensor) -> Tensor:
        rows = x.detach().reshape(-1, self.d_in).float().cpu()  # raises RuntimeError if d_in is another
        if self._graph_wanted and len(rows):
            self._graph_wanted = False
            self._take_graph(rows[: self._rows])
        parts = [self._encode(part) for part in rows.split(self._rows)] if len(rows) else [torch.empty(0, self.d_sae)]
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).to(x.device)

    def confirm(self) -> None:
        """Compare rows of every batch with the answers of a fresh process. A graph keeps no state and needs no check.

        Raises: BrokenSAE.
        """
        if self._check is not None and self._graph is None:
            self._go_on_with(self._fresh or self._start())
            self._check.confirm()

    def _go_on_with(self, process: ServingProcess) -> None:
        self._process.close()
        self._process, self._loaded = process, False

    def close(self) -> None:
        """End the process and all that it started."""
        self._process.close()
        if self._fresh is not None:
            self._fresh.close()

    def decode(self, z: Tensor) -> Tensor:
        """Reconstruction (rows, d_in) of z (rows, d_sae) by the run's own decode."""
        parts = []
        for part in z.detach().float().cpu().split(self._rows):
            answer = self._request(WireMessage(DECODE, arrays=[part]), 4 * len(part) * self.d_in)
            parts.append(self._matrix(answer, len(part), self.d_in, "decode"))
        return torch.cat(parts).to(z.device)

    # ------------------------------------------------------------------------------------------------------ requests

    def _ask(self, x: Tensor) -> Tensor:
        """Latents (rows, d_sae) of x (rows, d_in), both on the CPU."""
        if self._graph is not None:
            z = self._graph(x)
        else:
            answer = self._request(WireMessage(ENCODE, arrays=[x]), 4 * len(x) * self.d_sae + 64)
            z = self._matrix(answer, len(x), self.d_sae, "encode")
        if not torch.isfinite(z).all():
            raise BrokenSAE("encode returned NaN or infinite latents", self._process.output())
        return z

    def _request(self, message: WireMessage, limit_bytes: int) -> WireMessage:
        if not self._loaded:
            self._loaded = True
            ready = self._request(WireMessage(LOAD, json.dumps(dict(self._settings))), 0)
            if ready.kind != READY:
                raise BrokenSAE("the process that runs encode broke its protocol")
        answer = self._process.ask(message, limit_bytes)
        if answer.kind == FAULT:
            raise BrokenSAE(answer.text[:1000], self._process.output())
        return answer

    def _matrix(self, answer: WireMessage, rows: int, width: int, name: str) -> Tensor:
        try:
            return unpack_codes(answer, rows, width)
        except BadMessage as e:
            raise BrokenSAE(f"{name}: the process that runs it broke its protocol: {e}") from e

    # --------------------------------------------------------------------------------------------------------- graph

    def _take_graph(self, x: Tensor) -> None:
        """Encode by the run's graph from now on and end the process, if the two agree on x (rows, d_in)."""
        try:
            answer = self._request(WireMessage(EXPORT, arrays=[x[: block_of(len(x))]]), GRAPH_BYTES)
            if answer.kind != GRAPH or len(answer.arrays) != 1:
                raise NotAGraph("it sent none")
            rows = block_of(len(x))
            graph = Graph(answer.text, answer.arrays[0].numpy().tobytes(), rows=rows, d_in=self.d_in, d_sae=self.d_sae)
            served, computed = self._ask(x), graph(x)
            changed, active = difference(served, computed)
            if not torch.isfinite(computed).all() or changed > max(4, AGREEMENT * active):
                raise NotAGraph(f"it differs from encode in {changed} of {active} active latents")
        except CannotServe as e:  # it ended over the graph, or took too long
            self._go_on_with(self._start())
            self.reason = f"no graph: {e}"[:300]
            return
        except (NotAGraph, BrokenSAE) as e:
            self.reason = f"no graph: {e}"[:300]
            return
        self._graph, self.kind = graph, "graph"
        self.reason = f"{graph.size} operations, agreeing with the served encode on {len(x)} rows"
        self.close()


def block_of(rows: int) -> int:
    """Rows to compute at once, so that batches of `rows` rows and those asked again with them fill their blocks."""
    asked = rows + min(MOST_AGAIN, rows // 64)
    return min(rows, -(-asked // -(-asked // GRAPH_ROWS)))


@dataclass(frozen=True)
class ServedDecoder(Decoder):
    """The run's own decode(z), for a run that declares one. W_dec and b_dec are still those of its file."""

    encoder: RunEncoder

    def decode(self, z: Tensor) -> Tensor:
        x_hat = self.encoder.decode(z)
        if not torch.isfinite(x_hat).all():
            raise BrokenSAE("decode returned NaN or infinite values")
        return x_hat


@contextmanager
def open_encoder(
    experiment: Path,
    run_dir: Path,
    decoder: Decoder,
    *,
    profile: Mapping[str, Any],
    seed: int,
    alone: bool = True,
    graph: bool = False,
    patience: Patience | None = None,
) -> Iterator[RunEncoder]:
    """Open the run's encoder for the block, and end its process when the block is left.

    seed: decides the order in which rows are asked for, and must not be known to the run. alone: rows must not depend
    on each other. graph: try to compute encode here. profile: the run gets all of it but "hidden".
    Raises: CannotServe and BrokenSAE, also inside the block if a fault shows later.
    """
    settings = {"threads": profile.get("threads", 1), "d_in": decoder.d_in, "d_sae": decoder.d_sae}
    waits = patience or Patience()
    encoder = RunEncoder(
        lambda: ServingProcess(experiment, run_dir, profile, waits),
        decoder,
        settings,
        seed=seed,
        alone=alone,
        graph=graph,
    )
    try:
        yield encoder
    finally:
        encoder.close()
