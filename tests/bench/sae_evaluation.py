"""Evaluation of several SAEs of a language model in one process, against one process for each.

    SCIENTIST_TRAINING_DATA=... SCIENTIST_EVALUATION_DATA=... python tests/bench/sae_evaluation.py --saes 2

Run it by an interpreter with requirements-lm.txt, with the two folders that prepare.py named for --profile; they are
copied, never written to. SAEs are trained in --steps steps with seeds 1, 2, ...; each is then scored as evaluate.py
does it, by sae_bench's core and probes, and an SAE that lies under a baseline is not left out of the probes.

    alone, cold   evaluate.py, a fresh process, which also makes the language model's share of the probes
    alone, warm   the same, with that share there already
    together      one process: score_many, each of sae_bench's evaluations loads the language model once

Everything from start to exit of a process counts, imports too; CPU time includes the SAEs' own processes. For TEN SAEs
the time together is the line through those of one and of --saes SAEs, the time alone is ten times that of the mean SAE;
with --saes 10 nothing is extrapolated.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from typing import Any

TEMPLATE = Path(__file__).resolve().parents[2] / "templates" / "sae"
SEALED = TEMPLATE / "sealed"
TRAINING, EVALUATION = "SCIENTIST_TRAINING_DATA", "SCIENTIST_EVALUATION_DATA"
TEN = 10
GOAL = 2.0
SAME = 1e-6  # largest difference of a metric, relative, that counts as none
Times = tuple[float, float]  # CPU and wall seconds


def score_together(runs: Sequence[Path], out: Path) -> None:
    """In this process: what evaluate.py does, for several runs at once."""
    sys.path.insert(0, str(SEALED))
    import evaluate
    import torch
    from encoder.decoder import WEIGHTS, read_decoder
    from encoder.run_encoder import open_encoder
    from scores import language_model

    profile = evaluate.read_profile(Path("profile.json"))
    torch.set_num_threads(profile["threads"])
    with ExitStack() as stack:
        pairs = []
        for run in runs:
            decoder = read_decoder(run / WEIGHTS, profile["d_in"])
            seed = evaluate.order_seed(profile, decoder)
            served = open_encoder(Path("experiment.py").resolve(), run, decoder, profile=profile, seed=seed)
            pairs.append((stack.enter_context(served), decoder))
        results = language_model.score_many(pairs, profile, Path(os.environ[EVALUATION]), [])
    out.write_text(json.dumps(results))


class Bench:
    """A folder with the experiment, its profile, trained runs and a private copy of the evaluation's data."""

    def __init__(self, work: Path, profile: Path) -> None:
        self.work, self.data = work, work / "data"
        shutil.copy(profile, work / "profile.json")
        shutil.copy(TEMPLATE / "experiment.py", work)
        shutil.copytree(os.environ[EVALUATION], self.data, copy_function=shutil.copy2)
        shutil.rmtree(self.data / "artifacts", ignore_errors=True)

    def call(self, *command: str, **variables: str) -> Times:
        """CPU time of a process and its children, and wall time from start to exit."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(SEALED),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GOMP_SPINCOUNT": "0",
            "JAXTYPING_DISABLE": "1",
            EVALUATION: str(self.data),
            **variables,
        }
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        full = [sys.executable, *command]
        done = subprocess.run(full, cwd=self.work, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(full)}: {done.stderr[-2000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return cpu, time.perf_counter() - started

    def train(self, number: int, steps: int) -> None:
        """A run of the template's experiment.py, shorter than its profile says."""
        full = (self.work / "profile.json").read_text()
        (self.work / "profile.json").write_text(json.dumps({**json.loads(full), "steps": steps}))
        self.call("experiment.py", f"--out_dir=run_{number}", SCIENTIST_SEED=str(number))
        (self.work / "profile.json").write_text(full)

    def alone(self, number: int, cold: bool) -> Times:
        if cold:
            shutil.rmtree(self.data / "artifacts", ignore_errors=True)
        script = str(SEALED / "evaluate.py")
        return self.call(script, f"--run_dir=run_{number}", f"--out=alone_{number}.json")

    def together(self, count: int, cold: bool) -> Times:
        if cold:
            shutil.rmtree(self.data / "artifacts", ignore_errors=True)
        return self.call(__file__, "--score", str(count))

    def differences(self, count: int) -> list[str]:
        """Metrics in which an SAE's two results differ."""
        found = []
        for number, ours in enumerate(json.loads((self.work / "together.json").read_text()), start=1):
            other = json.loads((self.work / f"alone_{number}.json").read_text())
            found += [f"{name} of SAE {number}" for name, value in ours.items() if not same(value, other.get(name))]
        return found


