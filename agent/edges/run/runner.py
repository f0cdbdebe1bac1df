"""Contract between the orchestrator and a runner of steps: the states of a step, and the Protocol."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import agent
from agent.core.failure.record import ExitRecord
from agent.edges.run.step_folder import StepSpec, write_spec

__all__ = [
    "HEARTBEAT_LIMIT_S",
    "Exited",
    "Lost",
    "Queued",
    "Runner",
    "Running",
    "StepStatus",
    "Taken",
    "Unclaimed",
    "is_supervisor_command",
    "say_silence",
    "supervisor_command",
    "supervisor_environment",
    "write_job",
]

HEARTBEAT_LIMIT_S = 60.0
_MODULE = "agent.edges.supervisor.supervise"
_MODULES = (_MODULE, "agent.edges.supervise")  # the second since version 0.1
_PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH")
_GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """No supervisor has begun, and as far as can be told none is on its way. Anybody may take the claim."""


@dataclass(frozen=True, slots=True)
class Queued:
    """The step was handed over, and its supervisor has not begun: a job that waits, a process that is starting.

    Nobody takes the claim of a queued step, except `Runner.kill`. reason: one line for a person.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Running:
    """A supervisor has the claim and is alive, as far as can be told from here."""

    pid: int
    host: str
    heartbeat_age_s: float


@dataclass(frozen=True, slots=True)
class Exited:
    """The step is over, and everything that it started is dead."""

    record: ExitRecord


@dataclass(frozen=True, slots=True)
class Lost:
    """The supervisor died without an exit record. `kill` ends processes that it may have left."""

    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A resume or `kill` took the claim: nothing will ever run in this folder."""


StepStatus = Unclaimed | Queued | Running | Exited | Lost | Taken


class Runner(Protocol):
    """Place where steps run: this machine, a batch system.

    A step is known by its folder alone, so that any later process can ask for it: a runner keeps what it needs, as
    the number of a job, in that folder. Every step is run by `supervisor_command`, which claims the folder first. Of
    all who want the claim one gets it, and a supervisor that does not get it runs nothing.

        Unclaimed --start--> Queued --the supervisor claims--> Running --> Exited
            |                   |                                 |
            +--take_claim-------+--kill--> Taken                  +--> Lost

    A state never goes back. Unclaimed may follow Queued, if a job was cancelled by others or its process died before
    it claimed: then the step is nobody's again.

    While a step is awaited, `poll` is called every 0.1 s, at first more often, and `scientist status` calls it too. A
    runner that asks a queue keeps the answer for about 30 s, and reads the step's folder every time.

    If a batch system does not answer, `start` and `poll` raise an OSError, as TimeoutError is. The idea pauses.
    """

    def start(self, folder: Path, spec: StepSpec) -> None:
        """Write spec.json, and hand the step over: at return it is Queued or further.

        A step that cannot be handed over is Exited, with the reason in the record's `error`. If its supervisor was
        killed as it started, it is Unclaimed.
        """

    def poll(self, folder: Path) -> StepStatus:
        """State of the step now.

        Unclaimed promises that no supervisor is on its way as far as the runner can find out. It must not be said of
        a job that still waits, since a resume takes the claim of an unclaimed step and begins another.
        """

    def take_claim(self, folder: Path) -> bool:
        """Claim an Unclaimed step, so that a late supervisor runs nothing. False: somebody else has the claim."""

    def kill(self, folder: Path) -> None:
        """End the step in any state, and all its processes, within seconds.

        If the step has not begun, the runner takes the claim (state Taken) and then cancels the job. If it runs in a
        job, the runner has the batch system send SIGTERM to the supervisor, and end the job some seconds later.
        `spec.stop_file` is not written here: `scientist stop` does so, and a supervisor on any host ends at it.
        """

    def read_streams(self, folder: Path, limit_bytes: int) -> tuple[str, str]:
        """Standard output and error, each cut to about `limit_bytes` in favour of its end."""


def say_silence(supervisor: Running) -> str:
    """Sentence about a supervisor without a heartbeat."""
    return f"no heartbeat for {supervisor.heartbeat_age_s:.0f} s from supervisor {supervisor.pid} on {supervisor.host}"


def supervisor_command(python: Path, folder: Path, *, detach: bool) -> list[str]:
    """Command that runs the step of a folder on this machine. detach: return once it is claimed."""
    options = ["--detach"] if detach else []
    return [str(python), "-P", "-m", _MODULE, *options, str(folder.absolute())]


def write_job(folder: Path, spec: StepSpec, python: Path = Path(sys.executable)) -> str:
    """Write spec.json of a step that a batch job is to run, and return the shell line that the job runs.

    Of the job's environment the step sees its GPUs alone: those that CUDA_VISIBLE_DEVICES names there. If that is not
    set, it sees all that the job may open. The GPUs of the machine that submits do not matter.
    """
    write_spec(folder, replace(spec, env={name: value for name, value in spec.env.items() if name != _GPUS}))
    variables = [f"{name}={value}" for name, value in supervisor_environment(spec).items()]
    *command, place = supervisor_command(python, folder, detach=False)
    granted = f'${{{_GPUS}+--gpus "${_GPUS}"}}'  # nothing if it is not set
    return f"{shlex.join(['env', '-i', *variables, *command])} {granted} {shlex.quote(place)}"


def is_supervisor_command(words: Sequence[bytes], folder: Path) -> bool:
    """Whether a process with this command line supervises the folder, by any Python and with any options."""
    own = [word for word in words[1:] if not word.startswith(b"-")][:1]  # a wrapper such as srun names Python first
    return own in [[module.encode()] for module in _MODULES] and words[-1] == os.fsencode(folder.absolute())


def supervisor_environment(spec: StepSpec) -> dict[str, str]:
    """Environment of a supervisor, drawn from the step's own, because a run can read its parent's: it holds no key."""
    environment = {name: spec.env[name] for name in _PASSED_ON if name in spec.env}
    home = Path(agent.__file__).parent.parent
    if home.name not in ("site-packages", "dist-packages"):  # else it is found, and must not come before the library
        environment["PYTHONPATH"] = str(home)
    return environment
