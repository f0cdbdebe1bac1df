"""What stored activations save: a first run makes them with the language model and trains on them, a second one trains.

    python tests/bench/sae_cache.py                                      ours, one thread, CPU
    python tests/bench/sae_cache.py --peers PEERS/lib/python3.11/site-packages
    python tests/bench/sae_cache.py --shape 512,4096,1024,32 --steps 30 --rounds 1

Run it by an interpreter with requirements-lm.txt; --peers names a folder that also holds dictionary_learning
(sae_steps.py says how to make one), whose packages serve where this interpreter has none.

The language model is a random GPTNeoX as wide as d_in, read at the layer where its forward pass, for each activation
that is kept, costs nearest to --ratio times plain PyTorch's TopK step. Text, tokens, forward passes, shuffling and the
store are sealed/data/language_model.py's and store.py's, reading is activations.py's; imports are not counted.
First: all of that and one training. Second: the store's answer and one training. Both trainers take the same batches,
and a round measures all of it once, on an empty store. Forward passes are counted by a hook on every module's call.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

os.environ.update(GOMP_SPINCOUNT="0", CUDA_VISIBLE_DEVICES="", JAXTYPING_DISABLE="1", TQDM_DISABLE="1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import sae_steps
import torch
from sae_steps import SEALED, Shape, Step  # it also puts the sealed modules on the path

# isort: split
import activations
from data import language_model, plan
from data.store import Store

NAME = "EleutherAI/pythia-70m-deduped"  # a name that transformer_lens knows; the weights are our own
CONTEXT, PROMPTS = 128, 8
GOALS = {"ours": 10.0, "dictionary_learning": 2.5}
Times = tuple[float, float]  # CPU and wall seconds


@dataclass
class Forwards:
    """Counts forward passes of language models in this process, whoever makes them."""

    count: int = 0
    kinds: tuple[type, ...] = field(default=())

    def watch(self) -> None:
        from transformer_lens.components import Embed
        from transformers import GPTNeoXModel

        self.kinds = (Embed, GPTNeoXModel)
        torch.nn.modules.module.register_module_forward_pre_hook(self._see)

    def _see(self, module: torch.nn.Module, args: Any) -> None:
        self.count += isinstance(module, self.kinds)


def seconds(act: Callable[[], Any]) -> Times:
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - cpu, time.perf_counter() - wall


def plus(a: Times, b: Times) -> Times:
    return a[0] + b[0], a[1] + b[1]


# ------------------------------------------------------------------------------------------------------- language model


def save_model(folder: Path, width: int, layers: int) -> None:
    """A random GPTNeoX with the tokenizer of the template's own model."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    tiny = SEALED.parent / "assets" / "tiny"
    folder.mkdir()
    for path in tiny.glob("tokenizer*"):
        shutil.copy(path, folder)
    config = GPTNeoXConfig(
        vocab_size=json.loads((tiny / "config.json").read_text())["vocab_size"],
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        intermediate_size=4 * width,
        max_position_embeddings=CONTEXT,
        architectures=["GPTNeoXForCausalLM"],
        bos_token_id=0,
        eos_token_id=0,
    )
    GPTNeoXForCausalLM(config).save_pretrained(folder, safe_serialization=True)


def profile_of(shape: Shape, steps: int, assets: Path) -> dict[str, Any]:
    """As the template's profiles, without a hook."""
    return {
        "d_in": shape.d_in,
        "dtype": "float16",
        "hidden": {
            "source": "language_model",
            "model": {"name": NAME, "assets": str(assets), "dtype": "float32"},
            "dataset": {"generator": "text", "split": "train", "seed": 0},
            "context": CONTEXT,
            "bos": "each_context",
            "tokens": steps * shape.batch,
            "batch_prompts": PROMPTS,
            "shuffle_seed": 0,
        },
    }


def cost_ratio(shape: Shape, hook: str, repeats: int = 5) -> float:
    """CPU time of the language model up to the hook over that of a plain step, for one kept activation."""
    model = language_model.load_model(NAME, torch.float32)
    texts = language_model.documents({"generator": "text"})
    packed = language_model.contexts(texts, model.tokenizer, CONTEXT, "each_context")
    tokens = torch.tensor([next(packed) for _ in range(PROMPTS)])  # (PROMPTS, CONTEXT)
    rows = language_model.rows_at_hook(model, hook, tokens)  # (rows, d_in)
    step, x = sae_steps.plain(shape, "topk"), torch.randn(shape.batch, shape.d_in)
    step(x)
    ratios = []
    for _ in range(repeats):
        forward, _ = seconds(lambda: language_model.rows_at_hook(model, hook, tokens))
        plain, _ = seconds(lambda: step(x))
        ratios.append((forward / len(rows)) / (plain / shape.batch))
    return median(ratios)


def choose_hook(shape: Shape, layers: int, ratio: float) -> str:
    per_layer = cost_ratio(shape, f"blocks.{layers - 1}.hook_resid_post") / layers
    needed = round(ratio / per_layer)
    if needed > layers:
        sys.exit(f"--layers {layers} is too few for --ratio {ratio:g}: {needed} are needed")
    return f"blocks.{max(1, needed) - 1}.hook_resid_post"


