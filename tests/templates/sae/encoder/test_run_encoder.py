"""sealed/encoder/run_encoder.py: the served encoder, declarations of a run, and the graph in place of a process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.sae

from encoder import process  # noqa: E402
from encoder.decoder import read_declarations, read_decoder, self_report  # noqa: E402
from encoder.faults import CannotEvaluate  # noqa: E402
from encoder.row_check import RowCheck  # noqa: E402
from encoder.run_encoder import BrokenSAE, RunEncoder, ServedDecoder, block_of, open_encoder  # noqa: E402
from scores import synthetic  # noqa: E402
from torch import Tensor  # noqa: E402

from tests.templates.sae.encoder.served_runs import PROFILE, make_run  # noqa: E402


@contextmanager
def opened(folder: Path, **kwargs: Any) -> Iterator[RunEncoder]:
    decoder = read_decoder(folder / "run_1" / "sae.safetensors", PROFILE["d_in"])
    with open_encoder(
        folder / "experiment.py", folder / "run_1", decoder, profile=PROFILE, seed=3, **kwargs
    ) as encoder:
        yield encoder


def expected(folder: Path, x: Tensor) -> Tensor:
    decoder = read_decoder(folder / "run_1" / "sae.safetensors", PROFILE["d_in"])
    z = (x - decoder.b_dec) @ torch.linalg.pinv(decoder.W_dec)
    return z * (z > 0.05)


def activations(*shape: int) -> Tensor:
    return torch.randn(*shape, PROFILE["d_in"], generator=torch.Generator().manual_seed(5)) + 1


@pytest.mark.parametrize("kind", ["double", "half", "sparse", "negative"])
def test_other_number_formats_and_signs_are_taken(tmp_path: Path, kind: str) -> None:
    bodies = {"double": "z.double()", "half": "z.half()", "sparse": "z.to_sparse()", "negative": "-z"}
    cheat = f"""
class Cheat(Honest):
    def encode(self, x):
        assert x.ndim == 2 and x.dtype == torch.float32
        z = super().encode(x)
        return {bodies[kind]}
"""
    folder = make_run(tmp_path / "work", cheat)
    x = activations(3, 40)
    with opened(folder) as encoder:
        z = encoder.encode(x.double())  # (3, 40, d_in)
        assert encoder.encode(x[:0]).shape == (0, PROFILE["d_sae"])
    assert z.dtype == torch.float32 and z.shape == (120, PROFILE["d_sae"])
    sign, tolerance = (-1 if kind == "negative" else 1), 2e-3 if kind == "half" else 1e-5
    torch.testing.assert_close(z, sign * expected(folder, x.reshape(120, -1)), rtol=tolerance, atol=tolerance)


def test_the_process_and_its_folder_are_gone_even_if_scoring_fails(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "work")
    with pytest.raises(ZeroDivisionError), opened(folder) as encoder:
        encoder.encode(activations(10))
        place, pid = encoder._process.folder, encoder._process._process.pid
        assert (place / "work" / "experiment.py").is_file() and Path(f"/proc/{pid}").exists()
        1 / 0  # noqa: B018
    assert not place.exists() and not Path(f"/proc/{pid}").exists() and not process.strange_children()


CUSTOM = """
class Cheat(Honest):
    def decode(self, z):
        return torch.tanh(z @ self.weights["W_dec"])
