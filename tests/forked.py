"""Supervisors that are forked from a process which has imported theirs, so that tests wait for no interpreter to start.

Everything else of a step is as in the product. Tests about runners and supervisors start them as the product does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, NoReturn

from agent.edges.run.local_runner import LocalRunner
from agent.edges.run.runner import supervisor_environment
from agent.edges.run.step_folder import StepSpec
from agent.edges.supervisor.leave import leave
from tests.paths import ROOT


class ForkingRunner(LocalRunner):
    """The local runner, with forked supervisors."""

    def begin(self, folder: Path, spec: StepSpec, log: IO[bytes]) -> int:
        return _nursery().fork(folder, supervisor_environment(spec), log.name)


class _Nursery:
    """The process from which this process's supervisors are forked. It ends with this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from tests.forked import serve; serve()"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def fork(self, folder: Path, environment: Mapping[str, str], log: str) -> int:
        """The exit code of a supervisor's first process, which leaves as soon as the step is claimed."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([str(folder), dict(environment), log]).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@cache
def _nursery() -> _Nursery:
    return _Nursery()


def serve() -> None:
    """Fork a supervisor for each line of standard input, and answer with its exit code."""
    from agent.core.failure import record
    from agent.edges.sandbox import bwrap, choose, landlock, resolve
    from agent.edges.supervisor import enter, hidden_use, limits, supervise

    assert all((record, bwrap, choose, landlock, resolve, enter, hidden_use, limits, supervise)), "all is imported once"
    for line in sys.stdin.buffer:
        folder, environment, log = json.loads(line)
        if (pid := os.fork()) == 0:
            _supervise(folder, environment, log)
        os.write(1, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())


def _supervise(folder: str, environment: Mapping[str, str], log: str) -> NoReturn:
    from agent.edges.supervisor.supervise import main

    os.setsid()
    os.chdir("/")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for output in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), output)
    os.environ.clear()
    os.environ.update(environment)
    leave(main(["--detach", folder]))
