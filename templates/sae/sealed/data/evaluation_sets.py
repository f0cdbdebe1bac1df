"""Writes the texts that sae_bench reads in an evaluation and that training never saw.

    make(profile, folder)

    folder/document_hashes.txt              SHA-256 of every document below, which training leaves out
    folder/data/evaluation_text/            train.parquet: "text", which core reads
    folder/data/fancyzhx/ag_news/           {train,test}.parquet: "text", "label" 0 to 3, news on four topics
    folder/data/canrager/amazon_reviews_mcauley_1and5/   "text", "category", "rating" 1.0 or 5.0
    folder/hub_home/                        HF_HOME in which the assets' model has the name of a model on the hub

The sets for probes are written only if the text is the project's own (hidden.dataset.generator), and the model only if
it is one of hidden.model.assets. Neither needs a network. A model of the hub is probed with the hub's data sets. Its
evaluation text is taken from hidden.dataset, in the order in which sae_bench's core would read it, and is kept from
training by its hashes. hidden.evaluation has "documents", the number of evaluation texts, and "seed".
Raises: plan.ProfileRefused if hidden.dataset holds too few documents.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data import language_model, text
from data.plan import ProfileRefused

VERSION = 2  # goes up if the code here would write other files
HASHES = "document_hashes.txt"
TEXT = "evaluation_text"
NEWS = "fancyzhx/ag_news"
REVIEWS = "canrager/amazon_reviews_mcauley_1and5"
CORE_SEED = 42  # sae_bench 0.6.0, evals/core/main.py: shuffle_input_dataset(seed=42), of shards only
DOCUMENTS = 600  # of the project's own text, about 110 tokens each
NEWS_PER_CLASS = {"train": 120, "test": 80}
REVIEWS_PER_QUADRANT = {"train": 60, "test": 40}  # of each product and rating
SEEDS = {"train": 1, "test": 2}


def make(profile: dict[str, Any], folder: Path) -> None:
    """Fill an empty folder as described above."""
    hidden = profile["hidden"]
    settings = hidden.get("evaluation", {})
    seed, count = settings.get("seed", 0), settings.get("documents", DOCUMENTS)
    own = "generator" in hidden["dataset"]
    texts = list(text.documents("evaluation", seed, count) if own else first_documents(hidden["dataset"], count))
    written = list(texts)
    save(folder / "data" / TEXT, "train", {"text": texts})
    if own:
        for name, rows in ((NEWS, news), (REVIEWS, reviews)):
            for split in SEEDS:
                table = rows(split, seed)
                save(folder / "data" / name, split, table)
                written += table["text"]
    if "assets" in hidden["model"]:
        language_model.lay_out_hub(hidden["model"], folder / "hub_home")
    hashes = dict.fromkeys(map(language_model.document_hash, written))
    (folder / HASHES).write_text("".join(f"{one}\n" for one in hashes))


def first_documents(dataset: dict[str, Any], count: int) -> Iterator[str]:
    """The documents that sae_bench's core would read first."""
    rows = language_model.open_dataset(dataset).shuffle(seed=CORE_SEED, buffer_size=1)
    column = dataset.get("column", "text")
    found = [row[column] for row in itertools.islice(rows, count)]
    if len(found) < count:
        what = f"{count} asked for, but the data set ends after {len(found)}"
        raise ProfileRefused("hidden.evaluation.documents", what, "lower it, or name a larger data set")
    yield from found


def news(split: str, seed: int) -> dict[str, list[Any]]:
    """Reports of a probe's training or test rows, the four topics in turn."""
    count, start = NEWS_PER_CLASS[split], seed * len(SEEDS) + SEEDS[split]
    found = {topic: text.labelled_news("probing", start, topic, count) for topic in text.TOPICS}
    rows = [(next(stream), int(topic)) for _ in range(count) for topic, stream in found.items()]
    return {"text": [row[0] for row in rows], "label": [row[1] for row in rows]}


def reviews(split: str, seed: int) -> dict[str, list[Any]]:
    """Reviews of a probe's training or test rows, as many of each product and rating, in turn."""
    count, start = REVIEWS_PER_QUADRANT[split], seed * len(SEEDS) + SEEDS[split]
    found = {
        (product, rating): text.labelled_reviews("probing", start, product, rating, count)
        for product, rating in itertools.product(text.PRODUCTS, text.RATINGS)
    }
    rows = [(next(stream), *labels) for _ in range(count) for labels, stream in found.items()]
    return {
        "text": [row[0] for row in rows],
        "category": [int(row[1]) for row in rows],
        "rating": [float(row[2]) for row in rows],
    }


def save(folder: Path, split: str, columns: dict[str, list[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"{split}.parquet")
