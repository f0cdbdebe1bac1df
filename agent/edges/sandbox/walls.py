"""Walls and bounds of a step as values: the paths that it may reach, and how much it may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Bounds", "SandboxKind", "Walls", "WantedWalls"]

SandboxKind = Literal["bwrap", "landlock", "off"]


@dataclass(frozen=True, slots=True)
class WantedWalls:
    """Walls that a step asks for. The machine that runs it is not known yet: `resolve_walls` makes them there."""

    # "auto", "bwrap", "landlock" or "off", as --sandbox takes it.
    sandbox: str = "off"
    # PATH on which bwrap is looked for.
    search: str = ""
    # The experiment's own, whose folders are readable.
    interpreter: str = ""
    # Files and folders to read, besides the system's, the interpreter's and those of libraries.
    read: tuple[str, ...] = ()
    # Those of `read` that are readable for code that an evaluator serves, too.
    served: tuple[str, ...] = ()
    # Files and folders that may be changed.
    write: tuple[str, ...] = ()
    # Names, and the paths that they lead to.
    links: tuple[tuple[str, str], ...] = ()
    # Whether it may reach the network.
    network: bool = False
    # Folders that are never given with an interpreter or a library: the user's home, the workspace.
    closed: tuple[str, ...] = ()
    # File for the plan of a sandbox that the step enters inside its own. Empty: it enters none.
    inner_plan: str = ""


@dataclass(frozen=True, slots=True)
class Walls:
    """Paths that a step may reach on the machine that runs it, the same inside and outside, and its sandbox."""

    # What holds it.
    kind: SandboxKind = "off"
    # Files and folders. One that is absent counts for nothing.
    read: tuple[str, ...] = ()
    # Files and folders that may be changed.
    write: tuple[str, ...] = ()
    # Names, and the paths that they lead to.
    links: tuple[tuple[str, str], ...] = ()
    # Device files beyond the usual ones.
    devices: tuple[str, ...] = ()
    # Whether it may reach the network.
    network: bool = False
    # Path of the program.
    bwrap: str = ""
    # Whether the step puts code of a run into a sandbox inside.
    confines: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a step may use. 0 sets no limit, except for memory: nine tenths of the machine's."""

    memory_gib: float = 0.0
    # Threads are counted too.
    processes: int = 0
    # Of one file.
    file_gib: float = 0.0
    # Of all that it writes, temporary files included.
    disk_gib: float = 0.0