def same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, int | float):
        return abs(a - b) <= SAME * max(abs(a), abs(b))
    return bool(a == b)


def measure(bench: Bench, count: int) -> None:
    """Print times and ratios; the kinds take turns, SAE by SAE."""
    alone: dict[bool, list[Times]] = {True: [], False: []}
    for number in range(1, count + 1):
        for cold in (True, False):
            alone[cold].append(bench.alone(number, cold))
            print(f"SAE {number} alone, {'cold' if cold else 'warm'}: {say(alone[cold][-1])}", flush=True)
    together: dict[tuple[int, bool], Times] = {}
    for n in {1, count} if count != TEN else {TEN}:
        for cold in (True, False):
            together[n, cold] = bench.together(n, cold)
            print(f"{n} together, {'cold' if cold else 'warm'}: {say(together[n, cold])}", flush=True)
    different = bench.differences(count)
    print(f"metrics that differ between the two ways: {', '.join(different) or 'none'}")
    how = "measured" if count == TEN else f"extrapolated from {count}"
    for place, clock in enumerate(("CPU", "wall")):
        # Separate processes on one machine: the first makes the probes' share, or each does where none may be kept.
        for title, first, rest, cold in (
            ("each makes its own", True, True, True),
            ("the first makes it", True, False, True),
            ("it is there already", False, False, False),
        ):
            apart = fmean(t[place] for t in alone[first]) + (TEN - 1) * fmean(t[place] for t in alone[rest])
            joint = ten_together([(n, times[place]) for (n, was_cold), times in together.items() if was_cold == cold])
            print(f"ten SAEs, {clock:4} s, {title:20} {apart:8.1f} / {joint:8.1f} = {apart / joint:5.2f}   ({how})")
    print(f"goal {GOAL:g}; one thread of {json.loads((bench.work / 'profile.json').read_text())['threads']} is used")


def ten_together(points: Sequence[tuple[int, float]]) -> float:
    """Time of TEN SAEs in one process, from (SAEs, time): the straight line through two, proportional from one."""
    (n, time_n), *others = points
    if not others:
        return time_n * TEN / n
    ((m, time_m),) = others
    return time_n + (time_m - time_n) / (m - n) * (TEN - n)


def say(times: Times) -> str:
    return f"{times[0]:.1f} s CPU, {times[1]:.1f} s wall"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--saes", type=int, default=TEN)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--profile", type=Path, default=TEMPLATE / "profiles" / "tiny.json")
    parser.add_argument("--score", type=int, help=argparse.SUPPRESS)  # this process, in a folder that is laid out
    args = parser.parse_args()
    if args.score:
        runs = [Path(f"run_{number}").resolve() for number in range(1, args.score + 1)]
        score_together(runs, Path("together.json"))
        return
    for name in (TRAINING, EVALUATION):
        if not os.environ.get(name):
            sys.exit(f"{name} is not set: it names the folder that prepare.py made")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), args.profile)
        for number in range(1, args.saes + 1):
            bench.train(number, args.steps)
        measure(bench, args.saes)


if __name__ == "__main__":
    main()
