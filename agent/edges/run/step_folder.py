"""Folder of one supervised step: the names of its files, and how they are written and read.

Supervisor and orchestrator share it, so it needs the standard library alone. Linux only (/proc, prctl).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agent.edges.sandbox.walls import Bounds, Walls, WantedWalls
from agent.edges.system.files import fsync_folder, place_of, write_durably
from agent.edges.system.processes import Identity, boot_id, read_process

if TYPE_CHECKING:
    from agent.core.failure.record import ExitRecord

SPEC = "spec.json"
CLAIM = "claim"
HEARTBEAT = "heartbeat"
CHILD = "child.json"
EXIT = "exit.json"
LOG = "log.txt"
STDOUT = "stdout.txt"
STDERR = "stderr.txt"
SUPERVISOR_LOG = "supervisor.log"
WORK = "work"
TMP_ROOT, TMP_PREFIX = "/tmp", "sci-"

ClaimedBy = Literal["supervisor", "resume"]


@dataclass(frozen=True, slots=True)
class StepSpec:
    """Command of a step for any machine. It runs in the folder `work` of its step."""

    # Words of the command, its program first.
    argv: tuple[str, ...]
    # The complete environment. What its supervisor finds on its machine is changed in it.
    env: Mapping[str, str]
    # Seconds after which the command is killed.
    deadline_s: float
    # Size at which each log is cut.
    log_cap_mib: float
    # The command is killed as soon as this file appears.
    stop_file: Path
    # Found by the supervisor; already found in a spec.json of version 0.1.
    walls: WantedWalls | Walls = field(default_factory=WantedWalls)
    # Limits of its memory, processes and files.
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, slots=True)
class Claim:
    """Owner of a step: a process that can be told from a later one with the same pid."""

    # Of the owner, in its own pid namespace.
    pid: int
    # Name of the machine that it runs on.
    host: str
    # Of the host's kernel, new at every boot.
    boot_id: str
    # As "pid:[4026531836]": a pid means nothing in another one.
    pid_namespace: str
    # From boot to the start of the process.
    start_ticks: int
    # Who claimed it: a supervisor, or a resume that closes the step.
    by: ClaimedBy
    # Path of the step's folder at that time.
    folder: str = ""
    # Device and inode of the folder, on the machine that claimed it. A copy has others.
    place: str = ""

    def is_of(self, folder: Path) -> bool:
        """Whether the folder is the one that was claimed, and no copy of it. True if its place is not known."""
        return not self.place or self.place == place_of(folder)

    def was_moved(self) -> bool:
        """Whether the owner writes to another folder by now, since this one was renamed."""
        return bool(self.place) and place_of(Path(self.folder)) != self.place

    def is_local(self) -> bool:
        """Whether this process sees the claim's pid: the same kernel since boot, the same pid namespace."""
        return (self.boot_id, self.pid_namespace) == (boot_id(), _pid_namespace())


@dataclass(frozen=True, slots=True)
class Child:
    """Command of a step, and the processes seen below it, so that a leftover tree can be killed. tmp: its TMPDIR."""

    pid: int
    start_ticks: int
    tree: tuple[Identity, ...]
    tmp: str = ""


# Where version 0.1 had the script that limits what an evaluator serves, and where it is now.
CONFINE_MOVED = ("/agent/edges/confine.py", "/agent/edges/sandbox/landlock.py")


def write_spec(folder: Path, spec: StepSpec) -> None:
    """Write spec.json durably."""
    fields: dict[str, Any] = {"argv": list(spec.argv), "env": dict(spec.env), "cwd": WORK}
    fields |= {"deadline_s": spec.deadline_s, "log_cap_mib": spec.log_cap_mib, "stop_file": str(spec.stop_file)}
    # A supervisor of version 0.1 fails at a null, and does not take absent walls for none.
    walls = {"wanted": asdict(spec.walls), "walls": None}
    fields |= walls if isinstance(spec.walls, WantedWalls) else {"walls": asdict(spec.walls)}
    fields["bounds"] = asdict(spec.bounds)
    write_durably(folder / SPEC, _dump(fields))


