"""What holds the runs of a command, and what a person is told of it."""

from __future__ import annotations

import os

from agent.cli.app import say
from agent.edges.sandbox.choose import NO_SANDBOX, Sandbox, choose_sandbox
from agent.errors import UsageError

WITHOUT_SANDBOX = (
    "WARNING: --sandbox off: code that a model writes runs with your rights. It can read your keys and files, change "
    "them and reach the network, and every result says that it was made without a sandbox."
)


def announce_sandbox(sandbox: Sandbox) -> None:
    """What holds the runs, and what it leaves open."""
    if sandbox.kind == "off":
        say(WITHOUT_SANDBOX)
    else:
        missed = f" ({sandbox.missed})" if sandbox.missed else ""
        say(
            f"sandbox: {sandbox.kind}{missed}"
            + (f"; it leaves open: {'; '.join(sandbox.gaps)}" if sandbox.gaps else "")
        )


def hold_own_code() -> Sandbox:
    """For a template's own code, which no model wrote: the sandbox of its later runs, else none, with a word of it."""
    wanted = os.environ.get("SCIENTIST_SANDBOX") or "auto"
    try:
        return choose_sandbox(wanted)
    except UsageError as error:
        if wanted != "auto":
            raise
        say(f"{error}. The template's own code runs without one.")
        return NO_SANDBOX
