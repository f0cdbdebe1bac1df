"""Messages between the evaluator and the process that encodes: a kind, text and arrays, as lengths and raw bytes.

    b"SAE1"  kind (1 byte)  text length (u32)  number of arrays (u8)  text (UTF-8)  arrays
    array: dtype (u8)  number of dimensions (u8)  dimensions (u64 each)  the values, C order, little-endian

Nothing is pickled or evaluated. A reader says beforehand how many bytes it accepts. It refuses a message that announces
more, before it allocates any. Requests are `LOAD`, `ENCODE`, `DECODE` and `EXPORT`, answers are `READY`, `DENSE`,
`SPARSE`, `GRAPH` and `FAULT`. A sparse answer is counts (rows,) int32, columns (entries,) int32 and values (entries,)
float32.
"""

from __future__ import annotations

import os
import select
import struct
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

LOAD, ENCODE, DECODE, EXPORT = b"L", b"E", b"C", b"X"
READY, DENSE, SPARSE, GRAPH, FAULT = b"R", b"D", b"S", b"G", b"F"
MAGIC = b"SAE1"
DTYPES = (torch.float32, torch.int32, torch.uint8)
TEXT_LIMIT = 4 << 20
HEAD, ARRAY = struct.Struct("<4scIB"), struct.Struct("<BB")
PIECE = 1 << 20


class BadMessage(Exception):
    """The bytes that arrived are no message, or not one that was asked for."""


class PipeEnded(Exception):
    """The other side closed its end."""


class TooLate(Exception):
    """The deadline passed."""


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One message of the protocol. Its `arrays` are float32, int32 or uint8, on the CPU."""

    kind: bytes
    text: str = ""
    arrays: list[Tensor] = field(default_factory=list)


class Pipe:
    """Two ends of pipes. Reads and writes must end by `deadline`, a time of time.monotonic, or None for no limit."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self.deadline: float | None = None
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)

    # ------------------------------------------------------------------------------------------------------- sending

    def send(self, message: WireMessage) -> None:
        """Write one message.

        Raises: PipeEnded, TooLate.
        """
        text = message.text.encode("utf-8", "replace")
        self._write(HEAD.pack(MAGIC, message.kind, len(text), len(message.arrays)) + text)
        for array in message.arrays:
            array = array.detach().cpu().contiguous()
            sizes = struct.pack(f"<{array.ndim}Q", *array.shape)
            self._write(ARRAY.pack(DTYPES.index(array.dtype), array.ndim) + sizes)
            if array.numel():
                self._write(memoryview(array.reshape(-1).numpy()).cast("B"))

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            self._wait(self.writing, select.POLLOUT)
            try:
                view = view[os.write(self.writing, view[:PIECE]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as e:
                raise PipeEnded from e

    # ----------------------------------------------------------------------------------------------------- receiving

    def receive(self, limit_bytes: int) -> WireMessage:
        """The next message, whose arrays take at most limit_bytes.

        Raises: BadMessage, PipeEnded, TooLate.
        """
        magic, kind, text_bytes, count = HEAD.unpack(self._read(HEAD.size))
        if magic != MAGIC:
            raise BadMessage("it wrote to the evaluator's pipe by itself")
        if text_bytes > TEXT_LIMIT:
            raise BadMessage(f"it sent a text of {text_bytes} bytes")
        text = bytes(self._read(text_bytes)).decode("utf-8", "replace")
        arrays = []
        for _ in range(count):
            arrays.append(self._read_array(limit_bytes))
            limit_bytes -= arrays[-1].nbytes
        return WireMessage(kind, text, arrays)

    def _read_array(self, limit_bytes: int) -> Tensor:
        code, ndim = ARRAY.unpack(self._read(ARRAY.size))
        if code >= len(DTYPES) or ndim > 8:
            raise BadMessage(f"it sent an array of unknown type {code} or of {ndim} dimensions")
        shape = struct.unpack(f"<{ndim}Q", self._read(8 * ndim))
        size = DTYPES[code].itemsize
        for length in shape:
            size *= length
        if size > limit_bytes or max(shape, default=0) > limit_bytes:
            raise BadMessage(f"it sent an array of shape {shape}, more than was asked for")
        if not size:
            return torch.empty(shape, dtype=DTYPES[code])
        return torch.frombuffer(self._read(size), dtype=DTYPES[code]).view(shape)

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            self._wait(self.reading, select.POLLIN)
            try:
                count = os.readv(self.reading, [view[:PIECE]])
            except BlockingIOError:
                continue
            if not count:
                raise PipeEnded
            view = view[count:]
        return data

    def _wait(self, descriptor: int, event: int) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        left_s = None if self.deadline is None else self.deadline - time.monotonic()
        if (left_s is not None and left_s <= 0) or not poll.poll(None if left_s is None else 1000 * left_s):
            raise TooLate


# --------------------------------------------------------------------------------------------------------------- codes


def pack_codes(z: Tensor) -> WireMessage:
    """The answer that carries latents z (rows, d_sae) float32: their nonzeros if those take fewer bytes, else all."""
    entries = int(torch.count_nonzero(z))
    if 8 * entries + 4 * len(z) >= 4 * z.numel():
        return WireMessage(DENSE, arrays=[z])
    rows, columns = z.nonzero(as_tuple=True)  # (entries,), row by row
    counts = torch.bincount(rows, minlength=len(z))  # (rows,)
    return WireMessage(SPARSE, arrays=[counts.int(), columns.int(), z[rows, columns]])


def unpack_codes(message: WireMessage, rows: int, width: int) -> Tensor:
    """The matrix (rows, width) float32 of a dense or sparse answer.

    Raises: BadMessage if it is anything else.
    """
    if message.kind == DENSE and [a.dtype for a in message.arrays] == [torch.float32]:
        if tuple(message.arrays[0].shape) != (rows, width):
            raise BadMessage(f"it sent shape {tuple(message.arrays[0].shape)} instead of {(rows, width)}")
        return message.arrays[0]
    if message.kind != SPARSE or [a.dtype for a in message.arrays] != [torch.int32, torch.int32, torch.float32]:
        raise BadMessage(f"it answered {message.kind!r} with {len(message.arrays)} arrays")
    counts, columns, values = message.arrays
    if counts.shape != (rows,) or columns.ndim != 1 or values.shape != columns.shape or bool((counts < 0).any()):
        raise BadMessage("its sparse answer has other shapes than rows and entries")
    counts, columns = counts.long(), columns.long()
    if int(counts.sum()) != len(columns) or bool(((columns < 0) | (columns >= width)).any()):
        raise BadMessage("its sparse answer points outside the matrix")
    places = torch.repeat_interleave(torch.arange(rows), counts) * width + columns  # (entries,)
    if bool((places.diff() <= 0).any()):
        raise BadMessage("its sparse answer names an entry twice or out of order")
    return torch.zeros(rows * width).index_copy_(0, places, values).view(rows, width)
