"""Runs a run's encode for the evaluator, in a process of its own.

    python -I serve_encode.py FOLDER RUN        (started by encoder_process.py)

Loads FOLDER/work/experiment.py when it is told to, then answers batch after batch on the pipes that were its standard
input and output. Prints of the experiment go to standard error. Whatever this process says is checked by the evaluator.
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
sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch  # noqa: E402
from encoder_wire import (  # noqa: E402
    DECODE,
    DENSE,
    ENCODE,
    EXPORT,
    FAULT,
    GRAPH,
    LOAD,
    READY,
    Ended,
    Message,
    Pipe,
    pack_codes,
)
from torch import Tensor  # noqa: E402


class Fault(Exception):
    """What the run's code did wrong, in one line; no traceback helps."""


class Service:
    """The run's SAE and what is asked of it."""

    def __init__(self, work: Path, run: str) -> None:
        self.work, self.run = work, run
        self.sae: Any = None
        self.device = torch.device("cpu")
        self.d_in = self.d_sae = 0

    def answer(self, message: Message) -> Message:
        if message.kind == LOAD:
            return self.load(json.loads(message.text))
        (array,) = message.arrays
        if message.kind == ENCODE:
            return pack_codes(self.call("encode", array, self.d_sae))
        if message.kind == DECODE:
            return Message(DENSE, arrays=[self.call("decode", array, self.d_in)])
        if message.kind == EXPORT:
            return self.export(array)
        raise Fault(f"unknown request {message.kind!r}")

    def load(self, settings: dict[str, Any]) -> Message:
        """Import experiment.py and load the run; on a GPU where there is one and the SAE is a torch module."""
        self.d_in, self.d_sae = settings["d_in"], settings["d_sae"]
        torch.set_num_threads(settings["threads"])
        sys.path.insert(0, str(self.work))
        path = self.work / "experiment.py"
        spec = importlib.util.spec_from_file_location("experiment", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["experiment"] = module
        spec.loader.exec_module(module)
        if not hasattr(module, "load_sae"):
            raise Fault("experiment.py has no load_sae(run_dir)")
        self.sae = module.load_sae(self.run)
        if not hasattr(self.sae, "encode"):
            raise Fault("what load_sae returned has no encode(x)")
        if hasattr(self.sae, "eval"):
            self.sae.eval()
        if torch.cuda.is_available() and isinstance(self.sae, torch.nn.Module):
            self.use_gpu()
        return Message(READY, str(self.device))

    def use_gpu(self) -> None:
        """Move the SAE to the GPU if it encodes there; a tensor that is no parameter or buffer would stay behind."""
        self.sae.to("cuda")
        try:
            self.sae.encode(torch.zeros(2, self.d_in, device="cuda"))
            self.device = torch.device("cuda")
        except RuntimeError:
            self.sae.to("cpu")

    def call(self, name: str, array: Tensor, width: int) -> Tensor:
        """What the SAE's encode or decode returns, (rows, width), as float32 on the CPU."""
        if not hasattr(self.sae, name):
            raise Fault(f"what load_sae returned has no {name}")
        z = getattr(self.sae, name)(array.to(self.device))
        if not isinstance(z, Tensor) or z.is_complex():
            raise Fault(f"{name} returned {type(z).__name__}, expected a tensor of real numbers")
        z = z.detach()
        if z.layout != torch.strided:
            z = z.to_dense()
        if tuple(z.shape) != (len(array), width):
            wanted = "(batch, d_sae)" if name == "encode" else "(batch, d_in)"
            raise Fault(f"{name} returned shape {tuple(z.shape)}, expected {wanted} = {(len(array), width)}")
        return z.float().cpu()

    def export(self, x: Tensor) -> Message:
        """encode as a graph, traced at x's shape, with its constants."""
        from encoder_export import CannotExport, export_encode

        try:
            text, constants = export_encode(self.sae, x.to(self.device))
        except CannotExport as e:
            raise Fault(str(e)) from e
        return Message(GRAPH, text, [constants])


def take_over_pipes() -> Pipe:
    """Keep standard input and output for the evaluator; the experiment reads nothing and prints to standard error."""
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
        except Ended:
            return 0
        try:
            with torch.no_grad():
                answer = service.answer(message)
        except Fault as e:
            answer = Message(FAULT, str(e))
        except Exception as e:  # noqa: BLE001 - whatever the run's code raises is the answer
            traceback.print_exc()
            last = traceback.format_exception_only(e)[-1].strip()
            what = {LOAD: "load_sae", ENCODE: "encode", DECODE: "decode", EXPORT: "export"}[message.kind]
            answer = Message(FAULT, f"{what} raised {last[:300]}")
        sys.stdout.flush()
        sys.stderr.flush()
        pipe.send(answer)


if __name__ == "__main__":
    sys.exit(main())
