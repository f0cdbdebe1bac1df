"""sealed/encoder/wire.py on real pipes, with answers that a hostile process could send."""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.sae

from encoder.wire import (  # noqa: E402
    DENSE,
    ENCODE,
    SPARSE,
    BadMessage,
    Pipe,
    PipeEnded,
    TooLate,
    WireMessage,
    pack_codes,
    unpack_codes,
)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    yield Pipe(reading, writing)
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def send(pipe: Pipe, message: WireMessage) -> WireMessage:
    """Through the pipe, which holds less than the message."""
    sender = threading.Thread(target=pipe.send, args=(message,))
    sender.start()
    received = pipe.receive(1 << 30)
    sender.join()
    return received


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (700, 300)])
def test_arrays_and_text_arrive(pipe: Pipe, shape: tuple[int, int]) -> None:
    arrays = [torch.randn(shape), torch.arange(5).int(), torch.arange(9).to(torch.uint8)]
    received = send(pipe, WireMessage(ENCODE, "Grüße", arrays))
    assert (received.kind, received.text) == (ENCODE, "Grüße")
    for sent, found in zip(arrays, received.arrays, strict=True):
        assert sent.equal(found) and sent.dtype == found.dtype


def test_transposed_arrays_arrive_in_order(pipe: Pipe) -> None:
    x = torch.randn(4, 6).T
    assert send(pipe, WireMessage(ENCODE, arrays=[x])).arrays[0].equal(x)


@pytest.mark.parametrize("density", [0.0, 0.02, 0.6, 1.0])
def test_codes_come_back_as_they_were(density: float) -> None:
    z = torch.randn(40, 60) * (torch.rand(40, 60) < density)
    message = pack_codes(z)
    assert message.kind == (SPARSE if density < 0.4 else DENSE)
    assert unpack_codes(message, 40, 60).equal(z)
    assert sum(a.nbytes for a in message.arrays) <= z.nbytes


def test_not_a_number_survives_packing() -> None:
    z = torch.zeros(5, 50)
    z[1, 2] = float("nan")
    assert unpack_codes(pack_codes(z), 5, 50).isnan().sum() == 1


INT, FLOAT = torch.int32, torch.float32
HOSTILE = {
    "a column beyond the last": ([1, 0], [5], [1.0]),
    "a negative column": ([1, 0], [-1], [1.0]),
    "a negative count": ([-1, 2], [1], [1.0]),
    "counts of more entries": ([2, 1], [1, 2], [1.0, 1.0]),
    "an entry twice": ([2, 0], [1, 1], [1.0, 1.0]),
    "entries out of order": ([2, 0], [2, 1], [1.0, 1.0]),
    "fewer values": ([1, 1], [1, 2], [1.0]),
    "another number of rows": ([1, 1, 0], [1, 2], [1.0, 1.0]),
    "counts that overflow": ([2**31 - 1, 2**31 - 1], [1, 2], [1.0, 1.0]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_sparse_answers_are_refused(what: str) -> None:
    counts, columns, values = HOSTILE[what]
    arrays = [torch.tensor(counts, dtype=INT), torch.tensor(columns, dtype=INT), torch.tensor(values, dtype=FLOAT)]
    with pytest.raises(BadMessage):
        unpack_codes(WireMessage(SPARSE, arrays=arrays), 2, 5)


def test_other_answers_are_refused() -> None:
    for message in (
        WireMessage(DENSE, arrays=[torch.zeros(2, 6)]),
        WireMessage(DENSE, arrays=[torch.zeros(2, 5, dtype=INT)]),
        WireMessage(DENSE),
        WireMessage(b"?", arrays=[torch.zeros(2, 5)]),
    ):
        with pytest.raises(BadMessage):
            unpack_codes(message, 2, 5)


HEAD = struct.pack("<4scIB", b"SAE1", b"D", 0, 1)
BYTES = {
    "no magic": b"hello, world" * 3,
    "endless text": struct.pack("<4scIB", b"SAE1", b"D", 1 << 31, 0),
    "unknown dtype": HEAD + struct.pack("<BB", 9, 1),
    "many dimensions": HEAD + struct.pack("<BB", 0, 200),
    "too many bytes": HEAD + struct.pack("<BBQ", 0, 1, 1 << 40),
    "bytes that overflow to few": HEAD + struct.pack("<BBQQ", 0, 2, 1 << 63, 2),
    "no bytes in endless rows": HEAD + struct.pack("<BBQQ", 0, 2, 1 << 62, 0),
}


@pytest.mark.parametrize("what", BYTES)
def test_malformed_bytes_are_refused(pipe: Pipe, what: str) -> None:
    os.write(pipe.writing, BYTES[what])
    pipe.deadline = time.monotonic() + 5
    with pytest.raises(BadMessage):
        pipe.receive(1000)


def test_a_half_message_ends_at_the_deadline_or_with_the_writer(pipe: Pipe) -> None:
    os.write(pipe.writing, HEAD)
    pipe.deadline = time.monotonic() + 0.1
    with pytest.raises(TooLate):
        pipe.receive(1000)
    os.write(pipe.writing, HEAD)
    os.close(pipe.writing)
    pipe.deadline = None
    with pytest.raises(PipeEnded):
        pipe.receive(1000)


def test_nobody_reading_is_no_endless_wait(pipe: Pipe) -> None:
    pipe.deadline = time.monotonic() + 0.1
    with pytest.raises(TooLate):
        pipe.send(WireMessage(ENCODE, arrays=[torch.zeros(1 << 20)]))
    os.close(pipe.reading)
    pipe.deadline = None
    with pytest.raises(PipeEnded):
        pipe.send(WireMessage(ENCODE))
