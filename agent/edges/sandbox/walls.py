"""What a step may reach and how much it may use, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SandboxKind = Literal["bwrap", "landlock", "off"]


@dataclass(frozen=True, slots=True)
class Walls:
    """What a step may reach, and what holds it to that: absolute paths, the same inside and outside.

    read, write: files and folders; what is absent of `read` counts for nothing. links: names that lead to one of them.
    devices: beyond the usual ones. bwrap: its program. confines: the step puts code of a run into a sandbox inside.
    """

    kind: SandboxKind = "off"
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    devices: tuple[str, ...] = ()
    network: bool = False
    bwrap: str = ""
    confines: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a step may use; 0 leaves it free, but for memory: then it is nine tenths of the machine's.

    processes: threads are counted too. file_gib: of one file. disk_gib: of all that it writes, temporary files too.
    """

    memory_gib: float = 0.0
    processes: int = 0
    file_gib: float = 0.0
    disk_gib: float = 0.0
