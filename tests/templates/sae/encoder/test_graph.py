"""sealed/encoder/graph.py and export.py: encoders that must be covered, and graphs that must be refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

torch = pytest.importorskip("torch")
# torch.export warns of its own code.
pytestmark = [pytest.mark.sae, pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")]

from encoder.export import CannotExport, export_encode  # noqa: E402
from encoder.graph import LIVE_BYTES, OPERATIONS, Graph, NotAGraph  # noqa: E402
from fast_steps import relu_encode, topk_encode  # noqa: E402
from safetensors.torch import save  # noqa: E402
from torch import Tensor, nn  # noqa: E402

D_IN, D_SAE, ROWS = 16, 48, 32


class Encoder(nn.Module):
    """One encode for each architecture, with the same weights."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind = kind
        self.W_enc = nn.Parameter(torch.randn(D_IN, D_SAE))
        self.b_enc, self.r_mag = nn.Parameter(torch.randn(D_SAE)), nn.Parameter(torch.randn(D_SAE))
        self.b_dec = nn.Parameter(torch.randn(D_IN))
        self.register_buffer("threshold", torch.tensor(0.7))
        self.register_buffer("log_threshold", torch.randn(D_SAE), persistent=False)
        self.unregistered = torch.tensor(0.5)

    def encode(self, x: Tensor) -> Tensor:
        return getattr(self, self.kind)(x, (x - self.b_dec) @ self.W_enc + self.b_enc)

    def topk(self, x: Tensor, pre: Tensor) -> Tensor:
        values, indices = pre.relu().topk(8, dim=1, sorted=False)
        return torch.zeros_like(pre).scatter(1, indices, values)

    def topk_in_place(self, x: Tensor, pre: Tensor) -> Tensor:
        values, indices = pre.relu_().topk(8, dim=-1)
        return torch.zeros(len(x), D_SAE).scatter_(1, indices, values)

    def topk_fast(self, x: Tensor, pre: Tensor) -> Tensor:
        return topk_encode(x, self.W_enc, self.b_enc, self.b_dec, 8).dense()

    def relu_fast(self, x: Tensor, pre: Tensor) -> Tensor:
        return relu_encode(x, self.W_enc, self.b_enc, self.b_dec)

    def batch_topk(self, x: Tensor, pre: Tensor) -> Tensor:
        return pre * (pre > self.threshold)

    def jumprelu(self, x: Tensor, pre: Tensor) -> Tensor:
        return torch.where(pre > self.log_threshold.exp(), pre, 0.0)

    def standard(self, x: Tensor, pre: Tensor) -> Tensor:
        return torch.relu(pre + self.unregistered)

    def gated(self, x: Tensor, pre: Tensor) -> Tensor:
        magnitude = (x - self.b_dec) @ self.W_enc * self.r_mag.exp() + self.b_enc
        return (pre > 0).float() * torch.relu(magnitude)

    def normalised(self, x: Tensor, pre: Tensor) -> Tensor:
        z = nn.functional.layer_norm(pre, (D_SAE,)).clamp(min=-float("inf"), max=3)
        return z * (z > torch.quantile(z, 0.9, dim=1, keepdim=True))

    def gelu_and_masks(self, x: Tensor, pre: Tensor) -> Tensor:
        z = nn.functional.gelu(pre).masked_fill(pre < 0, 0.0)
        z = z / (1e-6 + z.norm(dim=1, keepdim=True)) + z.softmax(dim=1) * (z[:, :1] > 0)
        return torch.cat([z[:, : D_SAE // 2], z[:, D_SAE // 2 :].half().float()], dim=1)

    def noisy(self, x: Tensor, pre: Tensor) -> Tensor:
        return pre + torch.rand_like(pre)

    def counting(self, x: Tensor, pre: Tensor) -> Tensor:
        self.threshold.add_(1)
        return pre * (pre > self.threshold)

    def strided(self, x: Tensor, pre: Tensor) -> Tensor:
        return pre.as_strided((len(x), D_SAE), (1, 1))


COVERED = (
    "topk",
    "topk_in_place",
    "batch_topk",
    "jumprelu",
    "standard",
    "relu_fast",
    "gated",
    "normalised",
    "gelu_and_masks",
)


def graph_of(sae: Encoder) -> Graph:
    with torch.no_grad():
        text, constants = export_encode(sae, torch.randn(ROWS, D_IN))
    return Graph(text, constants.numpy().tobytes(), rows=ROWS, d_in=D_IN, d_sae=D_SAE)


@pytest.mark.parametrize("kind", COVERED)
def test_graph_gives_what_encode_gives(kind: str) -> None:
    sae = Encoder(kind)
    graph = graph_of(sae)
    for rows in (1, ROWS, 2 * ROWS + 5):
        x = torch.randn(rows, D_IN)
        with torch.no_grad():
            torch.testing.assert_close(graph(x), sae.encode(x.clone()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["noisy", "counting", "strided", "topk_fast"])
def test_random_stateful_and_memory_reading_encoders_have_no_graph(kind: str) -> None:
    with pytest.raises((NotAGraph, CannotExport)):
        graph_of(Encoder(kind))


def test_nothing_random_in_place_or_uninitialised_is_allowed() -> None:
    for name, operation in OPERATIONS.items():
        assert not operation._schema.is_mutable, name
        assert torch.Tag.nondeterministic_seeded not in operation.tags, name
    for word in ("empty", "rand", "bernoulli", "as_strided", "resize", "set_", "from_file", "dropout"):
        assert not any(word in name for name in OPERATIONS), word


def node(name: str, op: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "args": list(args), "kwargs": kwargs}


X, W = {"ref": "x"}, {"ref": "w"}
GOOD = node("z", "mm.default", X, W)
REFUSED = {
    "unknown operation": [node("z", "rand.default", [ROWS, D_SAE])],
    "unknown overload": [node("z", "mm.out", X, W)],
    "undefined name": [node("z", "mm.default", X, {"ref": "v"})],
    "later name": [node("z", "relu.default", {"ref": "y"}), node("y", "mm.default", X, W)],
    "name defined twice": [GOOD, node("z", "relu.default", {"ref": "z"})],
    "constant overwritten": [node("w", "relu.default", W), node("z", "mm.default", X, W)],
    "number as tensor": [node("z", "mm.default", X, 3)],
    "text as size": [node("z", "full.default", ["__import__('os')", D_SAE], 0.0)],
    "text as number": [node("z", "full.default", [ROWS, D_SAE], "1")],
    "unknown argument": [node("z", "mm.default", X, W, out=X)],
    "too many arguments": [node("z", "mm.default", X, W, W)],
    "unknown dtype": [node("z", "_to_copy.default", X, dtype={"dtype": "complex64"})],
    "huge": [node("y", "full.default", [1 << 20, 1 << 20], 0.0), GOOD],
    "huge number of elements": [node("y", "arange.start_step", 0, 1 << 50), GOOD],
    "many large": [
        *(node(f"y{i}", "full.default", [1 << 27], 0.0) for i in range(9)),
        GOOD,
        node("end", "cat.default", [{"ref": f"y{i}"} for i in range(9)]),
    ],
    "many views": [node("y", "expand.default", X, [1 << 40, ROWS, D_IN]), GOOD],
    "output of another shape": [node("z", "relu.default", X)],
    "getitem of a tensor": [GOOD, node("y", "getitem", X, 0)],
    "getitem without arguments": [GOOD, node("y", "getitem")],
    "no argument list": [{"name": "z", "op": "mm.default", "args": {}, "kwargs": {}}],
    "too many nodes": [GOOD, *(node(f"n{i}", "relu.default", X) for i in range(1001))],
}


def build(nodes: Any, **changes: Any) -> Graph:
    plan = {"inputs": ["x"], "constants": ["w"], "nodes": nodes, "output": "z"} | changes
    constants = save({"w": torch.ones(D_IN, D_SAE)})
    return Graph(json.dumps(plan), constants, rows=ROWS, d_in=D_IN, d_sae=D_SAE)


def test_the_example_that_the_refused_ones_vary_is_computed() -> None:
    assert build([GOOD])(torch.ones(3, D_IN)).equal(torch.full((3, D_SAE), float(D_IN)))


@pytest.mark.parametrize("what", REFUSED)
def test_malformed_graphs_are_refused_without_allocating(what: str) -> None:
    assert LIVE_BYTES < 9 << 29
    with pytest.raises(NotAGraph):
        build(REFUSED[what])


@pytest.mark.parametrize("text", ["", "[]", "null", '{"nodes": 3}', "[" * 100_000, '{"nodes": [], "output": "q"}'])
def test_what_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(NotAGraph):
        Graph(text, save({"w": torch.ones(1)}), rows=ROWS, d_in=D_IN, d_sae=D_SAE)
    with pytest.raises(NotAGraph):
        Graph("{}", b"not safetensors", rows=ROWS, d_in=D_IN, d_sae=D_SAE)
