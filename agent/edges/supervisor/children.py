"""Children of a supervisor: its command, and every process below that lost its own parent."""

from __future__ import annotations

import contextlib
import os
import signal

from agent.edges.system.processes import list_children

__all__ = ["has_children", "kill_children"]

ROUNDS = 300


def has_children() -> bool:
    """Whether a process is left below.

    A list could miss one born while its parent ends. An orphan becomes our child, so asking for children is enough.
    """
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def kill_children() -> None:
    """Kill children until none is left, in ROUNDS at most. Some live too briefly to appear in a list of processes."""
    for _ in range(ROUNDS):
        children = list_children(os.getpid())
        if not children:
            return
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)  # a child keeps its number until it is reaped, by the supervisor alone
