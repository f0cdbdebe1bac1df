"""Workspaces for measurements: the real loop, git and journal; the experiment itself takes no time."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agent.core.inputs.idea import Idea
from agent.core.journal.budget import Limits
from agent.core.journal.events import Launched
from agent.edges.lint import Linter
from agent.edges.model.protocol import Model, ModelReply, Models, Request
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import Runner
from agent.edges.run.step_folder import StepSpec
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import load_template
from agent.edges.workspace.layout import Workspace, create_batch, template_store
from agent.effects.edges import Edges
from agent.effects.run_step import Steps
from agent.loop import Loop, Watcher
from tests.fakes import InstantRunner, block
from tests.paths import QUADRATIC


class Alternating:
    """Changes one constant at every turn and says so."""

    name = "scripted/model"

    window_tokens, takes_files = None, False

    def __init__(self) -> None:
        self.calls = 0

    def ask(self, request: Request) -> ModelReply:
        self.calls += 1
        purpose = request.view.purpose.value
        if purpose == "plot":
            return ModelReply("plot.py is fine.", self.name)
        if purpose == "notes":
            return ModelReply(block("notes.txt", "", "Done.\n"), self.name)
        line = next(li for li in request.view.files["experiment.py"].splitlines() if li.startswith("LR = "))
        new = re.sub(r"= [0-9.]+", f"= {0.001 + 0.0001 * self.calls:.4f}", line)
        return ModelReply(block("experiment.py", line + "\n", new + "\n"), self.name)


def leave_results(folder: Path, spec: StepSpec) -> None:
    """What the quadratic experiment and its evaluation would leave."""
    out = next((a.partition("=")[2] for a in spec.argv if a.startswith("--out_dir=")), None)
    if out:
        (folder / "work" / out).mkdir(exist_ok=True)
        (folder / "work" / out / "final_info.json").write_text(json.dumps({"final_loss": 0.1, "steps": 40}))
    else:
        (folder / "work" / "evaluation.json").write_text(json.dumps({"score": 0.5}))


def make_loop(
    root: Path,
    model: Model,
    *,
    max_runs: int,
    runner: Runner | None = None,
    template: Path = QUADRATIC,
    models: Models | None = None,
    watch: Watcher = lambda event, state: None,
    **changes: object,
) -> tuple[Workspace, Loop]:
    """A fresh workspace under `root` and the loop on it; by default steps end as they start."""
    frozen = load_template(freeze_template(template, template_store(root)))
    idea = Idea(Name="bench", Title="A measurement", Experiment="Change the rate.")
    launched = Launched(
        template=frozen.spec.name,
        template_hash=frozen.hash,
        profile=frozen.profile,
        model=model.name,
        python=sys.executable,
        limits=Limits(max_runs=max_runs),
        smoke=frozen.spec.smoke,
        evaluates=frozen.spec.evaluate is not None,
        has_baseline=bool(frozen.baselines),
    )
    (workspace,) = create_batch(root, f"bench-{time.monotonic_ns()}", [idea], frozen, replace(launched, **changes))  # type: ignore[arg-type]
    repo = workspace.repo()
    edges = Edges(
        workspace=workspace,
        journal=workspace.journal(),
        repo=repo,
        template=frozen,
        models=models or Models(model),
        linter=Linter(),
        steps=Steps(workspace, repo, frozen, runner or InstantRunner(leave_results), dict(os.environ), time.sleep),
    )
    return workspace, Loop(edges, watch=watch)


def real_runner() -> LocalRunner:
    return LocalRunner()


def median_s(action: Callable[[], object], times: int) -> float:
    """Median wall time of one call in seconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[len(taken) // 2]
