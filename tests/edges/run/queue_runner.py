"""A runner like a batch system's: a step waits in a queue, and its job begins in a session of its own, later."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import Queued, StepStatus, Unclaimed, write_job
from agent.edges.run.step_folder import StepSpec

JOB = "job"


@dataclass(frozen=True, slots=True)
class QueueRunner:
    """All that it knows of a job is in the step's folder. Once it has begun it is a supervisor like any other."""

    begun: LocalRunner = field(default_factory=LocalRunner)

    def start(self, folder: Path, spec: StepSpec) -> None:
        step.write_spec(folder, spec)
        (folder / JOB).write_text("4711\n")

    def poll(self, folder: Path) -> StepStatus:
        status = self.begun.poll(folder)
        if isinstance(status, Unclaimed) and (folder / JOB).exists():
            return Queued(f"job {(folder / JOB).read_text().strip()} is pending")
        return status

    def take_claim(self, folder: Path) -> bool:
        return self.begun.take_claim(folder)

    def kill(self, folder: Path) -> None:
        self.begun.kill(folder)
        (folder / JOB).unlink(missing_ok=True)

    def read_streams(self, folder: Path, limit_bytes: int) -> tuple[str, str]:
        return self.begun.read_streams(folder, limit_bytes)


def begin_job(folder: Path) -> int:
    """Exit code of the job, which ends with its step. The batch system runs it, although a claim may be taken."""
    return subprocess.run(
        ["sh", "-c", write_job(folder, step.read_spec(folder))],
        cwd="/",
        env={"PATH": os.defpath},
        start_new_session=True,
        check=False,
    ).returncode


def queued_jobs(attempts: Path) -> list[Path]:
    """Folders whose job waits."""
    found = (path.parent for path in attempts.glob(f"*/{JOB}"))
    return sorted(folder for folder in found if not (folder / step.CLAIM).exists())
