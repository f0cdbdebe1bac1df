"""The command `scientist`: one module per command, and one place that turns errors into exit codes."""

from __future__ import annotations

from agent.cli.app import main

__all__ = ["main"]
