"""sealed/prepare.py as the orchestrator calls it, on small synthetic models and a random language model."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.sae

from tests.templates.sae.conftest import SEALED  # noqa: E402
from tests.templates.sae.profiles import changed, profile_of  # noqa: E402

ROOT = SEALED.parents[2]


def small_synthetic(**hidden: Any) -> dict[str, Any]:
    profile = profile_of("synth")
    profile["hidden"] |= {"rows": 5000, "eval_samples": 6000, **hidden}
    profile["hidden"]["synthetic"]["orthogonalization"]["num_steps"] = 5
    return profile


def environment(home: Path, **variables: str) -> dict[str, str]:
    base = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return base | variables


def call(profile: dict[str, Any] | str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command of template.toml with the store folder/store."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "profile.json"
    path.write_text(profile if isinstance(profile, str) else json.dumps(profile))
    command = [sys.executable, str(SEALED / "prepare.py"), f"--profile={path}", f"--store={folder / 'store'}"]
    where = environment(folder, **variables)
    return subprocess.run(command, env=where, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("prepare.py: error: ")
    return last.removeprefix("prepare.py: error: ")


# ----------------------------------------------------------------------------------------------------------- synthetic


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("prepared folder")
    return folder, answer(call(small_synthetic(), folder))


def test_synthetic_data_is_drawn_once(made: tuple[Path, dict[str, Any]]) -> None:
    folder, first = made
    training, evaluation = Path(first["training"]), Path(first["evaluation"])
    assert first["made"] and training.parent == folder / "store" / "training"
    assert (training / "activations.bin").stat().st_size == 5000 * 64 * 2
    meta = json.loads((training / "meta.json").read_text())
    assert (meta["rows"], meta["d_in"]) == (5000, 64)
    assert json.loads((evaluation / "meta.json").read_text())["data_id"] == meta["data_id"]
    second = answer(call(small_synthetic(), folder))
    assert not second["made"]
    assert [second[name] for name in ("training", "evaluation", "bytes")] == [
        first[name] for name in ("training", "evaluation", "bytes")
    ]


def test_training_data_says_nothing_of_the_true_features(made: tuple[Path, dict[str, Any]]) -> None:
    """A run may read its training folder, so that directions and seeds must be in the evaluation's folder alone."""
    training = Path(made[1]["training"])
    assert {path.name for path in training.iterdir()} == {"activations.bin", "meta.json", "complete"}
    assert json.loads((training / "meta.json").read_text()).keys() == {"rows", "d_in", "dtype", "scale", "data_id"}


