"""Computes a run's encode from its graph: known, pure operations of ATen on arrays of known size.

The graph comes as JSON and its constants as safetensors. Both come from the run and are checked here. Every operation
is in `OPERATIONS`: none is random, works in place, or reads uninitialised memory, files or strings. Every argument has
the type that the operation's schema asks for. The whole graph is first walked without data, so that no result and no
sum of live results is larger than LIVE_BYTES.

    {"inputs": ["x"], "constants": [name, ...], "output": name,
     "nodes": [{"name": str, "op": "mm.default", "args": [...], "kwargs": {...}}, ...]}
    argument: number | bool | null | list | {"ref": name} | {"dtype": "float32"} | {"float": "inf" | "-inf" | "nan"}
"""

from __future__ import annotations

import json
import math
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

NODES, DEPTH, DIMENSIONS = 1000, 3, 6
LIVE_BYTES = 4 << 30
DTYPES = {
    name: getattr(torch, name) for name in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "bool")
}
IGNORED = {"device", "layout", "pin_memory", "memory_format", "non_blocking"}  # the evaluator keeps values its own way

_NAMES = """
_softmax _to_copy _unsafe_view abs add.Scalar add.Tensor addmm alias amax amin any any.dim arange.start_step argmax
argsort baddbmm bitwise_and.Tensor bitwise_not bitwise_or.Tensor bmm cat ceil clamp clamp.Tensor clamp_max clamp_min
clone cos cumsum detach div.Scalar div.Tensor elu eq.Scalar eq.Tensor erf exp expand expm1 floor full full_like gather
ge.Scalar ge.Tensor gelu gt.Scalar gt.Tensor hardtanh index.Tensor index_select isinf isnan kthvalue le.Scalar
le.Tensor leaky_relu lerp.Scalar lerp.Tensor lift_fresh_copy linalg_vector_norm log log1p logical_and logical_not
logical_or logical_xor lt.Scalar lt.Tensor masked_fill.Scalar masked_fill.Tensor max.dim maximum mean mean.dim min.dim
minimum mm mul.Scalar mul.Tensor native_layer_norm ne.Scalar ne.Tensor neg ones_like permute pow.Scalar
pow.Tensor_Scalar pow.Tensor_Tensor prod.dim_int reciprocal relu remainder.Scalar repeat round rsqrt scalar_tensor
scatter.src scatter.value scatter_add select.int sigmoid sign silu sin slice.Tensor softplus sort sqrt square
squeeze.dim squeeze.dims stack sub.Scalar sub.Tensor sum sum.dim_IntList t tanh topk transpose.int tril triu unsqueeze
var.correction view where.ScalarOther where.ScalarSelf where.self zeros_like
"""


def _operations() -> dict[str, Any]:
    """{"mm.default": the operation}, of those in _NAMES that this torch has."""
    found = {}
    for name in _NAMES.split():
        packet, _, overload = name.partition(".")
        packet_found = getattr(torch.ops.aten, packet, None)
        operation = getattr(packet_found, overload or "default", None)
        if operation is not None:
            found[f"{packet}.{overload or 'default'}"] = operation
    return found


OPERATIONS = _operations()


class NotAGraph(Exception):
    """The graph must not be computed. The message says why in one line."""


class Graph:
    """A checked graph that computes latents (n, d_sae) of x (n, d_in), in blocks of `rows` rows, on a GPU if possible.

    Raises: NotAGraph if anything is wrong with text or constants.
    """

    def __init__(self, text: str, constants: bytes, *, rows: int, d_in: int, d_sae: int) -> None:
        self.rows, self.d_in, self.d_sae = rows, d_in, d_sae
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            plan, tensors = json.loads(text), load(constants)
        except (ValueError, RecursionError, SafetensorError) as e:
            raise NotAGraph(f"it cannot be read: {e}") from e
        self.nodes, self.output = _check_form(plan, set(tensors))
        self.size = len(self.nodes)
        self.constants = {name: value.to(self.device) for name, value in tensors.items()}
        self.last_use = _last_uses(self.nodes, self.output)
        self._walk_without_data()

    def __call__(self, x: Tensor) -> Tensor:
        blocks = []
        for part in x.to(self.device).split(self.rows):
            short = self.rows - len(part)
            block = torch.cat([part, part[:1].expand(short, -1)]) if short else part
            blocks.append(self._run({**self.constants, "x": block.contiguous()}, self.device)[: len(part)].float())
        return (blocks[0] if len(blocks) == 1 else torch.cat(blocks)).to(x.device)

    @torch.no_grad()
    def _run(self, values: dict[str, Any], device: torch.device) -> Tensor:
        live_bytes = 0
        sizes: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            try:
                values[node["name"]] = result = _apply(node, values, device)
            except (RuntimeError, ValueError, LookupError, TypeError) as e:
                raise NotAGraph(f"{node['op']}: {str(e).splitlines()[0] if str(e) else type(e).__name__}") from e
            sizes[node["name"]] = _bytes_of(result)
            live_bytes += sizes[node["name"]]
            if live_bytes > LIVE_BYTES:
                raise NotAGraph(f"{node['op']}: results of {live_bytes} bytes are more than {LIVE_BYTES}")
            for name in self.last_use.get(index, ()):
                if name in sizes:  # inputs and constants stay
                    live_bytes -= sizes[name]
                    del values[name]
        return values[self.output]

    def _walk_without_data(self) -> None:
        nowhere = torch.device("meta")
        values = {name: value.to(nowhere) for name, value in self.constants.items()}
        z = self._run({**values, "x": torch.empty(self.rows, self.d_in, device=nowhere)}, nowhere)
        if not isinstance(z, Tensor) or tuple(z.shape) != (self.rows, self.d_sae) or z.is_complex():
            raise NotAGraph("its output is no real tensor of shape (batch, d_sae)")


