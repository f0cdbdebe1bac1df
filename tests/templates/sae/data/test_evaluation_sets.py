"""sealed/data/evaluation_sets.py: texts that sae_bench reads, none of them among training documents."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("torch")
pq = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.sae

from data import evaluation_sets, language_model, text  # noqa: E402
from data.plan import ProfileRefused  # noqa: E402
from scores.language_model import SETTINGS  # noqa: E402

from tests.templates.sae.data import small_model  # noqa: E402

ASSETS = Path(evaluation_sets.__file__).resolve().parents[2] / "assets" / "tiny"
NAME = "EleutherAI/pythia-70m-deduped"


def hidden(**more: object) -> dict[str, dict[str, object]]:
    own = {"dataset": {"generator": "text"}, "model": {"name": NAME, "assets": str(ASSETS)}}
    return {"hidden": {**own, "evaluation": {"documents": 60}, **more}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    evaluation_sets.make(hidden(), folder)
    return folder


def columns(folder: Path, name: str, split: str) -> dict[str, list]:
    return pq.read_table(folder / "data" / name / f"{split}.parquet").to_pydict()


def test_every_text_is_listed_and_none_is_a_training_document(made: Path) -> None:
    hashes = (made / "document_hashes.txt").read_text().split()
    texts = [
        document
        for path in sorted((made / "data").rglob("*.parquet"))
        for document in pq.read_table(path).to_pydict()["text"]
    ]
    assert len(texts) == len(set(hashes)) == len(hashes) > 1500
    assert {language_model.document_hash(document) for document in texts} == set(hashes)
    for seed in (0, 1):
        training = {language_model.document_hash(document) for document in text.documents("train", seed, 3000)}
        assert not training & set(hashes)


def test_the_sets_hold_what_the_probes_ask_for(made: Path) -> None:
    probing = SETTINGS["sparse_probing"]
    for split, size in (("train", probing["train_size"]), ("test", probing["test_size"])):
        labels = Counter(columns(made, evaluation_sets.NEWS, split)["label"])
        assert labels == dict.fromkeys(range(4), size // 2)
        reviews = columns(made, evaluation_sets.REVIEWS, split)
        quadrants = Counter(zip(reviews["category"], reviews["rating"], strict=True))
        assert quadrants == {(kind, rating): size // 4 for kind in (1, 2, 3, 5, 6) for rating in (1.0, 5.0)}


def test_core_has_enough_text(made: Path) -> None:
    core, whole = SETTINGS["core"], list(text.documents("evaluation", 0, evaluation_sets.DOCUMENTS))
    batches = max(core["reconstruction_batches"], core["variance_batches"])
    assert sum(len(document.split()) for document in whole) > batches * core["batch_prompts"] * 128
    assert columns(made, "evaluation_text", "train")["text"] == whole[:60]


def test_the_model_has_its_name_on_the_hub(made: Path) -> None:
    repository = made / "hub_home" / "hub" / "models--EleutherAI--pythia-70m-deduped"
    snapshot = repository / "snapshots" / (repository / "refs" / "main").read_text()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (snapshot / name).read_bytes() == (ASSETS / name).read_bytes()


def test_another_seed_is_other_text(made: Path, tmp_path: Path) -> None:
    evaluation_sets.make(hidden(evaluation={"documents": 60, "seed": 1}), tmp_path)
    first, second = ((folder / "document_hashes.txt").read_text().split() for folder in (made, tmp_path))
    assert not set(first) & set(second)


def test_text_of_another_source_is_kept_from_training_too(tmp_path: Path) -> None:
    texts = list(small_model.sentences(50, seed=5))
    small_model.save_documents(tmp_path / "set", texts)
    profile = hidden(
        dataset={"path": str(tmp_path / "set")}, evaluation={"documents": 20}, model={"name": "google/gemma-2-2b"}
    )
    folder = tmp_path / "made"
    folder.mkdir()
    evaluation_sets.make(profile, folder)
    written = columns(folder, "evaluation_text", "train")["text"]
    assert len(set(written)) == 20 and set(written) < set(texts)
    assert len((folder / "document_hashes.txt").read_text().split()) == 20
    assert sorted(path.name for path in folder.iterdir()) == ["data", "document_hashes.txt"]


def test_too_little_text_is_refused(tmp_path: Path) -> None:
    small_model.save_documents(tmp_path / "set", list(small_model.sentences(5, seed=5)))
    line = "hidden.evaluation.documents: 20 asked for, but the data set ends after 5"
    with pytest.raises(ProfileRefused, match=line):
        evaluation_sets.make(hidden(dataset={"path": str(tmp_path / "set")}, evaluation={"documents": 20}), tmp_path)


def test_the_sets_are_those_of_this_version(made: Path) -> None:
    """Whoever changes them must raise VERSION, on which the prepared folders' keys rest, and the hash here."""
    listed = (made / "document_hashes.txt").read_bytes()
    assert (evaluation_sets.VERSION, hashlib.sha256(listed).hexdigest()[:16]) == (2, "4a6b4e7ae25ce8e6")