# ----------------------------------------------------------------------------------------------------------------- runs


def obtain(profile: dict[str, Any], root: Path) -> tuple[Path, bool]:
    """The folder of activations in the store, and whether it had to be made."""

    def make(folder: Path) -> None:
        found = language_model.write_training(profile, folder, (), lambda line: None)
        (folder / "meta.json").write_text(json.dumps({**found, "data_id": plan.data_id_of(fields)}))

    fields = plan.language_model_fields(profile, str(plan.weights_of(profile["hidden"]["model"])))
    root.mkdir(exist_ok=True)
    store = Store(root, 1 << 40, lambda line: None)
    entry = store.obtain("training", plan.key_of(fields), plan.training_bytes(profile), make)
    os.environ[activations.VARIABLE] = str(entry.folder)
    return entry.folder, entry.made


def train(make_step: Callable[[Shape, str], Step], shape: Shape, steps: int, seed: int) -> None:
    step = make_step(shape, "topk")
    for x in activations.batches(seed=seed, steps=steps, batch_size=shape.batch):
        step(x)


def measure_round(
    profile: dict[str, Any], root: Path, trainers: dict[str, Any], shape: Shape, steps: int, forwards: Forwards
) -> dict[str, Any]:
    """{trainer: (first, second)} times, "make" times, and forward passes while making and in second runs."""
    made: list[bool] = []
    before = forwards.count
    making = seconds(lambda: made.append(obtain(profile, root)[1]))
    found: dict[str, Any] = {"make": making, "made with": forwards.count - before, "second": 0}
    first = {name: seconds(lambda name=name: train(trainers[name], shape, steps, 0)) for name in trainers}
    before = forwards.count
    for name in reversed(trainers):
        hit = seconds(lambda: made.append(obtain(profile, root)[1]))
        second = seconds(lambda name=name: train(trainers[name], shape, steps, 1))
        found[name] = plus(making, first[name]), plus(hit, second)
    found["second"] = forwards.count - before
    assert made == [True] + [False] * len(trainers), "the store did not answer as it should"
    return found


def report(rounds: list[dict[str, Any]], trainers: dict[str, Any]) -> None:
    making = [found["make"] for found in rounds]
    cpu, wall = (median(times[place] for times in making) for place in (0, 1))
    print(f"making the activations: {cpu:.1f} s CPU, {wall:.1f} s wall")
    print(f"{'':22}{'first s':>9}{'second s':>10}{'ratio':>8}{'ten runs':>10}{'goal':>7}")
    for name in trainers:
        for place, clock in enumerate(("CPU", "wall")):
            first = median(found[name][0][place] for found in rounds)
            second = median(found[name][1][place] for found in rounds)
            ratio = median(found[name][0][place] / found[name][1][place] for found in rounds)
            ten = 10 * first / (first + 9 * second)
            goal = f"{GOALS[name]:7g}"
            print(f"{name + ', ' + clock:22}{first:9.1f}{second:10.2f}{ratio:8.1f}{ten:10.1f}{goal}")
    counts = (rounds[0]["made with"], sum(found["second"] for found in rounds))
    print(f"forward passes of the language model: {counts[0]} in a first run, {counts[1]} in all second runs (goal 0)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="256,2048,1024,32", help="d_in,d_sae,batch,k")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ratio", type=float, default=4.5, help="language model to plain step, CPU time")
    parser.add_argument("--layers", type=int, default=24, help="of the language model; as many run as the ratio needs")
    parser.add_argument("--peers", help="a folder of packages with dictionary_learning")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = Shape(args.shape, "cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = profile_of(shape, args.steps, folder / "model")
        trainers: dict[str, Any] = {"ours": sae_steps.ours}
        os.environ.update(HF_HOME=str(folder / "hub"), HF_HUB_OFFLINE="1")  # read as transformers is imported
        save_model(folder / "model", shape.d_in, args.layers)
        language_model.use_stand_in(profile["hidden"]["model"], folder / "hub")
        if args.peers:
            sys.path.append(args.peers)
            trainers["dictionary_learning"] = sae_steps.dictionary_learning
        forwards = Forwards()
        forwards.watch()
        hook = choose_hook(shape, args.layers, args.ratio)
        profile["hidden"]["hook"] = hook
        for make_step in trainers.values():
            make_step(shape, "topk")(torch.randn(shape.batch, shape.d_in))  # imports, first allocations
        print(f"d_in {shape.d_in}, d_sae {shape.d_sae}, batch {shape.batch}, k {shape.k}; {args.steps} steps; {hook}")
        print(f"language model over plain step, CPU: {cost_ratio(shape, hook):.2f} (asked for {args.ratio:g})")
        found = []
        for number in range(args.rounds):
            found.append(measure_round(profile, folder / f"store{number}", trainers, shape, args.steps, forwards))
            shutil.rmtree(folder / f"store{number}")
        report(found, trainers)


if __name__ == "__main__":
    main()
