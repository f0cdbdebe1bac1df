"""The experiment's interpreter: an existing one checked, or a template's environment built with progress shown."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from agent.cli.app import say
from agent.core.spec import Environment
from agent.errors import UsageError


def check_python(path: Path) -> Path:
    """Raises: UsageError where it is no Python interpreter."""
    try:
        done = subprocess.run([path, "-c", "print(6 * 7)"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--python {path}", f"cannot be run: {getattr(error, 'strerror', error)}") from error
    if done.stdout.strip() != "42":
        raise UsageError(f"--python {path}", "is not a Python interpreter")
    return Path(os.path.abspath(path))  # noqa: PTH100 - a virtual environment's python must stay a link


def build(environment: Environment, template: Path, cache: Path) -> Path:
    """The environment's interpreter, built first where it is not there yet.

    Raises: UsageError with pip's last lines where it cannot be built.
    """
    from agent.edges.environment import build_environment, environment_for

    ready = environment_for(environment, template, cache)
    if ready:
        return ready
    say(f"building the environment of template {template.name} (once; it is kept under {cache})")
    started = time.monotonic()
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("starting", total=None)
            python = build_environment(
                environment,
                template,
                cache,
                lambda line: progress.update(task, description=line[:100]),
                inherited=os.environ,
            )
    else:
        python = build_environment(
            environment, template, cache, lambda line: say(f"  {line[:100]}"), inherited=os.environ
        )
    say(f"environment ready in {time.monotonic() - started:.0f} s: {python}")
    return python
