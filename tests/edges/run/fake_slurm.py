"""A batch system as Slurm's commands show it: sbatch, squeue, scancel, and jobs that begin when a test says so."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

JOB = "4711"
_HERE = 'cd "$(dirname "$0")"; echo "$0 $*" >>asked; [ -f silent ] && exec sleep 600\n'
_SBATCH = """[ -f refuses ] && { echo no partition >&2; exit 1; }
for word in "$@"; do case "$word" in --wrap=*) printf %s "${word#--wrap=}" >job;; esac; done
echo 4711
"""
_SQUEUE = """[ -f job ] && echo 4711 PENDING || { echo slurm_load_jobs error: Invalid job id specified >&2; exit 1; }
"""
_SCANCEL = "rm -f job\n"


@dataclass(frozen=True, slots=True)
class FakeSlurm:
    """A cluster with one job at most. `folder` holds its commands, and the file `job` while a job waits."""

    folder: Path

    def refuse(self) -> None:
        """Have sbatch refuse every job from now on."""
        (self.folder / "refuses").touch()

    def fall_silent(self) -> None:
        """Have no command answer any more."""
        (self.folder / "silent").touch()

    def is_waiting(self) -> bool:
        return (self.folder / "job").exists()

    def said(self) -> str:
        """All commands that were given, one a line."""
        log = self.folder / "asked"
        return log.read_text() if log.exists() else ""

    def asked(self, command: str) -> int:
        """How often a command was called."""
        return sum(line.startswith(f"{self.folder / command} ") for line in self.said().splitlines())

    def begin(self, **granted: str) -> int:
        """Run the job that waits to its end, as its node does. granted: variables such as CUDA_VISIBLE_DEVICES."""
        line = (self.folder / "job").read_text()
        (self.folder / "job").unlink()
        environment = {"PATH": os.defpath, "SLURM_JOB_ID": JOB, **granted}
        return subprocess.run(["sh", "-c", line], cwd="/", env=environment, check=False).returncode


def put_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """Put the commands of a cluster into a new folder, and the folder on PATH."""
    folder.mkdir()
    for name, text in (("sbatch", _SBATCH), ("squeue", _SQUEUE), ("scancel", _SCANCEL)):
        (folder / name).write_text(f"#!/bin/sh\n{_HERE}{text}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return FakeSlurm(folder)
