"""The editor of `--editor aider`: its environment, built or found."""

from __future__ import annotations

import os
from pathlib import Path

from agent.cli.options import environment_cache
from agent.errors import UsageError

VARIABLE = "SCIENTIST_AIDER"


def build_aider() -> Path:
    """The aider command, its environment built first where it is not there yet.

    Raises: UsageError with pip's last lines where it cannot be built.
    """
    from agent.cli.environment import build
    from agent.edges.model.aider import AIDER, REQUIREMENTS, aider_executable

    try:
        return aider_executable(build(AIDER, REQUIREMENTS.parent, environment_cache(), "aider"))
    except UsageError as error:
        raise UsageError("environment of aider", error.problem, error.remedy) from error


def find_aider() -> Path:
    """The aider command: the one that SCIENTIST_AIDER names, else that of the environment built before.

    Raises: UsageError where there is none.
    """
    from agent.edges.model.aider import AIDER, REQUIREMENTS, aider_executable
    from agent.edges.template.environment import environment_for

    named = os.environ.get(VARIABLE, "")
    if named:
        if not os.access(named, os.X_OK) or not Path(named).is_file():
            raise UsageError(f"{VARIABLE}={named}", "is no command", "name the aider executable, or unset it")
        return Path(named).absolute()
    python = environment_for(AIDER, REQUIREMENTS.parent, environment_cache())
    if python is None:
        remedy = "build it (108 packages, 0.7 GB): scientist setup aider"
        raise UsageError("--editor aider", "its environment is not built", remedy)
    return aider_executable(python)
