"""The edges that the effects of one idea act on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.edges.git.repo import Repo
from agent.edges.lint import Linter
from agent.edges.model.ledger import Ledger
from agent.edges.model.protocol import Models
from agent.edges.template.load import Template
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import Workspace
from agent.effects.run_step import Steps


@dataclass(frozen=True, slots=True)
class Edges:
    """Everything outside the process that the loop of one idea works with."""

    workspace: Workspace  # its folders
    journal: Journal  # events, and the texts that they name
    repo: Repo  # the git repository of its code
    template: Template  # the frozen copy that it was launched with
    models: Models  # planner, editor and reviewer
    linter: Linter  # finds faults in code before it runs
    steps: Steps  # supervised child processes
    ledger: Ledger = field(default_factory=Ledger)  # budgets of the idea and its batch
    monotonic: Callable[[], float] = time.monotonic  # seconds