def read_spec(folder: Path) -> StepSpec:
    """Raises: OSError, ValueError, KeyError when spec.json is absent or not one."""
    text = (folder / SPEC).read_text("ascii")
    fields = json.loads(text)
    if "wanted" not in fields:  # of version 0.1
        fields = json.loads(text.replace(*CONFINE_MOVED))
    return StepSpec(
        argv=tuple(fields["argv"]),
        env=fields["env"],
        deadline_s=float(fields["deadline_s"]),
        log_cap_mib=float(fields["log_cap_mib"]),
        stop_file=Path(fields["stop_file"]),
        walls=_read_walls(fields),
        bounds=Bounds(**fields.get("bounds", {})),
    )


def _read_walls(fields: Mapping[str, Any]) -> WantedWalls | Walls:
    """Walls that are still to be found, or those of version 0.1. A spec.json older than sandboxes has none."""
    wanted = fields.get("wanted")
    return Walls(**_tuples(fields.get("walls") or {})) if wanted is None else WantedWalls(**_tuples(wanted))


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with the lists that JSON made of tuples as tuples again."""
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return values | {"links": tuple((name, target) for name, target in values.get("links", ()))}


def claim(folder: Path, by: ClaimedBy) -> bool:
    """Make this process the owner of the step. False: it has an owner already.

    The file is written aside and linked into place. That excludes others as O_EXCL does, on NFS too, and no crash can
    leave an empty claim.
    """
    process = read_process(os.getpid())
    assert process is not None
    owner = Claim(
        process.pid,
        os.uname().nodename,
        boot_id(),
        _pid_namespace(),
        process.start_ticks,
        by,
        folder=str(folder.absolute()),
        place=place_of(folder),
    )
    aside = folder / f".{CLAIM}.{owner.host}.{owner.pid}"
    _write_synced(aside, _dump(asdict(owner)))
    try:
        os.link(aside, folder / CLAIM)
    except FileExistsError:
        return aside.stat().st_nlink == 2  # NFS may repeat a link whose first answer was lost
    finally:
        aside.unlink()
        fsync_folder(folder)
    return True


def read_claim(folder: Path) -> Claim | None:
    """Raises: ValueError when the file is not a claim."""
    try:
        return Claim(**json.loads((folder / CLAIM).read_bytes()))
    except FileNotFoundError:
        return None
    except TypeError as error:
        raise ValueError(str(error)) from error


def write_child(folder: Path, child: Child) -> None:
    """Record the command's processes. The write is atomic, but not worth an fsync each second."""
    aside = folder / f".{CHILD}"
    aside.write_bytes(_dump(asdict(child)))
    aside.replace(folder / CHILD)


def read_child(folder: Path) -> Child | None:
    """None when no command was started, or the record cannot be read."""
    try:
        fields = json.loads((folder / CHILD).read_bytes())
        tree = tuple(Identity(**identity) for identity in fields["tree"])
        return Child(fields["pid"], fields["start_ticks"], tree, str(fields.get("tmp", "")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_exit(folder: Path, record: ExitRecord) -> None:
    """Write exit.json durably: the last act of a step."""
    fields = asdict(record)
    if record.has_gpu is None:  # an orchestrator of version 0.1 reads no record with this field
        del fields["has_gpu"]
    write_durably(folder / EXIT, _dump(fields))


def read_exit(folder: Path) -> ExitRecord | None:
    """Raises: ValueError when the file is not an exit record."""
    from agent.core.failure.record import ExitRecord

    try:
        return ExitRecord(**json.loads((folder / EXIT).read_bytes()))
    except FileNotFoundError:
        return None
    except TypeError as error:
        raise ValueError(str(error)) from error


def _dump(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields) + "\n").encode("ascii")


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())
