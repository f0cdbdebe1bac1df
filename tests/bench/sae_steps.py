"""Time of one training step of a sparse autoencoder: ours, the public trainers', plain PyTorch's.

    python tests/bench/sae_steps.py                          the reference shape, fp32, one thread, CPU time
    python tests/bench/sae_steps.py --shape 2304,16384,2048,40 --rounds 5 --kinds topk
    python tests/bench/sae_steps.py --bf16                   adds ours with products in bfloat16
    python tests/bench/sae_steps.py --cuda                   tokens/s, steps/s, peak memory, a torch.profiler trace

Run it by an interpreter that has torch; peers that cannot be imported are named and left out. An environment with all:

    python -m venv peers
    peers/bin/pip install torch==2.13.0
    peers/bin/pip install --no-deps dictionary-learning==0.1.0 eai-sparsify==1.3.3 sae-lens==6.54.12
    peers/bin/pip install --no-deps <what `python -c "import dictionary_learning, sparsify, sae_lens"` still asks for>

--no-deps keeps the last two from replacing torch. wandb 0.19.11 with protobuf<6, datasets 3.6.0 and transformers 5.23.0
go together.

Each contestant does its own full step as shipped: forward, backward, clipping where it clips, optimiser, decoder norms,
count of fired latents, loss as a float. All take one step a round, in rotating order, next to one matrix product of
the encoder's size; a ratio is the median over rounds of time / time of ours. floor: necessary FLOPs (TopK
2 N D F + 8 N k D, ReLU 10 N D F; N batch, D d_in, F d_sae) at the speed of that product in the same round, torch.mm
in fp32.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

SEALED = Path(__file__).resolve().parents[2] / "templates" / "sae" / "sealed"
sys.path.insert(0, str(SEALED))

import fast_steps as fast  # noqa: E402

Step = Callable[[Tensor], float]
LR = 1e-3
L1 = 0.1
WARM_UP = 2
LONG = 100_000  # steps that schedules are told, more than are taken


class Shape:
    """d_in, d_sae, batch, k and the device of a comparison."""

    def __init__(self, text: str, device: str) -> None:
        self.d_in, self.d_sae, self.batch, self.k = (int(part) for part in text.split(","))
        self.device = device

    def flops(self, kind: str) -> int:
        dense = self.batch * self.d_in * self.d_sae
        return 2 * dense + 8 * self.batch * self.k * self.d_in if kind == "topk" else 10 * dense

    def parameters(self) -> dict[str, nn.Parameter]:
        rows = nn.functional.normalize(torch.randn(self.d_sae, self.d_in), dim=1).to(self.device)
        zeros = [nn.Parameter(torch.zeros(n, device=self.device)) for n in (self.d_sae, self.d_in)]
        return {
            "W_enc": fast.encoder_parameter(rows.T),
            "b_enc": zeros[0],
            "W_dec": nn.Parameter(rows.clone()),
            "b_dec": zeros[1],
        }


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x - x_hat).pow(2).sum(dim=1).mean()


# ----------------------------------------------------------------------------------------------------------------- ours


def ours(shape: Shape, kind: str, bf16: bool = False, path: str | None = None) -> Step:
    p = shape.parameters()
    encoder = (p["W_enc"], p["b_enc"], p["b_dec"])
    optimizer = fast.SAEOptimizer(p, lr=LR, clip_norm=1.0)
    since_fired = torch.zeros(shape.d_sae, dtype=torch.long, device=shape.device)

    def forward(x: Tensor) -> tuple[Tensor, fast.Codes | Tensor]:
        if kind == "topk":
            codes = fast.topk_encode(x, *encoder, shape.k, path=path)
            return squared_error(x, fast.decode(codes, p["W_dec"], p["b_dec"])), codes
        z = fast.relu_encode(x, *encoder)
        x_hat, l1 = fast.decode_with_l1(z, p["W_dec"], p["b_dec"])
        return squared_error(x, x_hat) + L1 * l1, z

    def step(x: Tensor) -> float:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            loss, codes = forward(x)
            dead = since_fired >= LONG
            if kind == "topk":
                aux = fast.auxk_reconstruction(x, *encoder, p["W_dec"], dead, shape.d_in // 2)
                assert aux is None
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if kind == "topk":
            since_fired.add_(1).masked_fill_(fast.firing_counts(codes) > 0, 0)
        return loss.item()

    return step


# ---------------------------------------------------------------------------------------------------------------- peers


def plain(shape: Shape, kind: str) -> Step:
    """What one writes without thinking of speed: dense codes, autograd, torch.optim.Adam."""
    p = shape.parameters()
    p["W_enc"] = nn.Parameter(p["W_enc"].detach().contiguous())
    adam = torch.optim.Adam(p.values(), lr=LR)

    def step(x: Tensor) -> float:
        z = ((x - p["b_dec"]) @ p["W_enc"] + p["b_enc"]).relu()
        penalty = 0.0
        if kind == "topk":
            values, latents = z.topk(shape.k, dim=1, sorted=False)
            z = torch.zeros_like(z).scatter(1, latents, values)
        else:
            penalty = L1 * (z * p["W_dec"].norm(dim=1)).sum(dim=1).mean()
        loss = squared_error(x, z @ p["W_dec"] + p["b_dec"]) + penalty
        adam.zero_grad()
        loss.backward()
        with torch.no_grad():
            w = p["W_dec"]
            w.grad -= (w.grad * w).sum(dim=1, keepdim=True) * w
            nn.utils.clip_grad_norm_(p.values(), 1.0)
            adam.step()
            w /= w.norm(dim=1, keepdim=True)
        return loss.item()

    return step


def dictionary_learning(shape: Shape, kind: str) -> Step:
    from dictionary_learning.trainers.standard import StandardTrainer
    from dictionary_learning.trainers.top_k import TopKTrainer

    sizes = {"steps": LONG, "activation_dim": shape.d_in, "dict_size": shape.d_sae, "layer": 0, "lm_name": "none"}
    sizes |= {"device": shape.device, "lr": LR}
    trainer = TopKTrainer(k=shape.k, **sizes) if kind == "topk" else StandardTrainer(**sizes)
    taken = 0

    def step(x: Tensor) -> float:
        nonlocal taken
        taken += 1  # its step 0 also computes a geometric median, once a run
        return trainer.update(taken, x)

    return step


def sae_lens(shape: Shape, kind: str) -> Step:
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sizes = {"d_in": shape.d_in, "d_sae": shape.d_sae, "device": shape.device}
    if kind == "topk":
        sae = TopKTrainingSAE(TopKTrainingSAEConfig(k=shape.k, **sizes))
    else:
        sae = StandardTrainingSAE(StandardTrainingSAEConfig(**sizes))
    config = SAETrainerConfig(
        total_training_samples=LONG * shape.batch,
        train_batch_size_samples=shape.batch,
        lr=LR,
        lr_end=LR / 10,
        device=shape.device,
    )
    trainer = SAETrainer(config, sae, iter(()))

    def step(x: Tensor) -> float:
        loss = trainer.step(x).loss.item()
        trainer.n_training_steps += 1
        return loss

    return step


def sparsify(shape: Shape, kind: str) -> Step:
    """Its Trainer.fit for one batch: that method also runs a language model, so its lines on the coder stand here."""
    if kind != "topk":
        raise ImportError("it has no ReLU autoencoder")
    from sparsify import SparseCoder, SparseCoderConfig
    from transformers import get_linear_schedule_with_warmup

    coder = SparseCoder(shape.d_in, SparseCoderConfig(num_latents=shape.d_sae, k=shape.k), device=shape.device)
    adam = torch.optim.Adam(coder.parameters(), lr=LR)
    schedule = get_linear_schedule_with_warmup(adam, 1000, LONG)
    since_fired = torch.zeros(shape.d_sae, dtype=torch.long, device=shape.device)

    def step(x: Tensor) -> float:
        coder.set_decoder_norm_to_unit_norm()
        out = coder(x, dead_mask=None, total_variance=(x - x.mean(0)).pow(2).sum())
        fired = torch.zeros_like(since_fired, dtype=torch.bool)
        fired[out.latent_indices.flatten()] = True
        loss = float(out.fvu.detach())
        (out.fvu + out.multi_topk_fvu / 8).backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        adam.step()
        adam.zero_grad()
        schedule.step()
        since_fired.add_(x.shape[0])
        since_fired[fired] = 0
        return loss

    return step


PEERS = {"dictionary_learning": dictionary_learning, "sae-lens": sae_lens, "sparsify": sparsify, "plain": plain}


def contestants(shape: Shape, kind: str, bf16: bool) -> dict[str, Step]:
    """Those that can be imported, ours first."""
    found = {"ours": ours(shape, kind)}
    if bf16:
        found["ours bf16"] = ours(shape, kind, bf16=True)
    for name, make in PEERS.items():
        try:
            found[name] = make(shape, kind)
        except ImportError as e:
            print(f"{kind}: {name} is left out: {e}")
    return found


# ------------------------------------------------------------------------------------------------------------------ CPU


def cpu_seconds(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def compare(shape: Shape, kind: str, rounds: int, bf16: bool) -> None:
    """Print median ratios to ours, and time over floor, of every contestant."""
    steps = contestants(shape, kind, bf16)
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(shape.batch, shape.d_in, generator=generator) for _ in range(4)]
    weight = torch.randn(shape.d_in, shape.d_sae, generator=generator)
    taken: dict[str, list[float]] = {name: [] for name in steps}
    peaks: list[float] = []  # FLOPs a second
    names = list(steps)
    for number in range(-WARM_UP, rounds):
        x = batches[number % 4]
        product_s = cpu_seconds(lambda x=x: x @ weight)
        shift = number % len(names)
        seconds = {name: cpu_seconds(lambda name=name, x=x: steps[name](x)) for name in names[shift:] + names[:shift]}
        if number >= 0:
            peaks.append(2 * shape.batch * shape.d_in * shape.d_sae / product_s)
            for name in names:
                taken[name].append(seconds[name])
    peak = median(peaks)
    print(f"\n{kind}: d_in {shape.d_in}, d_sae {shape.d_sae}, batch {shape.batch}, k {shape.k}; {rounds} rounds")
    print(f"fp32 product {peak / 1e9:.0f} GFLOP/s, floor {1e3 * shape.flops(kind) / peak:.1f} ms")
    print(f"{'':22}{'ms':>9}{'/ ours':>9}{'/ floor':>9}")
    for name in names:
        ratio = median(a / b for a, b in zip(taken[name], taken["ours"], strict=True))
        floor = median(t * p / shape.flops(kind) for t, p in zip(taken[name], peaks, strict=True))
        print(f"{name:22}{1e3 * median(taken[name]):9.1f}{ratio:9.2f}{floor:9.2f}")


# ----------------------------------------------------------------------------------------------------------------- CUDA


def measure_cuda(shape: Shape, kind: str, steps: int, bf16: bool, trace: Path) -> None:
    """Print steps/s, tokens/s and peak memory of every contestant on the GPU; write a profiler trace of ours."""
    x = torch.randn(shape.batch, shape.d_in, device="cuda")
    if kind == "topk":
        sizes = (shape.d_in, shape.d_sae, shape.batch, shape.k)
        timed = fast.time_paths(*sizes, "cuda")
        print(f"paths, ms: {', '.join(f'{path} {1e3 * s:.2f}' for path, s in timed.items())}")
    print(f"{kind:22}{'steps/s':>10}{'tokens/s':>12}{'peak GiB':>10}")
    for name, step in contestants(shape, kind, bf16).items():
        for _ in range(5):
            step(x)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        for _ in range(steps):
            step(x)
        torch.cuda.synchronize()
        rate = steps / (time.perf_counter() - started)
        gib = torch.cuda.max_memory_allocated() / 2**30
        print(f"{name:22}{rate:10.1f}{rate * shape.batch:12.0f}{gib:10.2f}")
    step = ours(shape, kind, bf16)
    step(x)
    with torch.profiler.profile() as profile:
        for _ in range(3):
            step(x)
        torch.cuda.synchronize()
    profile.export_chrome_trace(str(trace))
    print(f"trace: {trace}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="512,4096,1024,32", help="d_in,d_sae,batch,k")
    parser.add_argument("--kinds", default="topk,relu")
    parser.add_argument("--rounds", type=int, default=20, help="on CUDA: ten steps each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--trace", type=Path, default=Path("sae_steps_trace.json"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    shape = Shape(args.shape, "cuda" if args.cuda else "cpu")
    for kind in args.kinds.split(","):
        if args.cuda:
            measure_cuda(shape, kind, 10 * args.rounds, args.bf16, args.trace.with_stem(f"{args.trace.stem}_{kind}"))
        else:
            compare(shape, kind, args.rounds, args.bf16)


if __name__ == "__main__":
    main()
