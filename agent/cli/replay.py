"""What launching a replay asks for: the recording, and the same roles as it had."""

from __future__ import annotations

from agent.edges.model.replay import is_replay, read_launch
from agent.edges.model.sweep import CONTROL, SWEEP
from agent.errors import UsageError


def check_replay(option: str, model: str, *, editor_model: str, reviewer_model: str) -> None:
    """Raises: UsageError where there is no such recording, or a planner's lacks the roles that answered it."""
    recorded = read_launch(model, option)
    if option != "--model":
        return
    if recorded.separate_editor and not editor_model:
        raise UsageError(f"{option} {model}", "its edits are another model's", f"add --editor-model {model}")
    if recorded.reviewer_model and not reviewer_model:
        more = f" --reflections {recorded.reflections}" if recorded.reflections else ""
        raise UsageError(f"{option} {model}", "its runs were reviewed", f"add --reviewer-model {model}{more}")


def check_aider(model: str) -> None:
    """Raises: UsageError where aider is not there, or `model`, which it would ask, is none that it can."""
    from agent.cli.aider import find_aider

    if is_replay(model):
        raise UsageError("--editor aider", f"{model} cannot be asked by it", "name a model with --editor-model")
    find_aider()


def control_of(model: str) -> str:
    """What the results of that model must be called; a replay's are what the recording's were."""
    if model == SWEEP:
        return CONTROL
    return read_launch(model).control if is_replay(model) else ""