# -------------------------------------------------------------------------------------------------------------- checks


def _check_form(plan: Any, constants: set[str]) -> tuple[list[dict[str, Any]], str]:
    """Nodes and output of a graph in which every name is defined once and before it is used.

    Raises: NotAGraph.
    """
    if not isinstance(plan, dict) or not isinstance(plan.get("nodes"), list) or len(plan["nodes"]) > NODES:
        raise NotAGraph(f"it has no list of at most {NODES} nodes")
    known = {"x"} | constants
    if "x" in constants:
        raise NotAGraph("a constant is named x")
    for node in plan["nodes"]:
        parts = isinstance(node, dict) and (node.get("name"), node.get("op"), node.get("args"), node.get("kwargs"))
        if not parts or [type(part) for part in parts] != [str, str, list, dict]:
            raise NotAGraph("a node lacks name, op, args or kwargs")
        if node["op"] != "getitem" and node["op"] not in OPERATIONS:
            raise NotAGraph(f"{node['op'][:60]} is not an operation that the evaluator computes")
        for name in _names(node):
            if name not in known:
                raise NotAGraph("a node uses a name that nothing before it defines")
        if node["name"] in known:
            raise NotAGraph("a name is defined twice")
        known.add(node["name"])
    output = plan.get("output")
    if not isinstance(output, str) or output not in known:
        raise NotAGraph("its output is not among its nodes")
    return plan["nodes"], output


def _names(value: Any) -> list[str]:
    """Every name that a node's arguments refer to."""
    if isinstance(value, dict):
        own = [value["ref"]] if isinstance(value.get("ref"), str) else []
        return own + [name for inner in value.values() for name in _names(inner)]
    return [name for inner in value for name in _names(inner)] if isinstance(value, list) else []


def _last_uses(nodes: list[dict[str, Any]], output: str) -> dict[int, list[str]]:
    """Names of the results that no node needs after the node with this index."""
    last: dict[str, int] = {}
    for index, node in enumerate(nodes):
        last[node["name"]] = index
        last.update(dict.fromkeys(_names(node), index))
    last.pop(output, None)
    found: dict[int, list[str]] = {}
    for name, index in last.items():
        found.setdefault(index, []).append(name)
    return found


def _bytes_of(result: Any) -> int:
    """Bytes that a result would take if no memory were shared. An expanded view counts in full.

    Raises: NotAGraph if it has too many dimensions.
    """
    if isinstance(result, Tensor):
        if result.ndim > DIMENSIONS:
            raise NotAGraph(f"a result has {result.ndim} dimensions")
        return result.numel() * result.element_size()
    return sum(_bytes_of(part) for part in result)


# ----------------------------------------------------------------------------------------------------------- computing


def _apply(node: dict[str, Any], values: dict[str, Any], device: torch.device) -> Any:
    """Check the arguments of one node against the operation's schema, and compute its result.

    Raises: NotAGraph, and any exception of the operation.
    """
    if node["op"] == "getitem":
        of, index = node["args"]
        source = values[of["ref"]]
        if not isinstance(source, tuple | list) or type(index) is not int or not 0 <= index < len(source):
            raise NotAGraph("getitem of something that has no such part")
        return source[index]
    operation = OPERATIONS[node["op"]]
    schema = operation._schema.arguments
    by_name = {argument.name: argument for argument in schema}
    if len(node["args"]) > len(schema) or not node["kwargs"].keys() <= by_name.keys():
        raise NotAGraph(f"{node['op']} has other arguments than that")
    given = dict(zip((argument.name for argument in schema), node["args"], strict=False))
    if given.keys() & node["kwargs"].keys():
        raise NotAGraph(f"{node['op']} is given an argument twice")
    given |= node["kwargs"]
    read = {}
    for name, value in given.items():
        if name == "other" and type(value) in (int, float, bool):
            read[name] = _read(value, "number", values)  # x * 2 is mul.Tensor too
        elif name not in IGNORED:
            read[name] = _read(value, str(by_name[name].type), values)
    if "device" in by_name:
        read["device"] = device
    return operation(**read)


def _read(value: Any, wanted: str, values: dict[str, Any], depth: int = 0) -> Any:
    """The value of one argument, which has the type that the schema names.

    Raises: NotAGraph.
    """
    if value is None and wanted.startswith("Optional["):
        return None
    wanted = wanted.removeprefix("Optional[").removesuffix("]") if wanted.startswith("Optional[") else wanted
    if wanted.startswith("List[") and depth < DEPTH:
        if not isinstance(value, list):
            value = [value]
        return [_read(inner, wanted[5:-1], values, depth + 1) for inner in value]
    if wanted == "Tensor" and isinstance(value, dict):
        found = values.get(value.get("ref", ""))
        if isinstance(found, Tensor):
            return found
    elif wanted == "int" and isinstance(value, dict) and value.get("dtype") in DTYPES:
        return DTYPES[value["dtype"]]  # a schema calls a dtype an int
    elif (wanted == "bool" and type(value) is bool) or (
        wanted == "int" and type(value) is int and abs(value) < 1 << 63
    ):
        return value
    elif wanted in ("float", "number"):
        if isinstance(value, dict) and value.get("float") in ("inf", "-inf", "nan"):
            return float(value["float"])
        if type(value) in (int, float, bool) and (type(value) is not float or math.isfinite(value)):
            return value
    elif wanted == "str" and value in ("none", "tanh", "floor", "trunc"):  # gelu's approximation, div's rounding
        return value
    raise NotAGraph(f"an argument is no {wanted}")
