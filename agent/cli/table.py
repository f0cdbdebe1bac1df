"""Every command of `scientist`: its module, and the first sentence of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import typer

from agent.errors import UsageError


class CommandEntry(NamedTuple):
    """A command, which is imported only if it runs: the function or group of its name in `module`."""

    module: str
    help: str


DEFAULT_WORKSPACES = Path("workspaces")
_AT = "agent.cli.commands."
# In the order of `scientist --help`.
COMMANDS = {
    "init": CommandEntry(_AT + "init", "Copy the templates and ideas that ship, to edit them."),
    "launch": CommandEntry(_AT + "launch", "Launch a batch of ideas."),
    "resume": CommandEntry(_AT + "resume", "Go on with ideas that paused, crashed or wait for you."),
    "replicate": CommandEntry(_AT + "replicate", "Run a run's code again with fresh seeds."),
    "status": CommandEntry(_AT + "status", "Show how ideas stand."),
    "show": CommandEntry(_AT + "show", "Show an idea's plan and runs, or one run in full."),
    "history": CommandEntry(_AT + "history", "Show every edit of an idea and its outcome."),
    "diff": CommandEntry(_AT + "diff", "Show the code difference between two runs or commits."),
    "logs": CommandEntry(_AT + "logs", "Print the log of a run, by default of the newest step."),
    "tell": CommandEntry(_AT + "tell", "Tell the model something: the next prompt shows it."),
    "stop": CommandEntry(_AT + "stop", "Stop the orchestrators and runs of workspaces."),
    "unlock": CommandEntry(_AT + "stop", "Forget the holder of a lock, if its host is gone."),
    "export": CommandEntry(_AT + "export", "Pack an idea or a batch into one file, to send to somebody."),
    "verify": CommandEntry(_AT + "verify", "Check that journals, commits and results agree."),
    "doctor": CommandEntry(_AT + "doctor", "Check whether a launch with these options would work."),
    "setup": CommandEntry(_AT + "setup", "Build a template's environment and prepare its data."),
    "clean": CommandEntry(_AT + "clean", "Remove environments and prepared data that nothing uses."),
    "templates": CommandEntry(_AT + "templates", "List the templates."),
    "template": CommandEntry(_AT + "templates", "Make a template of your own, and check it."),
    "baseline": CommandEntry(_AT + "baseline", "Run a template's baselines and store their results in it."),
    "ideas": CommandEntry(_AT + "ideas", "List the ideas of a file, or of every file that is found."),
    "idea": CommandEntry(_AT + "ideas", "Write ideas."),
}


def require_command(context: typer.Context, *examples: str) -> None:
    """Raises: UsageError with the examples if a group of commands is called without one of them."""
    if context.invoked_subcommand is None:
        raise UsageError(context.info_name or "scientist", "is not complete", f"write {', or '.join(examples)}")


def make_typer(**options: Any) -> typer.Typer:
    """A command or a group of commands, without typer's own error messages: agent.cli.app prints those."""
    settings = {"rich_markup_mode": None, "pretty_exceptions_enable": False, "add_completion": False}
    return typer.Typer(**settings | options, context_settings={"help_option_names": ["-h", "--help"]})
