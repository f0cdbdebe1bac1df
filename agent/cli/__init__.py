"""The command `scientist`: one module a command, one place where errors become exit codes."""

from __future__ import annotations

from agent.cli.app import main

__all__ = ["main"]
