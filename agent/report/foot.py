"""The line that moves at a terminal's foot: idea, run, step and its time, the log's last line, the time left."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rich.cells import cell_len

from agent.core.failure.folding import last_states
from agent.core.journal.action_results import Closed
from agent.core.journal.events import Event, Finished
from agent.core.journal.kinds import Stage, Step
from agent.core.journal.state import State
from agent.report.cells import cut
from agent.report.status import phase_of

__all__ = ["Pace", "ShownWork", "describe_activity", "draw_line", "last_words", "read_tail", "say_span"]

ACTIVITIES: Final = {
    "ask": "asking the model",
    "edit": "editing",
    "check": "checking the edit",
    "smoke": "smoke test",
    "run": "training",
    "evaluate": "evaluating",
    "review": "reviewing",
    "plot": "plotting",
    "notes": "writing notes",
}
LEAST_NAME: Final = 12
LEAST_LOG: Final = 8
SHORT_BELOW: Final = 90
TAIL_BYTES: Final = 8192
WORTH_A_GUESS_S: Final = 5.0  # a shorter step is over before its length is read


@dataclass(frozen=True, slots=True)
class ShownWork:
    """One activity of an idea, or of a command that has none."""

    # As "training".
    what: str
    # Name of the idea; empty without one.
    name: str = ""
    # Its number among the ideas of the command, and how many those are; None if there is but one.
    idea: tuple[int, int] | None = None
    # Number of the run, and how many there may be; None outside the experiments.
    run: tuple[int, int] | None = None
    # How long such a step took last; None if that is not known.
    expected_s: float | None = None
    # Time left for all ideas as the activity began; None if that is not known.
    left_s: float | None = None


def describe_activity(state: State) -> ShownWork:
    """The current activity of an idea."""
    if (one := state.replications.next) and (state.ended or state.pause):
        seeds = state.replications.of(one.run)
        place = f"{seeds.index(one) + 1} of {len(seeds)}"
        return ShownWork(f"run {one.run} again, seed {one.seed} ({place})", state.launched.workspace)
    number, phase, candidate = state.run.number, phase_of(state), state.attempt.candidate
    run = (number, state.limits.max_runs) if number and state.stage is Stage.EXPERIMENTS else None
    what = ACTIVITIES.get(phase, phase)
    if phase == "check" and candidate and (candidate.linted or candidate.passed):
        what = "going on to the next step"
    return ShownWork(what, state.launched.workspace, run=run)


def draw_line(work: ShownWork, elapsed_s: float, log: str, width: int) -> str:
    """The activity in at most `width` columns.

    Below SHORT_BELOW columns the words are short. The log's last line is cut first, then the idea's name, then guesses.
    """
    is_short = width < SHORT_BELOW
    for shown in (work, replace(work, left_s=None), replace(work, left_s=None, expected_s=None)):
        head, tail = _head(shown, is_short), _tail(shown, elapsed_s, is_short)
        fixed = cell_len(head) + cell_len(tail) + 2 * bool(work.name)
        if fixed + min(cell_len(work.name), LEAST_NAME) <= width:
            break
    name = f"{cut(work.name, max(width - fixed, LEAST_NAME))}: " if work.name else ""
    line = f"{head}{name}{tail}"
    room = width - cell_len(line) - 3
    return cut(line, width) if not log or room < LEAST_LOG else f"{line} | {cut(log, room)}"


def _head(work: ShownWork, is_short: bool) -> str:
    """As "idea 2 of 5 " or "2/5 "."""
    if work.idea is None:
        return ""
    number, count = work.idea
    return f"{number}/{count} " if is_short else f"idea {number} of {count} "


def _tail(work: ShownWork, elapsed_s: float, is_short: bool) -> str:
    """As "run 3 of 10, training 1:12 of about 2:30, about 65 min left in all"."""
    run = f"run {work.run[0]}{'/' if is_short else ' of '}{work.run[1]}, " if work.run else ""
    about = "~" if is_short else "about "
    guess = ""
    if work.expected_s is not None and work.expected_s >= WORTH_A_GUESS_S:
        guess = f" of {about}{say_clock(work.expected_s)}"
    left_s = 0.0 if work.left_s is None else work.left_s - elapsed_s
    in_all = " in all" if work.idea and not is_short else ""
    left = f", {about}{say_span(left_s)} left{in_all}" if left_s > 0 else ""
    return f"{run}{work.what} {say_clock(elapsed_s)}{guess}{left}"


def say_clock(seconds: float) -> str:
    """As "0:42" or "1:02:03"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say_span(seconds: float) -> str:
    """As "40 s", "12 min" or "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass(slots=True)
class Pace:
    """Guesses, from the runs that ended since the command began, how long the next step and all the rest will take."""

    # Ideas of the command.
    ideas: int
    # Seconds from the command's begin to the end of its last run.
    spent_s: float = 0.0
    # Run numbers that were spent since then.
    runs: int = 0
    # Run numbers that each idea at work had spent at its last event.
    rows: dict[str, int] = field(default_factory=dict)
    # Seconds that each step took last.
    steps: dict[Step, float] = field(default_factory=dict)

    def see(self, event: Event, state: State, since_s: float) -> None:
        """Take in an event, and the state after it, that far after the begin of the command."""
        name, rows = state.launched.workspace, len(state.rows)
        ran = rows - self.rows.get(name, rows)
        self.rows[name] = rows
        if ran > 0:
            self.runs, self.spent_s = self.runs + ran, since_s
        result = event.result if isinstance(event, Finished) else None
        if isinstance(result, Closed) and not result.failure:
            self.steps[result.step] = result.seconds

    def guess(self, activity: ShownWork, state: State, number: int, since_s: float) -> ShownWork:
        """The activity of the idea of that number, with the times that are known."""
        expected = self.steps.get(state.going.step) if state.going else None
        if not self.runs:
            return replace(activity, expected_s=expected)
        here = state.limits.max_runs - len(state.rows)
        runs = here + (self.ideas - number) * state.limits.max_runs
        left = self.spent_s / self.runs * runs - (since_s - self.spent_s)
        return replace(activity, expected_s=expected, left_s=max(left, 0.0))


def last_words(log: bytes) -> str:
    """The last line of the end of a log that says something; of a line that was overwritten, its last state."""
    for line in reversed(log.decode("utf-8", "replace").splitlines()):
        states = [shown for shown in last_states(line) if shown.strip()]
        if states:
            return states[-1].strip()
    return ""


def read_tail(path: Path, most: int = TAIL_BYTES) -> bytes:
    """The end of a file, but for a line whose begin is not in it: half a key is not known for one.

    Raises: OSError.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - most))
        found = file.read(most)
    if size <= most:
        return found
    # the end of "epoch 1\repoch 2\n"
    return re.split(rb"[\r\n]", found, maxsplit=1)[-1] if re.search(rb"[\r\n]", found) else b""
