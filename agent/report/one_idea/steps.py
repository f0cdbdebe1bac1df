"""The steps of an idea by the names of their folders: in the order in which they ran, and in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.core.journal.kinds import Step

__all__ = ["StepName", "order_steps", "read_run", "read_step"]

# "run_3.2.smoke", "run_3.2", "plot.1", "run_3.seed_10001.1.evaluate"
_NAME = re.compile(
    r"(?:run_(?P<run>[0-9]{1,9})(?:\.seed_(?P<seed>[0-9]{1,9}))?|plot)"
    r"\.(?P<attempt>[0-9]{1,9})(?:\.(?P<step>smoke|evaluate))?"
)
# "3", and the same run as a tag, "run/3", or as a folder, "run_3"
_RUN = re.compile(r"(?:run[/_])?([0-9]{1,9})")
_WORDS = {Step.SMOKE: "smoke test", Step.RUN: "training", Step.EVALUATE: "evaluation", Step.PLOT: "figures"}
_ORDER = (Step.SMOKE, Step.RUN, Step.EVALUATE, Step.PLOT)


@dataclass(frozen=True, slots=True)
class StepName:
    """A step, as the name of its folder tells it."""

    folder: str
    run: int | None  # None: the figures, which come after all runs
    attempt: int
    step: Step
    seed: int | None = None  # of a replication of the run, which comes after the figures

    @property
    def title(self) -> str:
        """As "smoke test of run 3, attempt 2"."""
        of_run = "" if self.run is None else f" of run {self.run}"
        of_run += "" if self.seed is None else f" again, seed {self.seed}"
        return f"{_WORDS[self.step]}{of_run}" + (f", attempt {self.attempt}" if self.attempt > 1 else "")


def read_run(text: str) -> int | None:
    """The run number that a person wrote. None if it is none, or longer than any run number."""
    found = _RUN.fullmatch(text)
    return int(found[1]) if found else None


def read_step(folder: str) -> StepName | None:
    """None if no step has such a folder."""
    found = _NAME.fullmatch(folder)
    if found is None:
        return None
    run = int(found["run"]) if found["run"] else None
    step = Step(found["step"]) if found["step"] else Step.RUN if found["run"] else Step.PLOT
    return StepName(folder, run, int(found["attempt"]), step, int(found["seed"]) if found["seed"] else None)


def order_steps(folders: Iterable[str]) -> list[StepName]:
    """The steps, those that ran first at the front. Other names are left out."""
    steps = [step for folder in folders if (step := read_step(folder))]
    return sorted(steps, key=_place)


def _place(step: StepName) -> tuple[int, int, int, int]:
    if step.seed is not None:
        return (2, step.seed, step.attempt, _ORDER.index(step.step))
    return (int(step.run is None), step.run or 0, step.attempt, _ORDER.index(step.step))
