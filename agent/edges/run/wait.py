"""Wait for the end of a supervised step, by whichever process it was started."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from agent.core.failure.record import ExitRecord
from agent.edges.run import step_folder as step
from agent.edges.run.runner import (
    HEARTBEAT_LIMIT_S,
    Exited,
    Lost,
    Queued,
    Runner,
    Running,
    Taken,
    Unclaimed,
    say_silence,
)

__all__ = ["FIRST_POLL_S", "POLL_S", "QUEUE_NOTICE_S", "SILENCE_GRACE_S", "StepPatience", "wait"]

POLL_S = 0.1
FIRST_POLL_S = 0.0125  # then twice as long each time: a smoke test may end in a moment
QUEUE_NOTICE_S = 30.0
SILENCE_GRACE_S = 30.0  # a machine that slept wakes orchestrator and supervisor in any order

_NEVER_BEGUN = "it has no supervisor: none was started, or it was killed as it started"
_ORPHANED = "a SIGTERM ended its supervisor, as at the end of its orchestrator, or from a person"
_WITHDRAWN = replace(ExitRecord.lost(""), stopped=True, error=None)


@dataclass(frozen=True, slots=True)
class StepPatience:
    """How to wait for a step, and whom to tell meanwhile."""

    # Waits that many seconds between two looks at the step.
    sleep: Callable[[float], None]
    # Seconds since the epoch.
    clock: Callable[[], float] = time.time
    # Whether somebody has asked for the end of the idea.
    is_stopped: Callable[[], bool] = lambda: False
    # Takes a line for a person about a step that is queued or silent.
    warn: Callable[[str], None] = lambda text: None
    # What a person does to end the step.
    way_to_end: str = "Ctrl-C"
    # Seconds without a heartbeat after which a supervisor counts as silent.
    heartbeat_limit_s: float = HEARTBEAT_LIMIT_S


def wait(runner: Runner, folder: Path, patience: StepPatience) -> Exited | Lost:
    """Wait until the step has ended, or until it is sure that it never will. At return nothing of it runs.

    A queued step is waited for without a limit. If somebody asks for the end it is withdrawn, and has exited with a
    record that says "stopped". A supervisor that lives and is silent may wake again: it is killed once its deadline
    has passed.
    """
    watch = _StepWatch(runner, folder, patience)
    while (end := watch.look()) is None:
        patience.sleep(watch.pause_s)
        watch.pause_s = min(POLL_S, 2 * watch.pause_s)
    return end


class _StepWatch:
    """Observations of a step since the wait began. pause_s: seconds from this look to the next.

    A queue is timed by the clock, because its runner may take long to answer. Silence counts the pauses, which stop if
    the machine sleeps.
    """

    def __init__(self, runner: Runner, folder: Path, patience: StepPatience) -> None:
        self._runner, self._folder, self._patience = runner, folder, patience
        self.pause_s = FIRST_POLL_S
        self._silent_s = 0.0
        self._queued_at: float | None = None
        self._was_told = False

    def look(self) -> Exited | Lost | None:
        """End of the step, or None if it is to be waited for."""
        status = self._runner.poll(self._folder)
        match status:
            case Running() if status.heartbeat_age_s > self._patience.heartbeat_limit_s:
                return self._end_silent(status)
            case Running():
                self._silent_s = 0.0
                return None
            case Queued():
                return self._end_queued(status)
            case Exited():
                by_others = status.record.stopped and not self._patience.is_stopped()
                return Lost(_ORPHANED) if by_others else status
            case Lost():
                self._runner.kill(self._folder)
                return status
            case Unclaimed():  # False: a supervisor has come after all
                return Lost(_NEVER_BEGUN) if self._runner.take_claim(self._folder) else None
            case Taken():
                return Lost(_NEVER_BEGUN)
            case _:
                assert_never(status)

    def _end_queued(self, status: Queued) -> Exited | None:
        """Withdraw a queued step if somebody asks for the end. It is not lost: lost steps in a row end in a pause."""
        if self._patience.is_stopped():
            self._runner.kill(self._folder)
            return Exited(_WITHDRAWN) if isinstance(self._runner.poll(self._folder), Taken) else None
        now = self._patience.clock()
        if self._queued_at is None:
            self._queued_at = now
        if now - self._queued_at >= QUEUE_NOTICE_S and not self._was_told:
            self._was_told = True
            self._patience.warn(f"{self._folder.name} waits to begin: {status.reason}")
        return None

    def _end_silent(self, supervisor: Running) -> Lost | None:
        """Kill a silent supervisor if it is to be waited for no longer."""
        if self._is_hopeless(supervisor):
            self._runner.kill(self._folder)
            if not isinstance(self._runner.poll(self._folder), Running):
                return Lost(say_silence(supervisor))
        self._silent_s += self.pause_s
        return None

    def _is_hopeless(self, supervisor: Running) -> bool:
        """Whether deadline and grace of a silent supervisor are over, or somebody asks for the end."""
        begun_s = (self._folder / step.CLAIM).stat().st_mtime
        deadline_s = step.read_spec(self._folder).deadline_s
        left_s = begun_s + deadline_s + SILENCE_GRACE_S - self._patience.clock()
        if not self._silent_s:
            self._patience.warn(
                f"{self._folder.name}: {say_silence(supervisor)}: it is stopped, or starved of CPU or disk. Wake it: "
                f"kill -CONT {supervisor.pid}, or end it: {self._patience.way_to_end}; "
                f"else it is killed in {max(left_s, SILENCE_GRACE_S):.0f} s, and the step begins again"
            )
        return self._patience.is_stopped() or (left_s <= 0 and self._silent_s >= SILENCE_GRACE_S)
