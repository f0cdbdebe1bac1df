"""Tokens of a scripted conversation with failures and revised plans.

Run: python -m tests.bench.tokens [--roles [--reflect]] [TEMPLATE [MODEL]]

TEMPLATE is sae, quadratic, long (an AI-Scientist folder whose experiment has 700 lines) or a folder.

Ten completed runs on a template (sae): a lint failure in run 2, a revised plan in runs 3 and 7, a crash in
run 4, a SEARCH that matches nothing in run 6. With --roles the planner writes prose, another model the edits, and a
third reviews each run, with --reflect in two rounds. Counted by litellm.token_counter for the named model. "Beside the
files" leaves out the texts of the present files in the opening of each request.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from agent.core.failure.record import ExitRecord
from agent.core.journal.kinds import Purpose
from agent.core.model.messages import to_dicts
from agent.edges.model.litellm_table import load_litellm
from agent.edges.model.protocol import ModelReply, Models, Request
from agent.edges.run.prepare_step import EVALUATION
from agent.edges.run.runner import Exited, StepStatus
from agent.edges.run.step_folder import StepSpec
from tests.bench.study import make_loop
from tests.core.prompt.scripts import function, training_script
from tests.fakes import InstantRunner, block
from tests.paths import QUADRATIC

SAE = Path(__file__).parents[2] / "templates" / "sae"
ONE_BASELINE = SAE / "baselines" / "synth" / "topk-6-seed1001.json"
CRASH = ExitRecord(1, None, False, False, 300.0, 21.0, 1.1)
PLAN = "".join(
    f"{n}. Component {n}: a nested prefix loss with weight 0.{n}, switch PREFIX_WEIGHT_{n}.\n"
    f"   Hypothesis: prefixes of the latents that reconstruct by themselves absorb less.\n"
    f"   Expected: f1 +0.03 at equal l0\n   Refuted if: f1 +0.01 or less\n"
    for n in range(1, 11)
)
REVIEW = """JUDGEMENT: untestable here
REASON: f1 is 0.481 against the bar of 0.47 at l0 6, inside the band of three seeds, where +0.03 was expected. One run
of one weight shows nothing yet; the dead fraction is unchanged, so the term may not act at all.
SUGGESTIONS:
- Log the prefix loss apart, to see whether it falls.
- Raise the weight tenfold before another component is added.
"""
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

    window_tokens, takes_files = None, False

    def __init__(self, model: str, role: str = "planner", *, plans_only: bool = False) -> None:
        litellm = load_litellm()

        self.name, self.role, self.plans_only = model, role, plans_only
        self.count = litellm.token_counter
        self.sent: dict[int, list[int]] = defaultdict(list)
        self.received: dict[int, list[int]] = defaultdict(list)
        self.of_files = 0

    def ask(self, request: Request) -> ModelReply:
        view = request.view
        text = self._say(request)
        run = view.state.run.number if view.purpose not in (Purpose.PLOT, Purpose.NOTES) else 0
        run = view.rows[-1].row.run if self.role == "reviewer" else run
        self.sent[run].append(self.count(model=self.name, messages=to_dicts(request.messages)))
        self.received[run].append(self.count(model=self.name, text=text))
        self.of_files += self.count(model=self.name, text=files_in(request))
        return ModelReply(text, self.name)

    @property
    def total(self) -> int:
        """Tokens sent and received."""
        return sum(map(sum, self.sent.values())) + sum(map(sum, self.received.values()))

    def _say(self, request: Request) -> str:
        view = request.view
        if self.role == "reviewer":
            return "I am done" if view.purpose is Purpose.REFLECT else REVIEW
        if self.plans_only and view.purpose not in (Purpose.PLOT, Purpose.NOTES):
            plan = f"PLAN:\n{PLAN}\n" if view.state.run.number in (1, 3, 7) and view.purpose is not Purpose.FIX else ""
            return plan + PROSE + f"Put this above main in experiment.py:\n\n{term(view.state.run.number)}"
        if view.purpose is Purpose.PLOT:
            return "plot.py draws what is needed."
        if view.purpose is Purpose.NOTES:
            return block("notes.txt", "", "What was found.\n" * 20)
        code, n = view.files["experiment.py"], view.state.run.number
        first = [line for line in code.splitlines() if line.startswith("def ")][-1] + "\n"
        new = block("experiment.py", first, term(n) + "\n\n" + first)
        if view.purpose is Purpose.FIX or (self.role == "editor" and view.state.run.failure):
            bad = "broken_name" if n == 2 else "crash_here"
            return "The name is wrong.\n\n" + block("experiment.py", f"{bad}()\n", "")
        if view.purpose is Purpose.REPAIR:
            return new
        plan = f"PLAN:\n{PLAN}\n" if n in (1, 3, 7) and self.role == "planner" else ""
        prose = PROSE if self.role == "planner" else ""
        stumble = {
            2: block("experiment.py", first, term(n) + "\n\nbroken_name()\n" + first),
            4: block(
                "experiment.py", first, "def crash_here():\n    return 1\n\n\n" + term(n) + "\n\ncrash_here()\n" + first
            ),
            6: block("experiment.py", "    loss = l2_loss + self.l1_penalty * l1_loss\n", "    loss = l2_loss\n"),
        }
        return plan + prose + stumble.get(n, new)


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


def curves_at(n: int) -> dict[str, float]:
    """What templates/sae logs at its n-th point."""
    falls = 0.9**n + 0.01 * (n * 7 % 5)
    return {
        "loss": 0.3 + 3 * falls,
        "sparsity_loss": 0.0,
        "aux_loss": 0.5 * falls,
        "explained_variance": 0.81 - 0.7 * falls,
        "l0": 6.0,
        "dead_fraction": 0.02 * falls,
    }


def leave_results(folder: Path, spec: StepSpec) -> None:
    out = next((a.partition("=")[2] for a in spec.argv if a.startswith("--out_dir=")), None)
    if out:
        (folder / "work" / out).mkdir(exist_ok=True)
        info: dict[str, object] = {"tokens": 716800, "k": 6, "final_loss": 0.31, "train_seconds": 21.0, "steps": 40}
        info["flops_per_token"] = 66000
        for number, name in enumerate(("x_div_y", "x_minus_y", "permutation")):
            kinds = ("final_train_loss", "final_val_loss", "final_val_acc", "step_val_acc_99")
            info[name] = {"means": {f"{kind}_mean": 0.1 * number + 0.01 * len(kind) for kind in kinds}}
        (folder / "work" / out / "final_info.json").write_text(json.dumps(info))
        rows = [{"step": n * 20, "name": name, "value": v} for n in range(36) for name, v in curves_at(n).items()]
        (folder / "work" / out / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        found = {"f1": 0.481, "mcc": 0.62, "l0": 6.0, "explained_variance": 0.81, "dead_fraction": 0.01}
        found |= {
            "score": 0.5,
            "uniqueness": 0.7,
            "precision": 0.5,
            "recall": 0.5,
            "d_sae": 256,
            "alive_fraction": 0.99,
        }
        found |= {"data_id": json.loads(ONE_BASELINE.read_text())["evaluation"]["data_id"]}
        (folder / "work" / EVALUATION).write_text(json.dumps(found))


def files_in(request: Request) -> str:
    """The texts of the present files in the opening of a request."""
    opening = next(message.content for message in request.messages if message.role == "user")
    section = opening.partition("# Present files\n")[2]
    return section.rpartition("\n# Now\n")[0] or section.rpartition("\n# Instruction\n")[0]


def make_long(folder: Path) -> Path:
    """An AI-Scientist folder whose experiment has 700 lines."""
    folder.mkdir()
    (folder / "experiment.py").write_text(training_script())
    (folder / "plot.py").write_text(function("draw", 60) + "draw()\n")
    task = "You are given a script that trains a small transformer on modular arithmetic. Make it grok sooner."
    (folder / "prompt.json").write_text(json.dumps({"system": "You are a researcher.", "task_description": task}))
    return folder


def main() -> None:
    named = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    roles, reflections = "--roles" in sys.argv, int("--reflect" in sys.argv)
    scratch = tempfile.TemporaryDirectory()
    known = {"sae": SAE, "quadratic": QUADRATIC}
    where = named[0] if named else "sae"
    template = make_long(Path(scratch.name) / "long") if where == "long" else known.get(where, Path(where))
    name = named[1] if len(named) > 1 else "deepseek/deepseek-reasoner"
    parts = [Conversation(name, plans_only=roles)]
    parts += [Conversation(name, "editor"), Conversation(name, "reviewer")] if roles else []
    launched = {"editor_model": name, "reviewer_model": name, "reflections": reflections} if roles else {}
    with tempfile.TemporaryDirectory() as folder:
        runner = Crashing(leave_results)
        models = Models(*parts)
        _, loop = make_loop(
            Path(folder), parts[0], max_runs=10, runner=runner, template=template, models=models, **launched
        )
        state = loop.run()
    completed = state.completed_runs
    assert completed == 10, state.ended or state.pause
    for part in parts:
        for run, sent in sorted(part.sent.items()):
            print(f"{part.role:>8}, run {run or 'end':>3}: prompts {sent}, replies {part.received[run]}")
        print(f"{part.role:>8}: {part.total / completed:.0f} tokens a completed run")
    first, last = parts[0].sent[2][0], parts[0].sent[10][0]
    lines = (template / "experiment.py").read_text().count("\n")
    print(f"model {name}; experiment.py of {lines} lines at the start, one component more a run")
    print(f"prompt of run 10 over run 2: {last / first:.2f} (goal 1.2)")
    total, goal = sum(part.total for part in parts), 16000 if roles else 8000
    print(f"tokens a completed run:      {total / completed:.0f} (goal {goal}; the system it replaces: 62000)")
    beside = total - sum(part.of_files for part in parts)
    print(f"beside the files:            {beside / completed:.0f} (goal {4000 * len(parts)})")


if __name__ == "__main__":
    main()
