"""Choice of a runner by the launch of an idea."""

from __future__ import annotations

from agent.core.journal.events import Launched
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import Runner

__all__ = ["runner_for"]


def runner_for(launched: Launched | None) -> Runner:
    """Runner of an idea's steps. None: of a run apart from any idea (a baseline, a check), on this machine.

    This machine is all that a launch can name so far. Another runner is a module beside local_runner.py, a field of
    Launched for its options (partition, GPUs), and a line here: a step's spec has no such settings.
    """
    return LocalRunner()
