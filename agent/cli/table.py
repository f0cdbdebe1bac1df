"""Every command of `scientist`: its module, and the first sentence of its help."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """A command, which is imported only if it runs: the function or group of its name in `module`."""

    module: str
    help: str


_AT = "agent.cli.commands."
# In the order of `scientist --help`.
COMMANDS = {
    "init": Entry(_AT + "init", "Copy the templates and ideas that ship, to edit them."),
    "launch": Entry(_AT + "launch", "Launch a batch of ideas."),
    "resume": Entry(_AT + "resume", "Go on with ideas that paused, crashed or wait for you."),
    "status": Entry(_AT + "status", "Show how ideas stand."),
    "show": Entry(_AT + "show", "Show an idea's plan and runs, or one run in full."),
    "history": Entry(_AT + "history", "Show every edit and what became of it."),
    "diff": Entry(_AT + "history", "Show the code difference between two runs or commits."),
    "logs": Entry(_AT + "logs", "Print the log of a run, by default of the newest step."),
    "tell": Entry(_AT + "tell", "Tell the model something: the next prompt shows it."),
    "stop": Entry(_AT + "stop", "Stop the orchestrator and the run of a workspace."),
    "unlock": Entry(_AT + "stop", "Forget the holder of a lock, if its host is gone."),
    "verify": Entry(_AT + "verify", "Check that journals, commits and results agree."),
    "doctor": Entry(_AT + "doctor", "Check whether a launch with these options would work."),
    "setup": Entry(_AT + "setup", "Build a template's environment and prepare its data."),
    "templates": Entry(_AT + "templates", "List the templates."),
    "template": Entry(_AT + "templates", "Make a template of your own, and check it."),
    "baseline": Entry(_AT + "baseline", "Run a template's baselines and store their results in it."),
    "ideas": Entry(_AT + "ideas", "List the ideas of a file, or of every file that is found."),
    "idea": Entry(_AT + "ideas", "Write ideas."),
}
