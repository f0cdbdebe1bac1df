"""All commands: importing this registers them. Each imports what it needs when it runs."""

from agent.cli import (
    diff,
    history,
    ideas,
    launch,
    logs,
    resume,
    setup,
    show,
    status,
    stop,
    templates,
    unlock,
)

__all__ = [
    "diff",
    "history",
    "ideas",
    "launch",
    "logs",
    "resume",
    "setup",
    "show",
    "status",
    "stop",
    "templates",
    "unlock",
]
