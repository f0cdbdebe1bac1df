"""sealed/activations.py: batches of an experiment, from a folder that the real store made."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import activations  # noqa: E402
from activations import NoTrainingData, batches, meta  # noqa: E402
from data.store import COMPLETE, Store  # noqa: E402

pytestmark = pytest.mark.sae

ROWS, D_IN = 1000, 8


def make_data(root: Path, dtype: torch.dtype = torch.float32, rows: int = ROWS, d_in: int = D_IN) -> Path:
    """Row i holds i in its first place, and noise."""
    x = torch.randn(rows, d_in, generator=torch.Generator().manual_seed(0))
    x[:, 0] = torch.arange(rows)

    def make(folder: Path) -> None:
        (folder / "activations.bin").write_bytes(x.to(dtype).view(torch.uint8).numpy().tobytes())
        shape = {"rows": rows, "d_in": d_in, "dtype": str(dtype).removeprefix("torch."), "scale": 1.5, "data_id": 7}
        (folder / "meta.json").write_text(json.dumps(shape))

    return Store(root, 1 << 40, print).obtain("training", f"a{rows}", 1, make).folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_data(tmp_path)
    monkeypatch.setenv("SCIENTIST_TRAINING_DATA", str(made))
    return made


def rows_read(seed: int, steps: int, batch_size: int) -> list[int]:
    """The rows' numbers in the order in which they came."""
    return [int(x) for batch in batches(seed=seed, steps=steps, batch_size=batch_size) for x in batch[:, 0]]


def test_meta_says_what_was_prepared(folder: Path) -> None:
    assert meta() == {"rows": ROWS, "d_in": D_IN, "dtype": "float32", "scale": 1.5, "data_id": 7}


def test_rows_come_in_order_from_a_start_that_the_seed_chooses(folder: Path) -> None:
    starts = set()
    for seed in range(5):
        read = rows_read(seed, steps=4, batch_size=50)
        assert read == [(read[0] + i) % ROWS for i in range(200)]
        torch.rand(3)
        assert rows_read(seed, steps=4, batch_size=50) == read
        starts.add(read[0])
    assert len(starts) == 5


@pytest.mark.parametrize(("steps", "batch_size"), [(10, 100), (25, 100), (3, 700), (1, 2500)])
def test_reading_goes_on_at_the_first_row_after_the_last(folder: Path, steps: int, batch_size: int) -> None:
    read = rows_read(0, steps, batch_size)
    assert read == [(read[0] + i) % ROWS for i in range(steps * batch_size)]
    if steps * batch_size == ROWS:
        assert sorted(read) == list(range(ROWS))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_values_are_those_written_as_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    made = make_data(tmp_path, dtype, rows=64)
    monkeypatch.setenv("SCIENTIST_TRAINING_DATA", str(made))
    x = next(batches(seed=3, steps=1, batch_size=64))
    assert x.dtype == torch.float32 and x.shape == (64, D_IN) and not x.requires_grad
    expected = torch.randn(64, D_IN, generator=torch.Generator().manual_seed(0))
    expected[:, 0] = torch.arange(64)
    assert x[x[:, 0].argsort()].equal(expected.to(dtype).float())


def test_a_batch_may_be_changed_and_the_data_stays(folder: Path) -> None:
    before = (folder / "activations.bin").read_bytes()
    for x in batches(seed=0, steps=3, batch_size=500):
        x.zero_()
    assert (folder / "activations.bin").read_bytes() == before
    assert len(set(rows_read(0, steps=2, batch_size=500))) == ROWS


def test_data_being_read_is_not_evicted(folder: Path) -> None:
    store = Store(folder.parents[1], 1 << 40, print)
    reader = batches(seed=0, steps=2, batch_size=10)
    next(reader)
    assert not store._evict(folder)
    reader.close()
    assert store._evict(folder)


@pytest.mark.parametrize("value", [None, "", "/no/such/folder"])
def test_an_unset_variable_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("SCIENTIST_TRAINING_DATA")
    else:
        monkeypatch.setenv("SCIENTIST_TRAINING_DATA", value)
    for read in (meta, lambda: next(batches(seed=0, steps=1, batch_size=1))):
        with pytest.raises(NoTrainingData, match="SCIENTIST_TRAINING_DATA"):
            read()


def test_damaged_data_is_refused(folder: Path) -> None:
    os.truncate(folder / "activations.bin", ROWS * D_IN * 4 - 4)
    with pytest.raises(NoTrainingData, match=r"activations\.bin has 31996 bytes, not 32000"):
        next(batches(seed=0, steps=1, batch_size=1))
    (folder / COMPLETE).unlink()
    with pytest.raises(NoTrainingData, match="never finished"):
        next(batches(seed=0, steps=1, batch_size=1))
    (folder / "meta.json").write_text("{")
    with pytest.raises(NoTrainingData, match=r"meta\.json cannot be read"):
        meta()


def test_impossible_numbers_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="batch_size 0"):
        next(batches(seed=0, steps=1, batch_size=0))


def test_the_reader_keeps_up_with_a_step_of_5_ms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_data(tmp_path, torch.float16, rows=100_000, d_in=512)
    monkeypatch.setenv("SCIENTIST_TRAINING_DATA", str(made))
    started = time.process_time()
    for _ in batches(seed=0, steps=200, batch_size=1024):
        pass
    assert time.process_time() - started < 200 * 0.005


def test_the_profile_is_read_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "profile.json").write_text('{"steps": 3}')
    monkeypatch.chdir(tmp_path)
    assert activations.read_profile() == {"steps": 3}
