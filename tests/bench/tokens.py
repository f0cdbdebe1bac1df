"""Tokens of a scripted conversation with failures and revised plans.

Run: python -m tests.bench.tokens [TEMPLATE [MODEL]]

Ten completed runs on a template (templates/sae): a lint failure in run 2, a revised plan in runs 3 and 7, a crash in
run 4, a SEARCH that matches nothing in run 6. Counted by litellm.token_counter for the named model.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from agent.core.events import Purpose
from agent.core.failure import ExitRecord
from agent.core.messages import to_dicts
from agent.edges.attempt import EVALUATION
from agent.edges.llm import ModelReply, Request
from agent.edges.runner import Exited, StepStatus
from agent.edges.step import StepSpec
from tests.bench.study import make_loop
from tests.fakes import InstantRunner, block

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
SAE = Path(__file__).parents[2] / "templates" / "sae"
CRASH = ExitRecord(1, None, False, False, 300.0, 21.0, 1.1)
PLAN = "".join(
    f"{n}. Component {n}: a nested prefix loss with weight 0.{n}, switch PREFIX_WEIGHT_{n}; expect f1 +0.03 over the "
    f"baseline's 0.48, refuted below +0.01 at equal L0.\n"
    for n in range(1, 11)
)
PROSE = (
    "The last result is inside the seed band, so the weight was too small to matter. I raise it and keep the rest.\n\n"
)


def term(n: int) -> str:
    """A dozen lines that a model would add for one component."""
    lines = [
        f"PREFIX_WEIGHT_{n} = 0.{n}",
        "",
        "",
        f"def prefix_loss_{n}(z, x, w_dec, b_dec, sizes=(16, 64, 256)):",
        f'    """Reconstruction error of nested prefixes of the latents, weight {n}."""',
        "    total = 0.0",
        "    for size in sizes:",
        "        x_hat = z[:, :size] @ w_dec[:size] + b_dec  # (batch, d_in)",
        "        total = total + (x - x_hat).pow(2).sum(-1).mean()",
        f"    return PREFIX_WEIGHT_{n} * total / len(sizes)",
    ]
    return "\n".join(lines) + "\n"


class Conversation:
    """A model that adds one component a run and stumbles as the script above says; counts every token."""

    def __init__(self, model: str) -> None:
        import litellm

        self.name = model
        self.count = litellm.token_counter
        self.sent: dict[int, list[int]] = defaultdict(list)
        self.received: dict[int, list[int]] = defaultdict(list)

    def ask(self, request: Request) -> ModelReply:
        view = request.view
        text = self._say(request)
        run = view.run if view.purpose not in (Purpose.PLOT, Purpose.NOTES) else 0
        self.sent[run].append(self.count(model=self.name, messages=to_dicts(request.messages)))
        self.received[run].append(self.count(model=self.name, text=text))
        return ModelReply(text, self.name)

    def _say(self, request: Request) -> str:
        view = request.view
        if view.purpose is Purpose.PLOT:
            return "plot.py draws what is needed."
        if view.purpose is Purpose.NOTES:
            return block("notes.txt", "", "What was found.\n" * 20)
        code, n = view.files["experiment.py"], view.run
        first = next(line for line in code.splitlines() if line.startswith("def main(")) + "\n"
        new = block("experiment.py", first, term(n) + "\n\n" + first)
        if view.purpose is Purpose.FIX:
            bad = "broken_name" if n == 2 else "crash_here"
            return "The name is wrong.\n\n" + block("experiment.py", f"{bad}()\n", "")
        if view.purpose is Purpose.REPAIR:
            return new
        plan = f"PLAN:\n{PLAN}\n" if n in (1, 3, 7) else ""
        stumble = {
            2: block("experiment.py", first, term(n) + "\n\nbroken_name()\n" + first),
            4: block(
                "experiment.py", first, "def crash_here():\n    return 1\n\n\n" + term(n) + "\n\ncrash_here()\n" + first
            ),
            6: block("experiment.py", "    loss = l2_loss + self.l1_penalty * l1_loss\n", "    loss = l2_loss\n"),
        }
        return plan + PROSE + stumble.get(n, new)


class Crashing(InstantRunner):
    """Lets run 4 crash once, with a traceback behind a progress bar."""

    def poll(self, folder: Path) -> StepStatus:
        return Exited(CRASH) if folder.name == "run_4.1" else super().poll(folder)

    def read_streams(self, folder: Path, limit_bytes: int) -> tuple[str, str]:
        bar = "".join(f"\rtraining: {n}%|####   | {n * 7}/700 [00:{n % 60:02d}<00:09, 31.2it/s]" for n in range(100))
        trace = (
            "\nTraceback (most recent call last):\n"
            '  File "experiment.py", line 310, in <module>\n    main()\n'
            '  File "experiment.py", line 288, in main\n    crash_here()\n'
            "RuntimeError: The size of tensor a (64) must match tensor b (256) at dimension 1\n"
        )
        return "", bar + trace


def leave_results(folder: Path, spec: StepSpec) -> None:
    out = next((a.partition("=")[2] for a in spec.argv if a.startswith("--out_dir=")), None)
    if out:
        (folder / "work" / out).mkdir(exist_ok=True)
        info = {"tokens": 716800, "k": 6, "final_loss": 0.31, "train_seconds": 21.0}
        (folder / "work" / out / "final_info.json").write_text(json.dumps(info))
    else:
        found = {"f1": 0.481, "mcc": 0.62, "l0": 6.0, "explained_variance": 0.81, "dead_fraction": 0.01}
        found |= {"uniqueness": 0.7, "precision": 0.5, "recall": 0.5, "d_sae": 256}
        (folder / "work" / EVALUATION).write_text(json.dumps(found))


def main() -> None:
    template = Path(sys.argv[1]) if len(sys.argv) > 1 else SAE
    model = Conversation(sys.argv[2] if len(sys.argv) > 2 else "deepseek/deepseek-reasoner")
    with tempfile.TemporaryDirectory() as name:
        runner = Crashing(leave_results)
        _, loop = make_loop(Path(name), model, max_runs=10, runner=runner, template=template)
        state = loop.run()
    completed = state.completed_runs
    assert completed == 10, state.ended
    for run, sent in sorted(model.sent.items()):
        print(f"run {run or 'end':>3}: prompts {sent}, replies {model.received[run]}")
    first, last = model.sent[2][0], model.sent[10][0]
    total = sum(map(sum, model.sent.values())) + sum(map(sum, model.received.values()))
    lines = (template / "experiment.py").read_text().count("\n")
    print(f"model {model.name}; experiment.py of {lines} lines at the start, one component more a run")
    print(f"prompt of run 10 over run 2: {last / first:.2f} (goal 1.2)")
    print(f"tokens a completed run:      {total / completed:.0f} (goal 8000; the system it replaces: 62000)")


if __name__ == "__main__":
    main()
