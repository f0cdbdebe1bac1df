"""Exports a run's encode as a graph of ATen operations, in the process that encodes, with the run's code."""

from __future__ import annotations

import json
import math
import operator
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

KEPT_OUT = ("device", "layout", "pin_memory", "memory_format")  # the evaluator keeps values its own way
CHECKS = (torch.ops.aten._assert_tensor_metadata.default,)  # of the trace itself, without a result
LINEAR = torch.ops.mkldnn._linear_pointwise.default if hasattr(torch.ops.mkldnn, "_linear_pointwise") else None


class CannotExport(Exception):
    """encode cannot be written as such a graph. The message says why in one line."""


class EncodeOnly(nn.Module):
    """forward(x) is sae.encode(x)."""

    def __init__(self, sae: Any) -> None:
        super().__init__()
        self.sae = sae

    def forward(self, x: Tensor) -> Tensor:
        return self.sae.encode(x)


def export_encode(sae: Any, x: Tensor) -> tuple[str, Tensor]:
    """The graph at x's shape as JSON, and its constants as the bytes (n,) uint8 of a safetensors file.

    Raises: CannotExport, and any exception of torch.export.
    """
    program = torch.export.export(EncodeOnly(sae).eval(), (x,), strict=False).run_decompositions()
    signature = program.graph_signature
    if signature.buffers_to_mutate or getattr(signature, "user_inputs_to_mutate", None):
        raise CannotExport("encode changes a buffer or its input")
    if len(signature.user_inputs) != 1 or len(signature.user_outputs) != 1:
        raise CannotExport("encode is not a function of one tensor to one tensor")
    named = {signature.user_inputs[0]: "x"}
    constants = {}
    for index, (node, target) in enumerate(inputs_of(signature).items()):
        value = program.state_dict[target] if target in program.state_dict else program.constants[target]
        named[node] = f"c{index}"
        constants[f"c{index}"] = value.detach().cpu().clone().contiguous()
    nodes: list[dict[str, Any]] = []
    for node in program.graph.nodes:
        if node.op == "call_function" and node.target not in CHECKS:
            nodes += write_node(node, named)
            named[node.name] = nodes[-1]["name"]
    plan = {"inputs": ["x"], "constants": sorted(constants), "nodes": nodes, "output": named[signature.user_outputs[0]]}
    return json.dumps(plan, allow_nan=False), torch.frombuffer(bytearray(save(constants)), dtype=torch.uint8)


def write_node(node: torch.fx.Node, named: dict[str, str]) -> list[dict[str, Any]]:
    """One operation as JSON. The fast steps' x @ weight.T + bias of oneDNN becomes the two operations of ATen."""
    args = [write(argument, named) for argument in node.args]
    kwargs = {name: write(argument, named) for name, argument in node.kwargs.items() if name not in KEPT_OUT}
    name = f"n_{node.name}"
    if node.target is LINEAR and len(args) == 6 and args[3] == "none":
        transposed = {"name": f"{name}_t", "op": "t.default", "args": [args[1]], "kwargs": {}}
        factors = [args[0], {"ref": transposed["name"]}]
        op, factors = ("mm.default", factors) if args[2] is None else ("addmm.default", [args[2], *factors])
        return [transposed, {"name": name, "op": op, "args": factors, "kwargs": {}}]
    return [{"name": name, "op": name_of(node.target), "args": args, "kwargs": kwargs}]


def inputs_of(signature: Any) -> dict[str, str]:
    """Sources of the graph's inputs other than x: {node: name in the program}."""
    return (
        dict(signature.inputs_to_parameters)
        | dict(signature.inputs_to_buffers)
        | dict(signature.inputs_to_lifted_tensor_constants)
    )


def name_of(target: Any) -> str:
    """mm.default for torch.ops.aten.mm.default.

    Raises: CannotExport for anything that is not ATen.
    """
    if target is operator.getitem:
        return "getitem"
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
        raise CannotExport(f"encode uses {target}, which is not an ATen operation")
    return str(target).removeprefix("aten.")


def write(value: Any, named: dict[str, str]) -> Any:
    """One argument as JSON.

    Raises: CannotExport.
    """
    if isinstance(value, torch.fx.Node):
        return {"ref": named[value.name]}
    if isinstance(value, list | tuple):
        return [write(inner, named) for inner in value]
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise CannotExport(f"encode's graph has an argument of type {type(value).__name__}")
