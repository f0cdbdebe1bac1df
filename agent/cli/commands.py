"""All commands: importing this registers them. Each imports what it needs when it runs."""

from agent.cli import (
    baseline,
    diff,
    history,
    idea,
    ideas,
    launch,
    logs,
    resume,
    setup,
    show,
    status,
    stop,
    template,
    templates,
    unlock,
)

__all__ = [
    "baseline",
    "diff",
    "history",
    "idea",
    "ideas",
    "launch",
    "logs",
    "resume",
    "setup",
    "show",
    "status",
    "stop",
    "template",
    "templates",
    "unlock",
]
