"""A workspace on the two-second template, with real git, real supervised processes and a scripted model."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from agent.core.code.findings import LintFinding
from agent.core.inputs.idea import Idea
from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Launched
from agent.core.journal.state import State
from agent.edges.lint import Linter
from agent.edges.model.protocol import Model, Models
from agent.edges.run.runner import Runner
from agent.edges.template.data import PreparedData
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import Template, load_template
from agent.edges.workspace.layout import Workspace, create_batch, template_store
from agent.effects.edges import Edges
from agent.effects.run_step import Steps
from agent.loop import Loop
from tests.fakes import Line, ScriptedModel
from tests.forked import ForkingRunner
from tests.memory import copy_made, remember
from tests.paths import QUADRATIC

IDEA = Idea(Name="momentum", Title="Momentum helps", Experiment="Try momentum and learning rates.")


class RememberingLinter(Linter):
    """The real linter, which starts two processes, asked once for the same texts: most studies hold the same edits."""

    def check(self, files: Mapping[str, str], interpreter: Path | None = None) -> tuple[LintFinding, ...]:
        return _check_once(tuple(sorted(files.items())), interpreter)


_CHECK = Linter.check


def _check_once(files: tuple[tuple[str, str], ...], interpreter: Path | None) -> tuple[LintFinding, ...]:
    return remember(("lint", files, interpreter), lambda: _CHECK(Linter(), dict(files), interpreter))


@dataclass
class Study:
    """One workspace and what it takes to run it."""

    workspace: Workspace
    template: Template

    def loop(
        self,
        model: Model | Models | Iterable[Line],
        *,
        runner: Runner | None = None,
        watch: Callable[[Event, State], None] | None = None,
        prepared: PreparedData | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Loop:
        repo = self.workspace.repo()
        inherited = dict(os.environ)
        edges = Edges(
            workspace=self.workspace,
            journal=self.workspace.journal(),
            repo=repo,
            template=self.template,
            models=model if isinstance(model, Models) else Models(_scripted(model)),
            linter=RememberingLinter(),
            steps=Steps(
                self.workspace, repo, self.template, runner or ForkingRunner(), inherited, sleep, prepared=prepared
            ),
        )
        return Loop(edges, watch=watch or (lambda event, state: None))


def _scripted(model: Model | Iterable[Line]) -> Model:
    return ScriptedModel(model) if isinstance(model, list | tuple) else model  # type: ignore[return-value]


def new_study(
    root: Path,
    folder: Path = QUADRATIC,
    *,
    profile: str = "",
    limits: Limits | None = None,
    batch: str = "batch",
    **changes: object,
) -> Study:
    """A study in a new folder. A plain one is made once, by a dozen of git's processes, and copied from then on."""
    if folder != QUADRATIC or changes or root.exists():
        return _make_study(root, folder, profile, limits, batch, **changes)
    copy_made(("study", profile, limits, batch), lambda place: _make_study(place, folder, profile, limits, batch), root)
    (frozen,) = template_store(root).iterdir()
    return Study(Workspace(root / batch / IDEA.slug), load_template(frozen, profile))


def _make_study(root: Path, folder: Path, profile: str, limits: Limits | None, batch: str, **changes: object) -> Study:
    template = load_template(freeze_template(folder, template_store(root)), profile)
    launched = Launched(
        template=template.spec.name,
        template_hash=template.hash,
        profile=template.profile,
        model="scripted/model",
        python=sys.executable,
        limits=limits or Limits(max_runs=3),
        smoke=template.spec.smoke,
        evaluates=template.spec.evaluate is not None,
        has_baseline=bool(template.baselines),
    )
    (workspace,) = create_batch(root, batch, [IDEA], template, replace(launched, **changes))  # type: ignore[arg-type]
    return Study(workspace, template)


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    return partial(new_study, tmp_path / "work spaces")


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    return make_study()
