"""Runs a run's encode for the evaluator, in a process of its own.

    python -I encoder/serve.py FOLDER RUN        (started by encoder/process.py)

Loads FOLDER/work/experiment.py at the first request, then answers batch after batch on the pipes that were its standard
input and output. Prints of the experiment go to standard error. The evaluator checks every answer of this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
FOLDER = Path(sys.argv[1]) if len(sys.argv) == 3 else Path()
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch  # noqa: E402
from encoder.wire import (  # noqa: E402
    DECODE,
    DENSE,
    ENCODE,
    EXPORT,
    FAULT,
    GRAPH,
    LOAD,
    READY,
    Pipe,
    PipeEnded,
    WireMessage,
    pack_codes,
)
from torch import Tensor  # noqa: E402


class EncodeFault(Exception):
    """A fault of the run's code, said in one line, to which a traceback would add nothing."""


class Service:
    """The run's SAE, and the answers to requests for it."""

    def __init__(self, work: Path, run: str) -> None:
        self.work, self.run = work, run
        self.sae: Any = None
        self.device = torch.device("cpu")
        self.d_in = self.d_sae = 0

    def answer(self, message: WireMessage) -> WireMessage:
        if message.kind == LOAD:
            return self.load(json.loads(message.text))
        (array,) = message.arrays
        if message.kind == ENCODE:
            return pack_codes(self.call("encode", array, self.d_sae))
        if message.kind == DECODE:
            return WireMessage(DENSE, arrays=[self.call("decode", array, self.d_in)])
        if message.kind == EXPORT:
            return self.export(array)
        raise EncodeFault(f"unknown request {message.kind!r}")

    def load(self, settings: dict[str, Any]) -> WireMessage:
        """Import experiment.py and load the run, on a GPU if there is one and the SAE is a torch module."""
        self.d_in, self.d_sae = settings["d_in"], settings["d_sae"]
        torch.set_num_threads(settings["threads"])
        sys.path.insert(0, str(self.work))
        path = self.work / "experiment.py"
        spec = importlib.util.spec_from_file_location("experiment", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["experiment"] = module
        spec.loader.exec_module(module)
        if not hasattr(module, "load_sae"):
            raise EncodeFault("experiment.py has no load_sae(run_dir)")
        self.sae = module.load_sae(self.run)
        if not hasattr(self.sae, "encode"):
            raise EncodeFault("what load_sae returned has no encode(x)")
        if hasattr(self.sae, "eval"):
            self.sae.eval()
        if torch.cuda.is_available() and isinstance(self.sae, torch.nn.Module):
            self.use_gpu()
        return WireMessage(READY, str(self.device))

    def use_gpu(self) -> None:
        """Move the SAE to the GPU if it encodes there, because a tensor that is no parameter or buffer stays behind."""
        self.sae.to("cuda")
        try:
            self.sae.encode(torch.zeros(2, self.d_in, device="cuda"))
            self.device = torch.device("cuda")
        except RuntimeError:
            self.sae.to("cpu")

    def call(self, name: str, array: Tensor, width: int) -> Tensor:
        """Result of the SAE's encode or decode, (rows, width), as float32 on the CPU.

        Raises: EncodeFault.
        """
        if not hasattr(self.sae, name):
            raise EncodeFault(f"what load_sae returned has no {name}")
        z = getattr(self.sae, name)(array.to(self.device))
        if not isinstance(z, Tensor) or z.is_complex():
            raise EncodeFault(f"{name} returned {type(z).__name__}, expected a tensor of real numbers")
        z = z.detach()
        if z.layout != torch.strided:
            z = z.to_dense()
        if tuple(z.shape) != (len(array), width):
            wanted = "(batch, d_sae)" if name == "encode" else "(batch, d_in)"
            raise EncodeFault(f"{name} returned shape {tuple(z.shape)}, expected {wanted} = {(len(array), width)}")
        return z.float().cpu()

    def export(self, x: Tensor) -> WireMessage:
        """Export encode as a graph, traced at x's shape, with its constants.

        Raises: EncodeFault.
        """
        from encoder.export import CannotExport, export_encode

        try:
            text, constants = export_encode(self.sae, x.to(self.device))
        except CannotExport as e:
            raise EncodeFault(str(e)) from e
        return WireMessage(GRAPH, text, [constants])


def take_over_pipes() -> Pipe:
    """Keep standard input and output for the evaluator. The experiment reads nothing and prints to standard error."""
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return Pipe(reading, writing)


def main() -> int:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    pipe = take_over_pipes()
    service = Service(FOLDER / "work", sys.argv[2])
    while True:
        try:
            message = pipe.receive(1 << 40)
        except PipeEnded:
            return 0
        try:
            with torch.no_grad():
                answer = service.answer(message)
        except EncodeFault as e:
            answer = WireMessage(FAULT, str(e))
        except Exception as e:  # noqa: BLE001 - whatever the run's code raises is the answer
            traceback.print_exc()
            last = traceback.format_exception_only(e)[-1].strip()
            what = {LOAD: "load_sae", ENCODE: "encode", DECODE: "decode", EXPORT: "export"}[message.kind]
            answer = WireMessage(FAULT, f"{what} raised {last[:300]}")
        sys.stdout.flush()
        sys.stderr.flush()
        pipe.send(answer)


if __name__ == "__main__":
    sys.exit(main())