DECODER = "custom"
"""


def test_a_declared_decoder_runs_apart_and_is_self_reported(tmp_path: Path) -> None:
    import evaluate
    from encoder.run_encoder import Patience

    folder = make_run(tmp_path / "work", CUSTOM)
    found = evaluate.evaluate(folder / "run_1", folder / "profile.json", 0, folder / "experiment.py", Patience())
    assert "DECODER" in found["self_reported"] and found["explained_variance"] < 0.9
    with opened(folder) as encoder:
        decoder = read_decoder(folder / "run_1" / "sae.safetensors", PROFILE["d_in"])
        z = torch.rand(7, PROFILE["d_sae"])
        torch.testing.assert_close(
            ServedDecoder(decoder.W_dec, decoder.b_dec, encoder).decode(z), torch.tanh(z @ decoder.W_dec)
        )


def test_an_encode_declared_to_look_across_the_batch_is_not_checked_for_it(tmp_path: Path) -> None:
    cheat = "class Cheat(Honest):\n    def encode(self, x):\n        return super().encode(x - x.mean(dim=0) + 1)\n"
    folder = make_run(tmp_path / "work", cheat)
    x = activations(64)
    with opened(folder, alone=False) as encoder:
        torch.testing.assert_close(encoder.encode(x), expected(folder, x - x.mean(dim=0) + 1), rtol=1e-4, atol=1e-4)


def test_declarations_are_read_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "experiment.py"
    for source, report in {
        "raise SystemExit(3)": "",
        "DECODER = 'linear'; ENCODE: str = 'row'": "",
        "ENCODE = 'batch'": "ENCODE",
        "def f():\n    DECODER = 'custom'": "",
    }.items():
        path.write_text(source)
        found = self_report(read_declarations(path))
        assert report in found and bool(report) == bool(found)
    for source, reason in {
        "DECODER = 'mlp'": "must be one of",
        "DECODER = f()": "must be one of",
        "x = (": "parsed",
    }.items():
        path.write_text(source)
        with pytest.raises(BrokenSAE, match=reason):
            read_declarations(path)


def test_the_decoder_is_a_copy_of_the_file(tmp_path: Path) -> None:
    path = make_run(tmp_path / "work") / "run_1" / "sae.safetensors"
    decoder = read_decoder(path, PROFILE["d_in"])
    before = decoder.W_dec.clone()
    size = path.stat().st_size
    with path.open("r+b") as f:
        f.seek(size // 2)
        f.write(b"\xff" * (size - size // 2))
    assert decoder.W_dec.equal(before) and decoder.b_dec.isfinite().all()


# ---------------------------------------------------------------------------------------------------------- row check


def test_rounding_at_ties_is_no_fault() -> None:
    """Latents that differ by float rounding between batch sizes, as products of matrices do."""

    def encode(x: Tensor) -> Tensor:
        pre = x + 1e-7 * len(x)
        values, indices = pre.topk(4, dim=1)
        return torch.zeros_like(pre).scatter(1, indices, values)

    check = RowCheck(encode, 0)
    for _ in range(5):
        assert check(torch.randn(256, 32)).shape == (256, 32)
    assert check.active > 0


def test_rows_come_back_in_their_places_and_none_are_added() -> None:
    sizes = []

    def encode(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x.relu()

    check = RowCheck(encode, 0)
    for rows in (256, 3, 1, 700, 700):
        x = torch.randn(rows, 8)
        assert check(x).equal(x.relu())
    assert max(sizes) > 700  # rows of earlier batches were among them


def test_a_batch_larger_than_before_is_inspected_again() -> None:
    def encode(x: Tensor) -> Tensor:
        return x.relu() if len(x) < 500 else (x - x.mean(dim=0)).relu()

    check = RowCheck(encode, 0)
    check(torch.randn(64, 8))
    with pytest.raises(BrokenSAE, match="depends on the other rows"):
        check(torch.randn(512, 8))


# --------------------------------------------------------------------------------------------------------------- graph


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_a_graph_replaces_the_process_where_it_agrees(tmp_path: Path) -> None:
    body = "z = (x - self.b_dec) @ self.W_enc\n        return z * (z > 0.05)"
    module = f"""
class Cheat(torch.nn.Module):
    def __init__(self, run_dir):
        super().__init__()
        for name, value in vars(Honest(run_dir)).items():
            self.register_buffer(name, value) if name != "weights" else None
    def encode(self, x):
        {body}
"""
    folder = make_run(tmp_path / "work", module)
    x = activations(200)
    with opened(folder, graph=True) as encoder:
        z = encoder.encode(x)
        assert encoder.kind == "graph" and "agreeing" in encoder.reason
        assert not process.strange_children()  # nothing of the run is alive while it is scored
        torch.testing.assert_close(z, expected(folder, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("body", ["torch.from_numpy(x.numpy()) * 2", "x @ self.W_enc if export() else x @ -self.W_enc"])
def test_without_a_graph_that_agrees_it_is_served_and_the_reason_is_kept(tmp_path: Path, body: str) -> None:
    cheat = f"""
def export():
    return torch.compiler.is_exporting()
class Cheat(Honest):
    def encode(self, x):
        return ({body})[:, :24]
"""
    folder = make_run(tmp_path / "work", cheat)
    with opened(folder, graph=True) as encoder:
        assert encoder.encode(activations(100)).shape == (100, PROFILE["d_sae"])
        assert encoder.kind == "served" and encoder.reason.startswith("no graph: ")


def test_blocks_fit_batches() -> None:
    for rows in (1, 100, 512, 1024, 2048, 4096):
        block, asked = block_of(rows), rows + min(64, rows // 64)
        assert 1 <= block <= min(rows, 1024) and -(-asked // block) * block <= asked + max(block, 8)


# --------------------------------------------------------------------------------------------------------- stored data


def test_prepared_samples_score_as_drawn_ones_and_others_are_refused(tmp_path: Path) -> None:
    import json

    from data.plan import data_id_of, synthetic_fields
    from data.store import seal
    from data.synthetic import write_evaluation
    from encoder.decoder import Decoder

    folder = make_run(tmp_path / "work")
    decoder = read_decoder(folder / "run_1" / "sae.safetensors", PROFILE["d_in"])

    class Direct:
        d_in, d_sae, kind, reason = decoder.d_in, decoder.d_sae, "served", ""

        def encode(self, x: Tensor) -> Tensor:
            return expected(folder, x)

    def score(data: Path | None, by: Decoder = decoder) -> dict[str, Any]:
        return synthetic.score(Direct(), by, PROFILE, data)

    data_id = data_id_of(synthetic_fields(PROFILE))
    for name, number in (("right", data_id), ("other", data_id + 1)):
        (tmp_path / name).mkdir()
        meta = write_evaluation(PROFILE, tmp_path / name) | {"data_id": number}
        (tmp_path / name / "meta.json").write_text(json.dumps(meta))
        seal(tmp_path / name)
    started = time.monotonic()
    assert score(tmp_path / "right") == score(None)
    assert time.monotonic() - started < 60
    for wrong, reason in (("other", "another profile"), ("missing", "prepare the data again")):
        with pytest.raises(CannotEvaluate, match=reason):
            score(tmp_path / wrong)
    (tmp_path / "right" / "samples.safetensors").write_bytes(b"x")
    with pytest.raises(CannotEvaluate, match="prepare the data again"):
        score(tmp_path / "right")
