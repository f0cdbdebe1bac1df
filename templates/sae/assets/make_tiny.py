"""Makes assets/tiny: a 4-layer GPTNeoX of 1.8 M parameters and its BPE tokenizer, trained on the project's own text.

    python assets/make_tiny.py [--out=assets/tiny] [--steps=800] [--threads=2] [--seed=0]

Trains in float32 on one or two threads for minutes and stores float16. Prints losses in nats a token on documents that
training never saw: that of the stored model, and those of unigram and bigram counts. Needs requirements-lm.txt.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sealed"))
from data import text

VOCABULARY = 4096
CONTEXT = 128
BATCH = 16
WIDTH, LAYERS, HEADS = 128, 4, 4
PEAK_RATE, WARMUP = 4e-3, 60
TOKENIZER_DOCUMENTS = 8000
END = "<|endoftext|>"


def make_tokenizer(folder: Path, seed: int) -> PreTrainedTokenizerFast:
    """Train byte-level BPE with one special token, which begins, ends and separates documents, as pythia's."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(text.documents("train", seed, TOKENIZER_DOCUMENTS), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=END, eos_token=END, unk_token=END)
    tokenizer.save_pretrained(folder)
    return tokenizer


def batches(tokenizer: Any, split: str, seed: int) -> Iterator[Tensor]:
    """Token ids (BATCH, CONTEXT), int64: BOS first in every row, documents end to end, each after a separator."""
    pending: list[int] = []
    size = BATCH * (CONTEXT - 1)
    documents = text.documents(split, seed)
    while True:
        for ids in tokenizer(list(itertools.islice(documents, 128)))["input_ids"]:
            pending += [tokenizer.bos_token_id, *ids]
        while len(pending) >= size:
            rows = torch.tensor(pending[:size]).view(BATCH, CONTEXT - 1)
            pending = pending[size:]
            yield torch.nn.functional.pad(rows, (1, 0), value=tokenizer.bos_token_id)


def rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine to a twentieth."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))


def train(tokenizer: Any, steps: int, seed: int) -> GPTNeoXForCausalLM:
    torch.manual_seed(seed)
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=512,
        rotary_pct=0.25,
        use_parallel_residual=True,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = GPTNeoXForCausalLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    for step, tokens in enumerate(itertools.islice(batches(tokenizer, "train", seed), steps)):
        loss = model(tokens, labels=tokens).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss.item():.3f}", file=sys.stderr, flush=True)
    return model.eval()


@torch.no_grad()
def compare(model: Any, tokenizer: Any, seed: int) -> dict[str, float]:
    """Cross-entropy of the next token, in nats, of the model and of counts, on the same evaluation documents.

    Counts come from the text that the model saw. Bigrams are mixed with unigrams 9 to 1, and unigrams add one.
    """
    held_out = list(itertools.islice(batches(tokenizer, "evaluation", seed), 16))
    single = torch.ones(VOCABULARY, dtype=torch.float64)
    pair = torch.zeros(VOCABULARY, VOCABULARY, dtype=torch.float64)
    for tokens in itertools.islice(batches(tokenizer, "train", seed), 1000):
        single += torch.bincount(tokens[:, 1:].flatten(), minlength=VOCABULARY)
        index = (tokens[:, :-1].flatten(), tokens[:, 1:].flatten())
        pair.index_put_(index, torch.ones(1, dtype=torch.float64), accumulate=True)
    single /= single.sum()
    after = pair / pair.sum(dim=1, keepdim=True).clamp(min=1)
    now = torch.cat([tokens[:, :-1].flatten() for tokens in held_out])
    following = torch.cat([tokens[:, 1:].flatten() for tokens in held_out])
    losses = [model(tokens, labels=tokens).loss.item() for tokens in held_out]
    return {
        "model": sum(losses) / len(losses),
        "bigram": -(0.9 * after[now, following] + 0.1 * single[following]).log().mean().item(),
        "unigram": -single[following].log().mean().item(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "tiny")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    began, used = time.monotonic(), time.process_time()
    tokenizer = make_tokenizer(args.out, args.seed)
    model = train(tokenizer, args.steps, args.seed)
    cost = {"seconds": round(time.monotonic() - began), "cpu_seconds": round(time.process_time() - used)}
    model.half().save_pretrained(args.out)
    stored = GPTNeoXForCausalLM.from_pretrained(args.out, dtype=torch.float32).eval()
    losses = {name: round(value, 3) for name, value in compare(stored, tokenizer, args.seed).items()}
    size = {"parameters": sum(p.numel() for p in model.parameters())}
    made = {"steps": args.steps, "tokens": args.steps * BATCH * CONTEXT, "generator": text.GENERATOR_VERSION}
    print(json.dumps({**made, **size, "loss": losses, **cost}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
