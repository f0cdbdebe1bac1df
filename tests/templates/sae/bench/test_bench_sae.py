"""sealed/bench/bench_sae.py and workplace.py: the SAE that sae_bench is given, and the folders in which it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sae_bench")
pytestmark = pytest.mark.sae

from bench import workplace  # noqa: E402
from bench.bench_sae import BenchSAE, raw_units  # noqa: E402
from data.store import NoRoom, Store, seal  # noqa: E402
from encoder.faults import CannotEvaluate  # noqa: E402

from tests.templates.sae.bench.small_sae import random_sae  # noqa: E402

SCALE = 0.25


def test_raw_units_are_those_of_unit_decoder_rows_on_raw_activations() -> None:
    encoder, decoder = random_sae(16, 48, 6)
    lengths = torch.linspace(0.5, 3.0, 48)
    decoder = replace(decoder, W_dec=decoder.W_dec * lengths[:, None], b_dec=torch.linspace(-1.0, 1.0, 16))
    sae = BenchSAE("s", encoder, decoder, scale=SCALE, model="m", hook="blocks.0.h", layer=0, device="cpu")
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1)) / SCALE
    z, x_hat = sae.encode(x), sae(x)
    with raw_units([sae]):
        raw = sae.encode(x)
        directions = sae.W_dec / sae.W_dec.norm(dim=1, keepdim=True)
        torch.testing.assert_close(raw @ directions + decoder.b_dec / SCALE, x_hat)
        torch.testing.assert_close(sae.decode(raw), x_hat)
    assert not torch.allclose(raw, z)
    assert torch.equal(sae.encode(x), z) and torch.equal(sae(x), x_hat)


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small evaluation entry of a store. Everything that is opened is closed after the test."""
    monkeypatch.setattr(workplace, "set_environment", lambda place: None)
    monkeypatch.setattr(workplace, "_OPEN", {})
    folder = tmp_path / "store" / "evaluation" / "key"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"scale": SCALE, "data_id": 7}))
    (folder / "texts").write_bytes(bytes(4000))
    seal(folder)
    yield folder
    for _, temporary, held in workplace._OPEN.values():
        held.close()
        temporary.cleanup()


def test_data_is_not_evicted_while_it_is_evaluated_on(entry: Path) -> None:
    workplace.open_workplace(entry)
    store = Store(entry.parents[1], 5000, lambda line: None)
    with pytest.raises(NoRoom):
        store.obtain("evaluation", "other", 3000, lambda folder: None)
    assert entry.is_dir()
    workplace._OPEN[entry][2].close()
    store.obtain("evaluation", "other", 3000, lambda folder: None)
    assert not entry.exists()


def test_damaged_data_is_named_before_anything_is_scored(entry: Path) -> None:
    (entry / "texts").write_bytes(bytes(3999) + b"x")
    with pytest.raises(CannotEvaluate, match="texts has another checksum"):
        workplace.open_workplace(entry)