def test_a_hit_answers_at_once_and_without_torch(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    for name in ("torch", "numpy", "transformers"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not needed')")
    started = time.monotonic()
    found = answer(call(small_synthetic(), made[0], PYTHONPATH=str(tmp_path)))
    assert not found["made"] and time.monotonic() - started < 0.5


def test_rows_do_not_depend_on_how_many_processes_draw(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    from activations import open_rows
    from data import synthetic

    profile = small_synthetic()
    model = synthetic.build_model(profile)
    stream = synthetic.Stream(model, synthetic.TRAINING, 0)
    rows = [model.feature_dict(stream.sample(synthetic.TRAINING_CHUNK)).half() for _ in range(5)]
    assert open_rows(Path(made[1]["training"])).equal(torch.cat(rows)[:5000])


def test_stored_samples_are_those_that_the_stream_draws(made: tuple[Path, dict[str, Any]]) -> None:
    from data import synthetic

    stored = synthetic.StoredSamples(Path(made[1]["evaluation"]))
    stream = synthetic.Stream(synthetic.build_model(small_synthetic()), synthetic.EVALUATION, 0)
    expected = torch.cat([stream.sample(4096), stream.sample(6000 - 4096)])
    assert len(stored) == 6000
    assert torch.cat([stored.sample(n) for n in (1, 999, 5000)]).equal(expected)
    with pytest.raises(IndexError):
        stored.sample(1)
    stored.rewind()
    assert stored.sample(10).equal(expected[:10])


def test_damaged_training_data_is_made_again(tmp_path: Path) -> None:
    first = answer(call(small_synthetic(), tmp_path))
    path = Path(first["training"]) / "activations.bin"
    before = path.read_bytes()
    path.write_bytes(b"\0" + before[1:])
    again = call(small_synthetic(), tmp_path)
    assert answer(again)["made"] and "another checksum" in again.stderr
    assert path.read_bytes() == before


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("profile", "line"),
    [
        (changed(small_synthetic(), "k", 300), "k: 300 active latents of d_sae 256 cannot be; choose k from 1 to"),
        (changed(small_synthetic(), "d_sae", 0), "d_sae: 0 is impossible"),
        (changed(small_synthetic(), "d_in", 65), "d_in: 65, but hidden.synthetic.hidden_dim is 64"),
        ("{", "--profile: "),
    ],
)
def test_an_impossible_profile_is_one_line(tmp_path: Path, profile: dict[str, Any] | str, line: str) -> None:
    done = call(profile, tmp_path)
    assert refusal(done).startswith(line) and len(done.stderr.splitlines()) == 1
    assert not done.stdout


def test_no_room_names_folder_sizes_and_what_to_lower(tmp_path: Path) -> None:
    line = refusal(call(small_synthetic(rows=1 << 40), tmp_path, SCIENTIST_DATA_MAX_GIB="1e9"))
    assert line.startswith(f"hidden.rows: no disk for the cache: {tmp_path / 'store'} needs 140,737.49 GB, ")
    assert line.endswith("GB are free; free some, point SCIENTIST_CACHE at another disk, or lower hidden.rows")
    line = refusal(call(small_synthetic(), tmp_path, SCIENTIST_DATA_MAX_GIB="0.0001"))
    assert "needs 0.64 MB, its limit leaves 0.11 MB beside what is in use" in line
    assert line.endswith("raise SCIENTIST_DATA_MAX_GIB (0.0001) or lower hidden.rows")
    line = refusal(call(small_synthetic(), tmp_path, SCIENTIST_DATA_MAX_GIB="much"))
    assert line == "SCIENTIST_DATA_MAX_GIB: 'much' is no size; give a number above 0"


def test_a_store_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    assert refusal(call(small_synthetic(), tmp_path)).startswith(f"--store: {tmp_path / 'store'} cannot be made")


# One process: importing transformer_lens takes seconds. The hub's cache stays where huggingface_hub first saw it.
LANGUAGE_MODEL = """
import contextlib, io, json, os, sys, tempfile, types
from pathlib import Path
base = Path(sys.argv[1])
tempfile.TemporaryDirectory = lambda prefix: contextlib.nullcontext(os.environ["HF_HOME"])
import data, prepare
from data import language_model
from tests.templates.sae.data import small_model as small
from tests.templates.sae.profiles import changed
texts = list(small.sentences(400, seed=5))
module = types.ModuleType("data.evaluation_sets")
def make(profile, folder):
    hashes = [language_model.document_hash(text) for text in texts[:9]]
    (folder / "document_hashes.txt").write_text("\\n".join(hashes))
    (folder / "sets").mkdir()
    (folder / "sets" / "a.txt").write_text("a")
module.make = make
sys.modules["data.evaluation_sets"] = data.evaluation_sets = module
small.save_tokenizer(base / "model")
small.save_model(base / "model")
small.save_documents(base / "data", texts)
profile = small.small_profile(base / "model", base / "data")
CHANGES = {
    "made": ("k", 5),
    "found": ("k", 6),
    "model": ("hidden.model.name", "EleutherAI/pithia-70m-dedupd"),
    "alias": ("hidden.model.name", "pythia-70m-deduped"),
    "hook": ("hidden.hook", "blocks.9.hook_resid_post"),
    "outside": ("hidden.hook", "ln_final.hook_scale"),
    "width": ("d_in", 48),
    "tokens": ("hidden.tokens", 10**6),
    "path": ("hidden.dataset.path", str(base / "nowhere")),
    "column": ("hidden.dataset.column", "body"),
    "hub set": ("hidden.dataset", {"name": "Skylion007/openwebtext"}),
    "generator": ("hidden.dataset", {"generator": "web"}),
}
results = {}
for name, change in CHANGES.items():
    (base / "profile.json").write_text(json.dumps(changed(profile, *change)))
    sys.argv = ["prepare.py", f"--profile={base / 'profile.json'}", f"--store={base / 'store'}"]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = prepare.main()
    results[name] = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
results["leftovers"] = [str(path) for path in (base / "store").glob("*/.*")]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    pytest.importorskip("transformer_lens")
    base = tmp_path_factory.mktemp("language model")
    where = environment(base, HF_HOME=str(base / "hub"), HF_HUB_OFFLINE="1", PYTHONPATH=f"{SEALED}:{ROOT}")
    command = [sys.executable, "-c", LANGUAGE_MODEL, str(base)]
    done = subprocess.run(command, env=where, capture_output=True, text=True, timeout=300, check=False, cwd=base)
    assert done.returncode == 0, done.stderr[-4000:]
    return base, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_language_models_data_is_made_once(prepared: tuple[Path, dict[str, Any]]) -> None:
    base, results = prepared
    assert results["made"]["code"] == 0, results["made"]["err"]
    made, found = (json.loads(results[name]["out"].splitlines()[-1]) for name in ("made", "found"))
    assert made["made"] and not found["made"] and made["training"] == found["training"]
    training, evaluation = Path(made["training"]), Path(made["evaluation"])
    assert training.parent == base / "store" / "training"
    meta = json.loads((training / "meta.json").read_text())
    assert (meta["rows"], meta["d_in"], meta["dtype"], meta["documents_left_out"]) == (3000, 32, "float16", 9)
    known = json.loads((evaluation / "meta.json").read_text())
    assert (known["scale"], known["data_id"]) == (meta["scale"], meta["data_id"])
    assert (evaluation / "sets" / "a.txt").read_text() == "a" and (evaluation / "document_hashes.txt").is_file()
    assert results["leftovers"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "start", "contains"),
    [
        ("model", "hidden.model.name: transformer_lens knows no model", "nearest: EleutherAI/pythia-70m-deduped"),
        ("alias", "hidden.model.name: pythia-70m-deduped is a short name", "write EleutherAI/pythia-70m-deduped"),
        ("hook", "hidden.hook: the model has no hook blocks.9", "(4 layers, 0 to 3); nearest: blocks."),
        ("outside", "hidden.hook: ln_final.hook_scale is in no block", "choose a hook in blocks.N"),
        ("width", "d_in: 48, but blocks.1.hook_resid_post is 32 wide", "make them equal"),
        ("tokens", "hidden.tokens: 1,000,000 asked for, but the data set ends after", "lower it"),
        ("path", "hidden.dataset: the data set", "no parquet or JSON-lines file in"),
        ("column", "hidden.dataset.column: the data set has no text column body", "choose one of text"),
        ("hub set", "hidden.dataset: the data set Skylion007/openwebtext", "go online"),
        ("generator", "hidden.dataset.generator: 'web' is unknown", "there is: text"),
    ],
)
def test_a_language_model_that_cannot_be_had_is_one_line(
    prepared: tuple[Path, dict[str, Any]], name: str, start: str, contains: str
) -> None:
    result = prepared[1][name]
    assert result["code"] == 1 and not result["out"] and "Traceback" not in result["err"]
    last = result["err"].splitlines()[-1].removeprefix("prepare.py: error: ")
    assert last.startswith(start) and contains in last


# ------------------------------------------------------------------------------------------------------------- the hub


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does for a gated model or one that it does not show."""

    code, error = 403, "GatedRepo"

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.send_header("X-Error-Code", self.error)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, type[Hub]]]:
    handler = type("OneHub", (Hub,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "error", "token", "start", "remedy"),
    [
        (
            403,
            "GatedRepo",
            "",
            "google/gemma-2-2b is gated and was not given (no token is set: HF_TOKEN)",
            "set HF_TOKEN",
        ),
        (403, "GatedRepo", "hf_x", "google/gemma-2-2b is gated and was not given;", "with that account"),
        (
            401,
            "RepoNotFound",
            "",
            "the hub does not show google/gemma-2-2b (no token",
            "check the name, or set HF_TOKEN",
        ),
    ],
)
def test_a_model_that_the_hub_does_not_give_names_the_token(
    tmp_path: Path, hub: tuple[str, type[Hub]], code: int, error: str, token: str, start: str, remedy: str
) -> None:
    pytest.importorskip("transformer_lens")
    url, handler = hub
    handler.code, handler.error = code, error
    variables = {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hub"), **({"HF_TOKEN": token} if token else {})}
    line = refusal(call(profile_of("gemma-2-2b"), tmp_path, **variables))
    assert line.startswith(f"hidden.model.name: {start}") and remedy in line


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_a_model_that_is_not_here_without_a_network(tmp_path: Path, variables: dict[str, str]) -> None:
    pytest.importorskip("transformer_lens")
    line = refusal(call(profile_of("gemma-2-2b"), tmp_path, HF_HOME=str(tmp_path / "hub"), **variables))
    assert line.startswith("hidden.model.name: google/gemma-2-2b is not on this machine and the hub cannot be reached")
    assert "HF_TOKEN" in line
