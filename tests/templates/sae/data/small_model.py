"""Makes a random GPTNeoX with a tokenizer, and documents as parquet, for language-model profiles without a network."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = ("the", "a", "cat", "dog", "sees", "old", "river", "house", "in", "on", "of", "stone", "light", "every", "bird")
NAME = "EleutherAI/pythia-70m-deduped"
LAYERS, WIDTH = 4, 32


def sentences(count: int, seed: int) -> Iterator[str]:
    """Documents that differ from each other, about 45 words long."""
    draw = random.Random(seed)
    for index in range(count):
        yield f"{index}. " + " ".join(draw.choices(WORDS, k=draw.randint(30, 60)))


def save_tokenizer(folder: Path) -> Any:
    """A BPE tokenizer with <|endoftext|> as its only special token, as pythia's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(sentences(200, seed=1), trainer)
    end = "<|endoftext|>"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=end, eos_token=end, unk_token=end)
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_model(folder: Path) -> Any:
    """A GPTNeoX with random weights, large enough that no two layers give nearly the same activations."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=400,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
        architectures=["GPTNeoXForCausalLM"],
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPTNeoXForCausalLM(config).eval()
    model.save_pretrained(folder, safe_serialization=True)
    return model


def save_documents(folder: Path, texts: list[str]) -> None:
    """folder/train.parquet with the column `text`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": texts}), folder / "train.parquet")


def small_profile(model: Path, data: Path, **hidden: Any) -> dict[str, Any]:
    """A profile on the model and documents above, whose preparation takes a moment."""
    return {
        "threads": 1,
        "steps": 10,
        "batch_size": 64,
        "d_in": WIDTH,
        "d_sae": 64,
        "k": 4,
        "dtype": "float16",
        "hidden": {
            "source": "language_model",
            "model": {"name": NAME, "assets": str(model), "dtype": "float32"},
            "hook": "blocks.1.hook_resid_post",
            "dataset": {"path": str(data), "split": "train", "column": "text"},
            "context": 32,
            "bos": "each_context",
            "tokens": 3000,
            "batch_prompts": 8,
            "shuffle_seed": 3,
            **hidden,
        },
    }
