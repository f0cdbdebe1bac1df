"""Walls as the kernel's filters keep them: the policy of system calls, and the plan of a sandbox by Landlock."""

from __future__ import annotations

import base64
import os
from typing import Any

from agent.edges.sandbox import bwrap, landlock
from agent.edges.sandbox.seccomp import Policy, assemble
from agent.edges.sandbox.walls import Walls

__all__ = ["confine_plan", "policy_of"]


def policy_of(walls: Walls) -> Policy:
    """Settings of the system-call filter for these walls: the calls that the walls themselves do not stop.

    Landlock leaves the host's processes and folders in sight ("crowded"), and bwrap does not.
    """
    if walls.kind == "bwrap":  # addresses of the internet lead nowhere in a network namespace of its own
        nests = walls.confines and not landlock.landlock_abi()
        return Policy(network=True, namespaces=nests)
    abi = landlock.landlock_abi()
    return Policy(network=walls.network, local_sockets=False, freezes_modes=True, keeps_length=abi < 3, crowded=True)


def confine_plan(walls: Walls) -> dict[str, Any]:
    """Plan that landlock.py reads: walls as Landlock keeps them, or a nested bwrap's on a kernel without it."""
    inner = Walls("landlock", walls.read, walls.write, (), walls.devices, walls.network, walls.bwrap)
    program = assemble(policy_of(inner), os.uname().machine)
    return {
        "read": list(walls.read),
        "write": list(walls.write),
        "devices": list(walls.devices),
        "network": walls.network,
        "filter": base64.b64encode(program).decode("ascii"),
        "nested": [] if landlock.landlock_abi() or not walls.bwrap else bwrap.nested_argv(walls),
    }
